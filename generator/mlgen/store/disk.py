"""How bytes become a file or folder that is whole from the moment it has its name, also after a kill or power cut."""

from __future__ import annotations

import errno
import itertools
import os
import shutil
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path, PurePosixPath
from typing import TypeVar

from mlgen.store.beneath import Held
from mlgen.store.content import Content, File, copy_file, folder_content

PART = ".part-"  # how a name begins while its bytes are not whole; a kill leaves it, and no list shows it

T = TypeVar("T")
_count = itertools.count()


def new_part(folder: Path, make: Callable[[Path], T]) -> tuple[Path, T]:
    """(path, what `make` made there) under a name of the folder that nobody else has."""
    while True:
        part = folder / f"{PART}{os.getpid()}-{next(_count)}"
        with suppress(FileExistsError):  # left by a killed process that had our number
            return part, make(part)


def open_new(path: Path, mode: int = 0o666) -> int:
    """A file handle to write a new file. mode: less the umask. Raises FileExistsError."""
    return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)


def appear(part: Path, target: Path) -> None:
    """Give whole bytes their name; `part` keeps its own. Raises FileExistsError when something has the name."""
    try:
        os.link(part, target, follow_symlinks=False)
    except OSError as error:
        # Some file systems (exFAT, some network mounts) have no hard links. Between the look and the rename
        # another writer's bytes could be replaced; keys that two writers share hold the digest of their bytes.
        if error.errno not in (errno.EPERM, errno.ENOTSUP, errno.ENOSYS, errno.EMLINK):
            raise
        check_free(target)
        copy = part.with_name(f"{part.name}.copy")
        shutil.copyfile(part, copy)
        os.rename(copy, target)


def check_free(path: Path) -> None:
    """Raises FileExistsError when something has the name."""
    if os.path.lexists(path):
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(path))


def rename_folder(path: Path, target: Path) -> bool:
    """Give a whole folder its name; False when something has it."""
    try:
        os.rename(path, target)  # fails where a file, or a folder with files, has the name
    except OSError as error:
        if error.errno not in (errno.ENOTEMPTY, errno.EEXIST, errno.ENOTDIR):
            raise
        return False
    return True


def copy_one(source: Held, target: Path) -> Content:
    """Copy a file to a new path; its mode is not kept."""
    with os.fdopen(open_new(target), "wb") as stream:
        return copy_file(source, stream).content(source.path.name)


def copy_folder(source: Held, target: Path) -> Content:
    """Copy the files of a folder into one that exists; modes and empty folders are not kept. Raises BadArtifact."""
    return folder_content(_copy_below(source, name, target) for name in source.files())


def _copy_below(folder: Held, name: str, root: Path) -> File:
    # Not the root itself: whoever takes it away meanwhile wants it gone.
    for parent in reversed(PurePosixPath(name).parents[:-1]):
        (root / parent).mkdir(exist_ok=True)
    with folder.open(name) as source, os.fdopen(open_new(root / name), "wb") as stream:
        return copy_file(source, stream).file(name)


def remove(path: Path, *, all_that_can: bool = False) -> None:
    """Remove a file or a folder with all it holds; nothing there is fine.

    all_that_can: what cannot be removed stays; else it raises OSError.
    """
    if not path.is_dir() or path.is_symlink():
        path.unlink(missing_ok=True)
        return
    try:
        shutil.rmtree(path, ignore_errors=all_that_can)
    except RecursionError:  # up to Python 3.12 it calls itself; a program may have made folders as deep as it likes
        import subprocess  # here: a pod that starts no process does not load it

        told = subprocess.run(["rm", "-rf", "--", path], capture_output=True, text=True, check=False)
        if told.returncode != 0 and not all_that_can:
            raise OSError(errno.ENOTEMPTY, told.stderr.strip(), str(path)) from None


def empty(folder: Path) -> None:
    """Remove what is in a folder, and not the folder: in a pod, the author's program has it mounted."""
    for path in folder.iterdir():
        remove(path)


def make_folder(folder: Path) -> None:
    """Make a folder and its parents, durably."""
    if folder.is_dir():
        return
    make_folder(folder.parent)
    with suppress(FileExistsError):
        folder.mkdir()
    sync(folder.parent)


def sync(path: Path) -> None:
    """Make a file's bytes, or a folder's names, survive a power cut."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
