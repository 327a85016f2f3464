"""Who starts the run of a time on this machine: one, however many ask at once, and whenever one is killed.

A claim is a locked file. The run's own process has it too, so that it is held for as long as the run goes on, also when
who started it was killed. What it leaves is an empty hand: whoever finds it unlocked looks for the run, and starts it
where there is none.
"""

from __future__ import annotations

import fcntl
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from mlgen.local import rundirs

FOLDER = ".mlgen"  # below it a folder for runs of times, and one for runs of events
OLD_SECONDS = 40 * 24 * 3600  # longer than a schedule may catch up


class Claim:
    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor

    def release(self) -> None:
        """Before its end: another may have it now."""
        fcntl.flock(self.descriptor, fcntl.LOCK_UN)

    def held_by(self, pid: int) -> None:
        """Who is to be asked to end, where a later run takes this one's place."""
        os.pwrite(self.descriptor, f"{pid:<20}".encode(), 0)


@contextmanager
def claim(root: Path, kind: str, pipeline: str, run: str, *, wait: bool = False) -> Iterator[Claim | None]:
    """The claim of a run, None where another has it, unless that is waited for."""
    folder = root / FOLDER / kind
    folder.mkdir(parents=True, exist_ok=True)
    rundirs.hide(folder.parent)
    descriptor = os.open(folder / f"{pipeline}.{run}", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o644)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except BlockingIOError:
            yield None
        else:
            os.ftruncate(descriptor, 0)  # who had it before is gone, and its number may be another's by now
            yield Claim(descriptor)
    finally:
        os.close(descriptor)


def going(root: Path, kind: str, pipeline: str, *, but: str) -> list[str]:
    """The runs of a pipeline that were started in the same way and go on, but for one."""
    found = [name for name in _names(root, kind) if name.startswith(f"{pipeline}.")]
    return [name.partition(".")[2] for name in found if name.partition(".")[2] != but and _is_held(root, kind, name)]


def end(root: Path, kind: str, pipeline: str, run: str) -> None:
    """Ask a run that goes on to end, and wait for it."""
    with (root / FOLDER / kind / f"{pipeline}.{run}").open("rb") as file:
        with suppress(OSError, ValueError):  # no number yet: its starter was killed before it could say
            _interrupt(int(file.read()), file.fileno())
        fcntl.flock(file, fcntl.LOCK_EX)


def _interrupt(pid: int, claim: int) -> None:
    """Ask a process to end, if it has the claim. claim: a descriptor of its file. Raises OSError where it is gone."""
    if not hasattr(os, "pidfd_open") or not os.path.isdir("/proc/self/fd"):  # macOS: while it is locked, at least
        with suppress(BlockingIOError):
            fcntl.flock(claim, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        os.kill(pid, signal.SIGINT)
        return
    process = os.pidfd_open(pid)  # stays that process, whoever has its number later
    try:
        wanted, has = os.fstat(claim), False
        for name in os.listdir(f"/proc/{pid}/fd"):
            with suppress(FileNotFoundError):  # closed since
                has = has or os.path.samestat(os.stat(f"/proc/{pid}/fd/{name}"), wanted)
        if has:
            signal.pidfd_send_signal(process, signal.SIGINT)
    finally:
        os.close(process)


def tidy(root: Path, kind: str, now: float) -> None:
    """Remove the claims of runs of long ago, which are known by now. now: seconds since 1970."""
    for name in _names(root, kind):
        path = root / FOLDER / kind / name
        with suppress(FileNotFoundError):
            if now - path.stat().st_mtime > OLD_SECONDS and not _is_held(root, kind, name):
                path.unlink()


def _names(root: Path, kind: str) -> list[str]:
    try:
        return sorted(os.listdir(root / FOLDER / kind))
    except FileNotFoundError:
        return []


def _is_held(root: Path, kind: str, name: str) -> bool:
    try:
        with (root / FOLDER / kind / name).open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except FileNotFoundError:
        return False
    return False
