"""An answer that is written while it is made, however long: to stdout, or to a file that appears when it is whole."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from mlgen.diagnostic import visible


@contextmanager
def opened(out: Path | None) -> Iterator[IO[bytes]]:
    """The file that a path becomes if all goes well, or stdout. What was at the path stays until then."""
    if out is None:
        with suppress(BrokenPipeError):  # a reader that left (head) has what it wanted
            sys.stdout.flush()
            yield sys.stdout.buffer
            sys.stdout.buffer.flush()
        return
    part = out.with_name(f".{out.name}.{os.getpid()}.part")
    try:
        with part.open("wb") as file:
            yield file
        part.replace(out)
    finally:
        with suppress(OSError):  # it is the file by now, or was never made
            part.unlink()


def text_to(file: IO[bytes]) -> Callable[[bytes], object]:
    """What writes lines of UTF-8 to a file. To a terminal, so that a line cannot move the cursor."""
    if not file.isatty():
        return file.write

    def show(lines: bytes) -> None:
        for line in lines.decode().splitlines():
            file.write(visible(line).encode() + b"\n")

    return show
