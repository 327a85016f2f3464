"""The log of an attempt: what the author's program printed, with secrets masked."""

from __future__ import annotations

import os
from collections.abc import Collection
from pathlib import Path

from mlgen.local.mask import Masker
from mlgen.local.wakeups import Wakeups
from mlgen.runtime.regular import Unreadable, open_regular

CHUNK = 1 << 16
MOST_CHUNKS = 64  # that a pipe can hold, and more


class Log:
    """Takes a program's output. Without secrets the program writes to the file itself, past us."""

    def __init__(self, path: Path, secrets: Collection[str], wakeups: Wakeups) -> None:
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC
        self._file = os.open(path, flags, 0o644)
        self._wakeups = wakeups
        self._masker = Masker(secrets) if secrets else None
        self._pipe: int | None = None
        self.output = self._file  # the descriptor for the program
        if self._masker:
            self._pipe, self.output = os.pipe()
            os.set_blocking(self._pipe, False)
            wakeups.watch(self._pipe, self._read)

    def handed_over(self) -> None:
        """The program has the descriptor: ours must not keep the pipe open."""
        if self._pipe is not None:
            os.close(self.output)

    def close(self) -> None:
        """Take what is still in the pipe. What a process that left its group prints later is lost."""
        for _ in range(MOST_CHUNKS):
            if not self._read():
                break
        self._end_of_pipe()
        os.close(self._file)

    def _read(self) -> bool:
        """Take a chunk, if there is one."""
        if self._pipe is None or self._masker is None:
            return False
        try:
            chunk = os.read(self._pipe, CHUNK)
        except BlockingIOError:
            return False
        if not chunk:
            self._end_of_pipe()
            return False
        _write(self._file, self._masker.feed(chunk))
        return True

    def _end_of_pipe(self) -> None:
        if self._pipe is not None and self._masker is not None:
            self._wakeups.unwatch(self._pipe)
            os.close(self._pipe)
            self._pipe = None
            _write(self._file, self._masker.close())


def _write(descriptor: int, data: bytes) -> None:
    while data:
        data = data[os.write(descriptor, data) :]


def tail(path: Path, lines: int) -> list[str]:
    """The last lines of a log, of its last 64 KiB."""
    try:
        with open_regular(path) as stream:
            stream.seek(max(0, os.fstat(stream.fileno()).st_size - CHUNK))
            return stream.read().decode(errors="replace").splitlines()[-lines:]
    except (FileNotFoundError, Unreadable):
        return []
