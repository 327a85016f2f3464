"""What is told of a run in a cluster while it is followed, and what became of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from mlgen.ledger.records.run import TaskStatus
from mlgen.ledger.records.task import State


@dataclass(frozen=True, slots=True)
class Started:
    """An attempt of a task has its containers, and stages in."""

    task: str
    attempt: int


@dataclass(frozen=True, slots=True)
class Moved:
    """What a task that has not ended does now, in a word or two: for a picture that is drawn anew."""

    task: str
    phase: str


@dataclass(frozen=True, slots=True)
class Waits:
    """A pod cannot start as it is. why: the cluster's words. fix: "" where only patience helps."""

    task: str
    why: str
    fix: str = ""


@dataclass(frozen=True, slots=True)
class Failure:
    """Why an attempt failed, for people. exit_code: of the author's program, where it ended by itself.

    log: the container whose last lines say more; None where `message` says all there is. code: of an error of ours.
    """

    message: str
    why: str = ""
    fix: str = ""
    code: str = ""
    exit_code: int | None = None
    log: str | None = None


@dataclass(frozen=True, slots=True)
class Ended:
    """An attempt of a task ended. retried: another follows. seconds: from its start, waiting and staging included.

    failure: None where it is COMPLETE. tail: the last lines of what its program printed, of a failed one.
    """

    task: str
    attempt: int
    state: State
    seconds: float
    retried: bool
    failure: Failure | None = None
    tail: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Skipped:
    """A task will not run, for Tekton's reason."""

    task: str
    reason: str


@dataclass(frozen=True, slots=True)
class Printed:
    """A line of a task's program, where logs are asked for."""

    task: str
    line: str


@dataclass(frozen=True, slots=True)
class Noted:
    """A line for people: the run goes on, and something is not as it should be."""

    text: str


Event = Started | Moved | Waits | Ended | Skipped | Printed | Noted
OnEvent = Callable[[Event], None]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a run. state, tasks: of `tasks`. others: finally tasks, gate tasks, `record`, as far as they ran.

    endings: how the last attempt of each task of either that was started ended. results: what each handed on, out
    name -> text. error: why the run failed where no task did. ended_at: when its `tasks` had ended, about; RFC 3339.
    """

    run: str
    uid: str
    state: State
    tasks: Mapping[str, TaskStatus]
    others: Mapping[str, TaskStatus]
    endings: Mapping[str, Ended]
    results: Mapping[str, Mapping[str, str]]
    ended_at: str
    error: str | None = None

    @property
    def ok(self) -> bool:
        """Whether all went well, finally tasks and the record included."""
        return (
            self.state is State.COMPLETE
            and self.error is None
            and not any(status.status == "Failed" for status in self.others.values())
        )
