"""A short way to a task's own temporary folder, for programs that make sockets in it."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

BASE = Path("/tmp")  # a constant, so that recovery finds the link without the environment of the engine that died
ROOM = 50  # characters that Python's multiprocessing and torch add, of the 108 that a socket's path may have (unix(7))


def lead_to(folder: Path, run_id: str) -> Path:
    """What TMPDIR shall be: the folder, or where its path is too long a link to it. run_id: of the attempt.

    Where a link cannot be made, or its name is taken, the folder itself.
    """
    if len(os.fsencode(folder)) + ROOM < 108:
        return folder
    link = _link(run_id)
    try:
        link.symlink_to(folder.absolute(), target_is_directory=True)
    except OSError:
        return folder
    return link


def forget(folder: Path, run_id: str) -> None:
    """Remove the link, if it is ours: a name in /tmp may be anybody's."""
    link = _link(run_id)
    with contextlib.suppress(OSError):
        if os.readlink(link) == str(folder.absolute()):
            link.unlink()


def _link(run_id: str) -> Path:
    return BASE / f"mlgen-{run_id.replace('-', '')[:16]}"
