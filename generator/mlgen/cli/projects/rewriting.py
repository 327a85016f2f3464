"""How a file of the author's is written anew: whole, at once, with its rights, and only where it is as it was read."""

from __future__ import annotations

import fcntl
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mlgen.cli.output import note
from mlgen.cli.projects.folder import OWN
from mlgen.cli.projects.workspace import Workspace
from mlgen.diagnostic import CannotAnswer
from mlgen.local.rundirs import hide
from mlgen.store import disk

LOCK, PART = f"{OWN}/rewriting.lock", ".mlgen-rewriting.tmp"


@contextmanager
def alone(workspace: Workspace) -> Iterator[None]:
    """Waits until no other command writes a file of the project anew: what is read then stays so until the end.

    The lock ends with its process, however that ends.
    """
    path = workspace.own(LOCK)
    _own_folder(workspace)
    descriptor = os.open(path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o644)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            note("another mlgen changes this project: this one waits until it has ended")
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def rewrite(workspace: Workspace, name: str, before: bytes | None, data: bytes, changed: CannotAnswer) -> None:
    """Give a file of the project other bytes; a link in the repository stays one. Within `alone`.

    before: what it held when it was read; None: it was not there. Raises `changed` where that is so no more.
    """
    path = (workspace.root / name).resolve()
    # Nobody else has the name, so it is that of one that was killed, too.
    part = _beside(path, _own_folder(workspace)) / PART
    part.unlink(missing_ok=True)
    try:
        with os.fdopen(disk.open_new(part), "wb") as stream:
            stream.write(data)
        disk.sync(part)
        if held(workspace, name) != before:
            raise changed
        if before is not None:
            part.chmod(stat.S_IMODE(path.stat().st_mode))
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)


def _beside(path: Path, own: Path) -> Path:
    """Where a file is made that becomes another: where Git ignores it, but for an own folder on another disk."""
    return own if own.stat().st_dev == path.parent.stat().st_dev else path.parent


def held(workspace: Workspace, name: str) -> bytes | None:
    """The bytes of a file as it lies there; None where there is none."""
    files = workspace.worktree
    return files.read(name) if files.kind(name) == "file" else None


def _own_folder(workspace: Workspace) -> Path:
    folder = workspace.own(OWN)
    folder.mkdir(exist_ok=True)
    hide(folder)
    return folder
