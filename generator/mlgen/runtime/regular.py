"""Files that the author's program could have put something else in place of: a pipe, a device, a link, a folder."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import BinaryIO


class Unreadable(Exception):
    """What lies at a path is no file that can be read; the message names it, for people."""


def open_regular(path: Path) -> BinaryIO:
    """A file, to be read. Never waits. Raises FileNotFoundError, and Unreadable for all that is no plain file."""
    try:
        # O_NONBLOCK: opening a FIFO would wait for its writer for ever.
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise Unreadable(f"{path.name} cannot be read: {error.strerror}") from None
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise Unreadable(f"{path.name} is no file")
    return open(descriptor, "rb")


def read_regular(path: Path) -> bytes:
    """The bytes of a file. Raises as `open_regular` does."""
    with open_regular(path) as stream:
        return stream.read()
