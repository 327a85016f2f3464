"""What our programs in a pod tell each other: files of one folder, which the author's program cannot see.

Each file appears whole and never changes. So whoever asks first what an execution is recorded as decides it, however
many race, and every later one reads the same answer: exactly one record comes of an execution.
"""

from __future__ import annotations

import fcntl
import os
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

STARTED = "started"  # the sidecar's start, RFC 3339: when the execution began
OOM_KILLS = "oom-kills"  # the count of `memory.oom_kills` at the start
READY = "ready"  # the sidecar is there: stage-in waits for it
UNREACHABLE = "unreachable"  # why the spool cannot be used: stage-in fails with it
STAGED = "staged"  # stage-in has brought everything
REFUSED = "refused"  # why this attempt must not run, `attempts.Refused`: stage-in ends as the one before did
FAILED = "failed"  # why stage-in could not, in a line
CALLED_OFF = "called-off"  # why the program is not started, though all is there for it, in a line
ITEM = "item.json"  # which item this is, where only the bucket can tell
IDENTITY = "identity"  # a digest of what the program computes from, for its checkpoints; empty where none is known
TEXTS = "texts.json"  # of the outs, for the outcome, told before the record is decided
OVERTIME = "overtime"  # the program has taken its whole timeout, and is being ended for it
MAIN_GONE = "main-gone"  # nothing of main runs any more: what it left does not change
RECORD = "record.json"  # the record of this execution, its bytes decided
HERE = "here"  # of a task on several nodes, as the next ones: stage-in has brought everything, and waits for the others
MEET = "meet"  # all are there: the address of rank 0's pod
GROUP = "group.json"  # `nodes.model.End`: how the attempt ended, as far as this pod heard it first
ROOT = "root.json"  # the same, as rank 0 says it: to the other ranks
KEPT = "kept"  # what became of rank 0's record, "complete" or "failed": to the other ranks
NOT_RUN = "not-run"  # the program need not run in this pod
TOLD_TO_END = "told-to-end"  # main, by the sidecar
MAIN_AT = "main-at"  # when main was first seen to have ended, RFC 3339
SEALED = "sealed"  # the record is in the spool; or, where it holds text, why it could not be put there
WAKE = "wake"  # a FIFO: a byte in it, and the sidecar looks at once


@dataclass(frozen=True, slots=True)
class Handover:
    """folder: `Tree.state`, which is there. who: the verb of this program; each runs once in a pod."""

    folder: Path
    who: str

    def tell(self, name: str, text: str = "") -> bool:
        """Write a file, once; whether it was this time. Its text is whole from its first moment, also after a kill."""
        return self._write_once(name, text.encode())

    def told(self, name: str) -> str | None:
        """The text of a file, None where nobody has written it."""
        data = self._read(name)
        return None if data is None else data.decode()

    def decide(self, record: bytes) -> bytes:
        """The bytes that this execution is recorded as: these, or those that another program was faster to decide."""
        self._write_once(RECORD, record)
        decided = self.decided()
        assert decided is not None, "what is decided stays"
        return decided

    def decided(self) -> bytes | None:
        """The record's bytes, None before they are decided."""
        return self._read(RECORD)

    def begin(self) -> None:
        """Say that this program runs, until its process ends in whatever way: the kernel takes the lock back."""
        lock = self.folder / f".{self.who}.lock"
        handle = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o660)  # never closed while the process lives
        fcntl.flock(handle, fcntl.LOCK_EX)
        lock.rename(self.folder / f"{self.who}.lock")  # only now: nobody may see it before it is locked
        self.wake()

    def began(self, who: str) -> bool:
        """Whether a program has ever begun."""
        return (self.folder / f"{who}.lock").exists()

    def ended(self, who: str) -> bool:
        """Whether a program has begun and its process is no more."""
        try:
            handle = os.open(self.folder / f"{who}.lock", os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            return False
        try:
            fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        finally:
            os.close(handle)
        return True

    def await_end(self, who: str) -> None:
        """Wait until the process of a program that has begun is no more."""
        handle = os.open(self.folder / f"{who}.lock", os.O_RDONLY | os.O_CLOEXEC)
        try:
            fcntl.flock(handle, fcntl.LOCK_SH)
        finally:
            os.close(handle)

    def wake(self) -> None:
        """Have the sidecar look at once; where it is gone, nothing happens."""
        with suppress(OSError):  # no reader, or a full pipe, which wakes as well
            handle = os.open(self.folder / WAKE, os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC)
            try:
                os.write(handle, b".")
            finally:
                os.close(handle)

    def _write_once(self, name: str, data: bytes) -> bool:
        part = self.folder / f".{name}.{self.who}"  # one writer each: containers share no process numbers
        part.write_bytes(data)
        try:
            os.link(part, self.folder / name)
        except FileExistsError:
            return False
        finally:
            part.unlink()
        return True

    def _read(self, name: str) -> bytes | None:
        try:
            return (self.folder / name).read_bytes()
        except FileNotFoundError:
            return None
