"""Runs of hand-made plans, in a folder of the test's, with everything real but the command line."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import NAMESPACE_URL, uuid5

from mlgen.ledger.records import entry
from mlgen.ledger.records.run import RunRecord
from mlgen.ledger.records.task import TaskRecord
from mlgen.local.events import Event, Outcome
from mlgen.local.job import Job
from mlgen.local.params import parse_arguments
from mlgen.local.run import run
from mlgen.plan.model import Plan
from mlgen.store import open_store

PATH = "/usr/local/bin:/usr/bin:/bin"


def uid_in(root: Path) -> str:
    """The uid of the run in a folder: each test has its own, as the guardian of a killed run goes by it for a while."""
    return str(uuid5(NAMESPACE_URL, str(root)))


class RealClock:
    def now(self) -> datetime:
        return datetime.now(UTC)

    def monotonic(self) -> float:
        return time.monotonic()


@dataclass
class Told:
    """What a run left. records: by "task-attempt"."""

    outcome: Outcome
    events: list[Event]
    records: dict[str, TaskRecord]
    run: RunRecord
    folder: Path

    def log(self, task: str, attempt: int = 0) -> str:
        return (self.folder / f"{task}-{attempt}" / "log").read_text()

    def reasons(self) -> dict[str, str]:
        return {name: s.reason for name, s in self.outcome.tasks.items()}


@dataclass
class Project:
    """A project's folder, and how runs are made in it."""

    root: Path
    spooled: list[bytes] = field(default_factory=list)

    def job(self, plan: Plan, given: Sequence[str] = (), **settings: Any) -> Job:
        arguments = parse_arguments(plan, given, project=self.root, cwd=self.root)
        defaults: dict[str, Any] = {
            "run": "demo-x1",
            "uid": uid_in(self.root),
            "artifacts": "artifacts",
            "environ": {"PATH": PATH},
            "slots": 2,
            "grace_seconds": 0.5,
        }
        return Job(plan=plan, arguments=arguments, project=self.root, **(defaults | settings))

    def run(
        self,
        plan: Plan,
        *given: str,
        on_event: Callable[[Event], None] = lambda _event: None,
        fold: Callable[[], str | None] = lambda: None,
        **settings: Any,
    ) -> Told:
        events: list[Event] = []

        def hear(event: Event) -> None:
            events.append(event)
            on_event(event)

        outcome = run(self.job(plan, given, **settings), **self.parts(fold=fold, on_event=hear))
        return self.told(outcome, events)

    def parts(self, **others: Any) -> dict[str, Any]:
        """What `run` is given besides the job."""
        mine: dict[str, Any] = {
            "store": open_store("artifacts", base=self.root),
            "open_at": lambda uri: open_store(uri, base=self.root),
            "spool": self.spooled.append,
            "fold": lambda: None,
            "clock": RealClock(),
            "on_event": lambda _event: None,
        }
        return mine | others

    def told(self, outcome: Outcome, events: list[Event]) -> Told:
        records, run_record = entries(self.spooled)
        assert run_record is not None
        return Told(outcome, events, records, run_record, outcome.folder)


def entries(spooled: Sequence[bytes]) -> tuple[dict[str, TaskRecord], RunRecord | None]:
    """The records, by "task-attempt" or "task[item]-attempt", and run.json. Nothing is told twice with other bytes."""
    records: dict[str, TaskRecord] = {}
    run_record = None
    for data in dict.fromkeys(spooled):
        found = entry.record_from_bytes(data)
        if isinstance(found, RunRecord):
            assert run_record is None
            run_record = found
        else:
            assert f"{found.label}-{found.attempt}" not in records
            records[f"{found.label}-{found.attempt}"] = found
    return records, run_record


def environment(**more: str) -> Mapping[str, str]:
    return {"PATH": PATH, **more}


def alive(pid: object) -> bool:
    """Whether a process runs; one that ended and was not reaped by its parent does not."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False
    return stat.rpartition(")")[2].split()[0] not in "ZX"
