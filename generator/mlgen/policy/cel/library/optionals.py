"""Optional values. The checker knows these functions; `or` and `orValue` are built in `evaluate`, for they are lazy."""

from __future__ import annotations

from typing import Any

from mlgen.policy.cel.signatures import Implementation
from mlgen.policy.cel.values import NONE, CelError, Optional


def _value(optional: Optional) -> Any:
    if optional is NONE:
        raise CelError("optional.none() dereference")
    return optional.value


def _of_non_zero(value: Any) -> Optional:
    return NONE if _zero(value) else Optional(value)


def _zero(value: Any) -> bool:
    if isinstance(value, bool | int | float | str | bytes | list | dict) or value is None:
        return not value
    return getattr(value, "nanos", 1) == 0


def _unneeded(*_: Any) -> Any:
    raise AssertionError("evaluate builds it")


BUILT_IN: dict[str, Implementation] = {
    "<list(A)>.first() -> optional(A)": lambda items: Optional(items[0]) if items else NONE,
    "<list(A)>.last() -> optional(A)": lambda items: Optional(items[-1]) if items else NONE,
    "optional.of(A) -> optional(A)": Optional,
    "optional.ofNonZeroValue(A) -> optional(A)": _of_non_zero,
    "optional.none() -> optional(A)": lambda: NONE,
    "<optional(A)>.value() -> A": _value,
    "<optional(A)>.hasValue() -> bool": lambda optional: optional is not NONE,
    "<optional(A)>.or(optional(A)) -> optional(A)": _unneeded,
    "<optional(A)>.orValue(A) -> A": _unneeded,
}
