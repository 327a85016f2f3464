"""Which failures are tried again, and how long after: decided alike in pods and on this machine (decision 0035)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

MOST_SECONDS = 600  # to which a backoff grows
_NOT_AGAIN = "; not tried again: "


class Cause(StrEnum):
    """Whose failure it was."""

    PROGRAM = "program"
    INFRASTRUCTURE = "infrastructure"


@dataclass(frozen=True, slots=True)
class Policy:
    """What a spec says of further attempts, where it says more than their number.

    count: attempts after the first. infrastructure, codes: after a failure that is not the program's own, and after
    these exit codes of it; both None: after any failure.
    idempotent: False: never, once the program has begun.
    """

    count: int = 0
    backoff_seconds: int = 0
    infrastructure: bool | None = None
    codes: tuple[int, ...] | None = None
    idempotent: bool = True

    def to_json(self) -> dict[str, Any]:
        every = {
            "count": self.count,
            "backoffSeconds": self.backoff_seconds or None,
            "infrastructure": self.infrastructure,
            "codes": None if self.codes is None else list(self.codes),
            "idempotent": None if self.idempotent else False,
        }
        return {key: value for key, value in every.items() if value is not None}

    @staticmethod
    def from_json(data: Mapping[str, Any]) -> Policy:
        codes = data.get("codes")
        return Policy(
            data["count"],
            data.get("backoffSeconds", 0),
            data.get("infrastructure"),
            None if codes is None else tuple(codes),
            data.get("idempotent", True),
        )


def refusal(policy: Policy, cause: Cause, exit_code: int | None, *, began: bool) -> str | None:
    """Why a failure is not tried again; None where it may be. began: whether its program has."""
    if began and not policy.idempotent:
        return "it is not idempotent, and its program had begun"
    if policy.codes is None:
        return None
    if cause is Cause.INFRASTRUCTURE:
        return None if policy.infrastructure else "it failed of the infrastructure, which `on` does not list"
    if exit_code in policy.codes:
        return None
    return _listed(policy) if exit_code else f"the failure is the program's own, and {_listed(policy)}"


def _listed(policy: Policy) -> str:
    """What `on` names, in words."""
    codes = policy.codes or ()
    names = [f"exit code{'' if len(codes) == 1 else 's'} {', '.join(map(str, codes))}"] if codes else []
    return f"`on` lists only {' and '.join(names + ['infrastructure'] * bool(policy.infrastructure))}"


def with_refusal(error: str, why: str) -> str:
    """The error of a failure that is not tried again, which says so once."""
    return error if _NOT_AGAIN in error else f"{error}{_NOT_AGAIN}{why}"


def delay_seconds(policy: Policy, attempt: int) -> int:
    """How long after the attempt before it an attempt may begin. attempt: from 1."""
    # Not 2 ** attempt of whatever comes: an attempt is below 10.
    return min(policy.backoff_seconds << (attempt - 1), max(MOST_SECONDS, policy.backoff_seconds))


def delays_seconds(policy: Policy) -> int:
    """The most that all attempts of a task wait together."""
    return sum(delay_seconds(policy, attempt) for attempt in range(1, policy.count + 1))
