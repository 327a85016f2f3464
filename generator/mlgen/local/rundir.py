"""The folder of a run, `.mlgen/runs/<run>.<first 8 of its uid>/`: what survives the engine, for people and recovery.

    run.lock        exists as long as the run is not told completely; the engine holds a lock on it
    start.json      what the run is                     run.json        how it ended, once that is known
    skipped.jsonl   a line per skipped task             code/<digest>/  the author's code as the run found it
    fault           why the engine could not go on
    concluded.jsonl a line per task that ran many times, once it has ended
    <task>-<attempt>/start.json record.json log script, and the tree of folders of runtime/protocol.py

An item of a task that runs many times has `<task>.<index>-<attempt>/`.
Whoever holds the lock is the only one that writes here. Files appear whole or not at all, and never change.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mlgen.ledger.records.run import Given
from mlgen.ledger.records.task import Item
from mlgen.local.whole import append, read, write
from mlgen.runtime.protocol import Execution, TaskDocument, Tree
from mlgen.runtime.regular import Unreadable, read_regular
from mlgen.store.disk import remove

LOCK = "run.lock"  # holds the engine's process number


@dataclass(frozen=True, slots=True)
class Started:
    """What a run is, written before its first task starts. tasks: name -> retries, of `tasks` only."""

    run: str
    uid: str
    pipeline: str
    env: str
    started_at: str
    params: dict[str, Any]
    spec_digest: str
    plan_digest: str
    commit: str | None
    tasks: dict[str, int]
    labels: dict[str, str] = field(default_factory=dict)
    owner: str | None = None
    resumes: str | None = None
    given: Given | None = None


@dataclass(frozen=True, slots=True)
class AttemptStarted:
    """What recovery needs to tell of an attempt that was cut off."""

    document: TaskDocument
    execution: Execution
    started_at: str


@dataclass(frozen=True, slots=True)
class AttemptFolder:
    """The folder of one attempt of a task."""

    path: Path

    @property
    def task(self) -> str:
        return self.name.partition(".")[0]

    @property
    def name(self) -> str:
        """The task's name; of an item `<task>.<index>`."""
        return self.path.name.rpartition("-")[0]

    @property
    def index(self) -> int | None:
        """The number of the item; None for a task that runs once."""
        number = self.name.partition(".")[2]
        return int(number) if number else None

    @property
    def label(self) -> str:
        """What people call what it is an attempt of: `train`, or `train[3]`."""
        return self.task if self.index is None else f"{self.task}[{self.index}]"

    @property
    def number(self) -> int:
        """Which attempt of the task it is; the first is 0."""
        return int(self.path.name.rpartition("-")[2])

    @property
    def tree(self) -> Tree:
        return Tree(self.path, self.path)

    @property
    def log(self) -> Path:
        return self.path / "log"

    @property
    def script(self) -> Path:
        return self.path / "script"

    @property
    def record(self) -> Path:
        return self.path / "record.json"

    def write_start(self, started: AttemptStarted) -> None:
        data = {
            "document": started.document.to_json(),
            "execution": dataclasses.asdict(started.execution),
            "startedAt": started.started_at,
        }
        write(self.path / "start.json", json.dumps(data).encode())

    def read_start(self) -> AttemptStarted | None:
        data = read(self.path / "start.json")
        if data is None:
            return None
        item = data["execution"].pop("item", None)
        execution = Execution(**data["execution"], item=Item(**item) if item else None)
        return AttemptStarted(TaskDocument.from_json(data["document"]), execution, data["startedAt"])


@dataclass(frozen=True, slots=True)
class RunFolder:
    """The folder of one run."""

    path: Path

    @property
    def run(self) -> str:
        return self.path.name.rpartition(".")[0]

    @property
    def uid(self) -> str:
        """The first 8 characters of the run's uid."""
        return self.path.name.rpartition(".")[2]

    def attempt(self, task: str, attempt: int, index: int | None = None) -> AttemptFolder:
        """index: of an item of a task that runs many times."""
        item = "" if index is None else f".{index}"
        return AttemptFolder(self.path / f"{task}{item}-{attempt}")

    def attempts(self) -> Iterator[AttemptFolder]:
        """The attempts that were started, in that order."""
        return map(AttemptFolder, by_start(self.path))

    @property
    def run_json(self) -> Path:
        return self.path / "run.json"

    def write_start(self, started: Started) -> None:
        write(self.path / "start.json", json.dumps(dataclasses.asdict(started)).encode())

    def read_start(self) -> Started | None:
        data = read(self.path / "start.json")
        if data is None:
            return None
        given = data.pop("given", None)
        return Started(**data, given=Given(tuple(given["params"]), given["inputs"]) if given else None)

    def note_skipped(self, task: str, reason: str, why: str) -> None:
        append(self.path / "skipped.jsonl", json.dumps([task, reason, why]).encode())

    def skipped(self) -> dict[str, tuple[str, str]]:
        """task -> Tekton's reason, and why in words for people. A line that a kill cut off, or not ours, is no line."""
        return {task: (reason, why) for task, reason, why in self._lines("skipped.jsonl")}

    def _lines(self, name: str) -> Iterator[tuple[str, str, str]]:
        try:
            lines = read_regular(self.path / name).split(b"\n")[:-1]
        except (FileNotFoundError, Unreadable):
            return
        for line in lines:
            with suppress(ValueError, TypeError, RecursionError):
                first, second, third = map(str, json.loads(line))
                yield first, second, third

    def note_concluded(self, task: str, status: str, reason: str) -> None:
        """Keep how a task ended that runs many times: of its items' records alone nobody could tell."""
        append(self.path / "concluded.jsonl", json.dumps([task, status, reason]).encode())

    def concluded(self) -> dict[str, tuple[str, str]]:
        """task -> status and reason, of those that run many times. As for `skipped`."""
        return {task: (status, reason) for task, status, reason in self._lines("concluded.jsonl")}

    def code(self, digest: str) -> Path:
        """Where the run keeps the code of that digest."""
        return self.path / "code" / digest.removeprefix("sha256:")[:16]

    def forget_code(self) -> None:
        """Remove the run's copies of code: no attempt needs them any more, and the records have their digests."""
        remove(self.path / "code", all_that_can=True)

    def note_fault(self, text: str) -> None:
        """Keep why the engine could not go on, for recovery; where even that cannot be written, it is not known."""
        with suppress(OSError):
            write(self.path / "fault", text.encode(errors="replace"))

    def fault(self) -> str | None:
        """Why the engine could not go on; None where it did, or was killed."""
        try:
            return read_regular(self.path / "fault").decode(errors="replace") or None
        except (FileNotFoundError, Unreadable):
            return None

    def remove(self) -> None:
        """Throw away all that the run left here. The ledger tells of it; nothing else has its logs."""
        remove(self.path, all_that_can=True)

    def finish(self) -> None:
        """All is told: recovery need not look here again. The caller holds the lock."""
        (self.path / LOCK).unlink()


def by_start(parent: Path) -> list[Path]:
    """The folders in which something was started, in that order; of one that begins with a dot that is not certain."""
    starts = parent.glob("[!.]*/start.json")
    found = [(start.lstat().st_mtime_ns, start.parent.name, start.parent) for start in starts]
    return [path for _, _, path in sorted(found)]
