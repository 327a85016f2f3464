"""How the sidecar ends main, whose processes it does not see: by a FIFO that the script's prelude reads.

Of the exec form nobody reads it, and nothing happens.
"""

from __future__ import annotations

import os
import stat
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

GRACE_SECONDS = 10.0  # between being told to end and being killed
END, KILL = b"end\n", b"kill\n"  # the watcher in the prelude goes by their number


@dataclass
class Ender:
    """fifo: made here, before main begins."""

    fifo: Path
    _pipe: int | None = None
    _written: set[bytes] = field(default_factory=set)

    def __post_init__(self) -> None:
        with suppress(FileExistsError):  # by a sidecar that was killed
            os.mkfifo(self.fifo, 0o660)
        with suppress(OSError):
            pipe = os.open(self.fifo, os.O_RDWR | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC)
            self._pipe = pipe if stat.S_ISFIFO(os.fstat(pipe).st_mode) else None

    @property
    def can(self) -> bool:
        """Whether there is a FIFO: a program may have put something else in its place."""
        return self._pipe is not None

    def end(self, since: float) -> None:
        """Tell main to end, and kill it after the grace. since: for how many seconds it has been over, by now."""
        self._write(END)
        if since >= GRACE_SECONDS:
            self._write(KILL)

    def _write(self, line: bytes) -> None:
        if line in self._written or self._pipe is None:
            return
        with suppress(BlockingIOError):  # the program filled it: it ends with its own timeout
            os.write(self._pipe, line)
        self._written.add(line)
