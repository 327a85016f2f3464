"""Files that the author's program could have put something else in place of: a pipe, a device, a link, a folder."""

from __future__ import annotations

import os
from pathlib import Path
from typing import BinaryIO

from mlgen.store import BadArtifact, Missing, hold

MOST = 64 << 20  # bytes that are read at once: far more than any file of ours has


class Unreadable(Exception):
    """What lies at a path is no file that can be read; the message names it, for people."""


def open_regular(path: Path, *, beneath: Path | None = None) -> BinaryIO:
    """A file, to be read. Never waits. beneath: as in `store.hold`.

    Raises FileNotFoundError, and Unreadable for all that is no plain file.
    """
    try:
        with hold(path, beneath=beneath) as held:
            if held.is_folder:
                raise Unreadable(f"{path.name} is no file")
            return open(os.dup(held.descriptor), "rb")
    except Missing as error:
        raise FileNotFoundError(str(error)) from None
    except (BadArtifact, OSError) as error:
        raise Unreadable(f"{path.name} cannot be read: {error}") from None


def read_regular(path: Path, *, at_most: int = MOST) -> bytes:
    """The bytes of a file. Raises as `open_regular` does, also Unreadable for a longer one."""
    with open_regular(path) as stream:
        data = stream.read(at_most + 1)
    if len(data) > at_most:
        raise Unreadable(f"{path.name} has more than {at_most:,} bytes")
    return data
