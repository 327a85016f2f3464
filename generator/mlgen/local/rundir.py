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
import fcntl
import json
import os
import re
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mlgen.ledger.records.task import Item
from mlgen.local.whole import append, read, write
from mlgen.runtime.protocol import Execution, TaskDocument, Tree
from mlgen.runtime.regular import Unreadable, read_regular
from mlgen.store.disk import remove

RUNS = Path(".mlgen") / "runs"
LOCK = "run.lock"  # holds the engine's process number
_FOLDER = re.compile(r".+\.[0-9a-f]{8}")
PATIENCE_SECONDS, PAUSE_SECONDS = 5.0, 0.01  # for a dead engine's lock


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
        return map(AttemptFolder, _by_start(self.path))

    @property
    def run_json(self) -> Path:
        return self.path / "run.json"

    def write_start(self, started: Started) -> None:
        write(self.path / "start.json", json.dumps(dataclasses.asdict(started)).encode())

    def read_start(self) -> Started | None:
        data = read(self.path / "start.json")
        return None if data is None else Started(**data)

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


def folder_name(run: str, uid: str) -> str:
    return f"{run}.{uid[:8]}"


def create(project: Path, started: Started) -> tuple[RunFolder, int]:
    """Make the folder of a new run; also the locked file's descriptor, which holds the lock until it is closed."""
    folder = RunFolder(project / RUNS / folder_name(started.run, started.uid))
    folder.path.mkdir(parents=True)
    hide(project / RUNS.parent)
    folder.write_start(started)
    # Locked before it has its name: whoever sees run.lock sees it locked, or its engine dead.
    unnamed = folder.path / f".{LOCK}.new"
    lock = os.open(unnamed, os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_CLOEXEC, 0o644)
    fcntl.flock(lock, fcntl.LOCK_EX)
    os.write(lock, str(os.getpid()).encode())
    unnamed.rename(folder.path / LOCK)
    return folder, lock


def hide(folder: Path) -> None:
    """Keep what runs leave out of the author's commits, without an entry in the author's own .gitignore."""
    if not (folder / ".gitignore").exists():
        part = folder / f".gitignore.{os.getpid()}"  # of this process alone: several may begin at once
        part.write_bytes(b"*\n")
        part.rename(folder / ".gitignore")


def kept(project: Path) -> list[RunFolder]:
    """The folders of all runs that are kept, the latest last."""
    return list(map(RunFolder, _by_start(project / RUNS)))


def unended(project: Path) -> list[RunFolder]:
    """The folders of runs that are not told completely: they go on, or recovery will tell of them."""
    return [folder for folder in _all(project) if os.path.lexists(folder.path / LOCK)]


def ended(project: Path) -> list[RunFolder]:
    """The folders of runs that are told, also what a kill left of one that was being removed."""
    return [folder for folder in _all(project) if not os.path.lexists(folder.path / LOCK)]


def _all(project: Path) -> list[RunFolder]:
    try:
        names = sorted(os.listdir(project / RUNS))
    except (FileNotFoundError, NotADirectoryError):
        return []
    return [RunFolder(project / RUNS / name) for name in names if _FOLDER.fullmatch(name)]


def find(project: Path, run: str, uid: str) -> RunFolder | None:
    """The folder of a run; None where it is not kept here."""
    path = project / RUNS / folder_name(run, uid)
    return RunFolder(path) if path.is_dir() else None


def _by_start(parent: Path) -> list[Path]:
    """The folders in which something was started, in that order."""
    found = [(start.lstat().st_mtime_ns, start.parent.name, start.parent) for start in parent.glob("*/start.json")]
    return [path for _, _, path in sorted(found)]


def unfinished(project: Path) -> Iterator[tuple[RunFolder, int]]:
    """The runs that are not told completely and that nobody works on, each with its lock's descriptor, now held."""
    try:
        names = sorted(os.listdir(project / RUNS))
    except FileNotFoundError:
        return
    for name in names:
        folder = RunFolder(project / RUNS / name)
        lock = _take(folder.path / LOCK)
        if lock is not None:
            try:
                yield folder, lock
            finally:
                os.close(lock)


def _take(path: Path) -> int | None:
    """The descriptor of a lock file, locked; None when it is gone or an engine holds it.

    An engine that is dead can seem to hold it for a moment more, by a child that was forked and has not reached its
    exec; and another command may be telling of the run right now. Both are waited for.
    """
    try:
        lock = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
        return None
    for _ in range(int(PATIENCE_SECONDS / PAUSE_SECONDS)):
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if _is_alive(os.pread(lock, 20, 0)):
                break
            time.sleep(PAUSE_SECONDS)
            continue
        # Another may have finished the run between our open and our lock: then the name is gone.
        with suppress(FileNotFoundError):
            if os.stat(path).st_ino == os.fstat(lock).st_ino:
                return lock
        break
    os.close(lock)
    return None


def _is_alive(engine: bytes) -> bool:
    try:
        os.kill(int(engine), 0)
    except (ProcessLookupError, ValueError):  # ValueError: it was cut off before it had written its number
        return False
    except PermissionError:  # another user's
        return True
    return True
