"""What the engine tells while it runs, and what became of the run."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from mlgen.ledger.records.run import TaskStatus
from mlgen.ledger.records.task import Item, State


@dataclass(frozen=True, slots=True)
class Started:
    """An attempt of a task begins. item: which one of a fan's."""

    task: str
    attempt: int
    item: Item | None = None


@dataclass(frozen=True, slots=True)
class Ended:
    """An attempt of a task ended. retried: another follows. seconds: from its start, staging included.

    cached: its program did not run, as its outs were made before.
    """

    task: str
    attempt: int
    state: State
    exit_code: int | None
    error: str | None
    log: Path
    seconds: float
    retried: bool
    cached: bool = False
    item: Item | None = None


@dataclass(frozen=True, slots=True)
class Concluded:
    """All items of a fan have ended that will. of: how many there are. failed: items that did."""

    task: str
    state: State
    of: int
    failed: int


@dataclass(frozen=True, slots=True)
class Skipped:
    """A task will not run, for Tekton's reason. why: the same in words for people."""

    task: str
    reason: str
    why: str


@dataclass(frozen=True, slots=True)
class Reused:
    """A task need not run: an earlier run made what it leaves. run: that one's name."""

    task: str
    run: str


@dataclass(frozen=True, slots=True)
class Noted:
    """A line for people: the run goes on, and something is not as it should be."""

    text: str


Event = Started | Ended | Concluded | Skipped | Reused | Noted
OnEvent = Callable[[Event], None]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a run. state, tasks: of `tasks`. ledger: the commit that holds its records, None: they wait.

    whys: of tasks that did not run, the reason in words for people.
    finally_tasks: their statuses; one that failed makes the run's command answer no, and no more than that.
    """

    run: str
    uid: str
    state: State
    tasks: Mapping[str, TaskStatus]
    finally_tasks: Mapping[str, TaskStatus]
    ledger: str | None
    folder: Path
    interrupted: bool
    whys: Mapping[str, str]

    @property
    def ok(self) -> bool:
        failed = any(s.status == "Failed" for s in self.finally_tasks.values())
        return self.state is State.COMPLETE and not failed
