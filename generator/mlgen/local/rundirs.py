"""The folders of all runs of a project: who makes one holds its lock, and who finds one without its engine takes it."""

from __future__ import annotations

import fcntl
import os
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from mlgen.diagnostic import Misuse
from mlgen.local.rundir import LOCK, RunFolder, Started, by_start
from mlgen.store.disk import remove

RUNS = Path(".mlgen") / "runs"
NAMING = Path(".mlgen") / "runs.lock"  # held while a run gets its name
UNNAMED = ".new"  # a run's folder until it has its name
_FOLDER = re.compile(r".+\.[0-9a-f]{8}")
PATIENCE_SECONDS, PAUSE_SECONDS = 5.0, 0.01  # for a dead engine's lock


def folder_name(run: str, uid: str) -> str:
    return f"{run}.{uid[:8]}"


def create(project: Path, started: Started) -> tuple[RunFolder, int]:
    """Make the folder of a new run; also the locked file's descriptor, which holds the lock until it is closed.

    Of all that ask for a name, however many at once, one gets it. Raises Misuse "run-exists" for the others.
    """
    folder = RunFolder(project / RUNS / folder_name(started.run, started.uid))
    (project / RUNS).mkdir(parents=True, exist_ok=True)
    hide(project / RUNS.parent)
    with _one_at_a_time(project):
        if is_taken(project, started.run):
            message = f'there is a run "{started.run}" already'
            raise Misuse("run-exists", message, fix="choose another name, or leave --name out")
        # Whole and locked before it has its name: whoever sees it sees it locked, or its engine dead; and a kill on
        # the way leaves nothing that anybody would take for a run.
        unnamed = RunFolder(project / RUNS / UNNAMED)
        remove(unnamed.path)
        unnamed.path.mkdir()
        unnamed.write_start(started)
        lock = os.open(unnamed.path / LOCK, os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_CLOEXEC, 0o644)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            os.write(lock, str(os.getpid()).encode())
            unnamed.path.rename(folder.path)
        except BaseException:
            os.close(lock)
            raise
    return folder, lock


def is_taken(project: Path, run: str) -> bool:
    """Whether a run of that name is kept here."""
    return any(path.name.rpartition(".")[0] == run for path in by_start(project / RUNS))


@contextmanager
def _one_at_a_time(project: Path) -> Iterator[None]:
    """Whoever makes a run waits for others that do: a name is looked for and taken in one go."""
    lock = os.open(project / NAMING, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW, 0o644)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
    finally:
        os.close(lock)


def hide(folder: Path) -> None:
    """Keep what runs leave out of the author's commits, without an entry in the author's own .gitignore."""
    if not (folder / ".gitignore").exists():
        part = folder / f".gitignore.{os.getpid()}"  # of this process alone: several may begin at once
        part.write_bytes(b"*\n")
        part.rename(folder / ".gitignore")


def kept(project: Path) -> list[RunFolder]:
    """The folders of all runs that are kept, the latest last."""
    return list(map(RunFolder, by_start(project / RUNS)))


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


def unfinished(project: Path) -> Iterator[tuple[RunFolder, int]]:
    """The runs that are not told completely and that nobody works on, each with its lock's descriptor, now held."""
    for folder in _all(project):
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
