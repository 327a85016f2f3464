"""Files that are whole at every moment, in folders where an author's program can put something else in their place."""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path
from typing import Any

from mlgen.runtime.regular import Unreadable, read_regular
from mlgen.store.disk import remove


def write(path: Path, data: bytes) -> None:
    """Make a file that is whole at every moment, also when the disk is full or the engine killed.

    Not forced to the disk: a crash of the machine may lose it. What must survive that is put into the spool.
    """
    temporary = path.with_name(f".{path.name}.new")
    try:
        remove(temporary)  # what a kill left, or a task put here: opening its FIFO would wait for ever
        with temporary.open("xb") as stream:
            stream.write(data)
        if path.is_dir():
            remove(path)
        temporary.rename(path)
    except OSError:
        with suppress(IsADirectoryError):
            temporary.unlink(missing_ok=True)
        raise


def append(path: Path, line: bytes) -> None:
    """Add a line to a file that is made if need be."""
    if path.is_symlink() or (path.exists() and not path.is_file()):
        remove(path)
    with path.open("ab") as stream:
        stream.write(line + b"\n")


def read(path: Path) -> Any | None:
    """The JSON of a file; None when there is none, or a crash of the machine left it empty. Raises Unreadable."""
    try:
        return json.loads(read_regular(path))
    except (FileNotFoundError, ValueError, RecursionError):
        return None


def is_whole(path: Path) -> bool:
    """Whether there is a file with JSON, and not something that a task put in its place."""
    try:
        return read(path) is not None
    except Unreadable:
        return False
