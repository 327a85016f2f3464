"""Tasks that are tried again: after which failures, and when."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from mlgen.ledger.records.task import Item, State, TaskRecord
from mlgen.local.attempt import Attempt
from mlgen.plan.model import Task
from mlgen.runtime.attempts.retrying import delay_seconds, refusal
from mlgen.runtime.ending import cause_of_record


def may_follow(attempt: Attempt, record: TaskRecord) -> bool:
    """Whether another attempt follows one that ended so."""
    policy, cause = attempt.document.retry, cause_of_record(record)
    if record.state is not State.FAIL or record.attempt >= attempt.task.retries or cause is None:
        return False
    return policy is None or refusal(policy, cause, record.exit_code, began=attempt.launched) is None


def pause_seconds(attempt: Attempt, record: TaskRecord) -> int:
    """How long the next attempt waits."""
    policy = attempt.document.retry
    return delay_seconds(policy, record.attempt + 1) if policy is not None else 0


@dataclass(frozen=True, slots=True)
class Waiting:
    """A task, or an item of one, that will be tried again. at: when, in monotonic seconds."""

    task: Task
    number: int
    at: float
    item: Item | None = None
    texts: Mapping[str, str] = field(default_factory=dict)


@dataclass
class Queue:
    """The tasks that wait for their next attempt."""

    _waiting: list[Waiting] = field(default_factory=list)

    def __bool__(self) -> bool:
        return bool(self._waiting)

    def add(self, waiting: Waiting) -> None:
        self._waiting.append(waiting)
        self._waiting.sort(key=lambda w: w.at)

    @property
    def next_at(self) -> float | None:
        return self._waiting[0].at if self._waiting else None

    def take(self, now: float) -> Waiting | None:
        """The one that has waited longest for its turn; None where nobody's has come."""
        return self._waiting.pop(0) if self._waiting and self._waiting[0].at <= now else None

    def drop(self) -> list[Waiting]:
        """All of them, which will not run."""
        dropped, self._waiting = self._waiting, []
        return dropped
