"""What somebody else's program may have put in place of anything, opened as what it is: no link leads out of a root.

Each folder on the way is opened in the one before it and never by its path, and what is read is the descriptor that
was looked at: so it does not matter what is swapped meanwhile. A program that makes its folder of outs a link to
/proc/self would else have ours upload its own variables, with the keys in them. Hard links need no care: link(2) does
not leave a mount, so that they lead only to files which that program can write or name itself.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from mlgen.store.errors import BadArtifact, Missing

# O_PATH, where there is one: a folder on the way need not be readable, only passable.
_FOLDER = os.O_DIRECTORY | os.O_CLOEXEC | getattr(os, "O_PATH", os.O_RDONLY)
# O_NONBLOCK: opening a FIFO would wait for its writer for ever.
_LAST = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
MAX_PATH_BYTES = 4096  # below a folder artifact; what a path that a system call takes may have
_NO_FOLDER = (errno.ENOTDIR, errno.ELOOP)  # what O_NOFOLLOW says of a link beside O_DIRECTORY depends on the system
_SWAPPED = (errno.ELOOP, errno.ENXIO)  # a link, a socket or a device where a file or folder was a moment ago


@dataclass(frozen=True, slots=True)
class Held:
    """A file or folder, held open. path: where it was found, for people."""

    descriptor: int
    path: Path
    is_folder: bool

    @property
    def size_bytes(self) -> int:
        return os.fstat(self.descriptor).st_size

    def files(self) -> Iterator[str]:
        """The files below this folder, as posix paths, sorted by folder. Empty folders do not appear.

        Raises BadArtifact for a link, a special file, a name that is not UTF-8 or holds a newline, or what cannot be
        read.
        """
        waiting = [""]
        while waiting:
            below = waiting.pop()
            with self.open(below) as folder, os.scandir(folder.descriptor) as entries:
                found = sorted((e.name, e.stat(follow_symlinks=False).st_mode) for e in entries)
            for name, mode in found:
                path = f"{below}/{name}" if below else name
                _check_name(path)
                if stat.S_ISDIR(mode):
                    waiting.append(path)
                elif stat.S_ISREG(mode):
                    yield path
                else:
                    raise BadArtifact(f"{path!r} in {self.path} is {_kind(mode)}: a folder artifact holds files only")

    @contextmanager
    def open(self, below: str) -> Iterator[Held]:
        """What lies below this folder, by its posix path; the empty one is the folder again. Raises as `hold` does."""
        yield from _descend(self.descriptor, tuple(below.split("/")) if below else (), self.path)


@contextmanager
def hold(path: Path, *, beneath: Path | None = None) -> Iterator[Held]:
    """The file or folder at a path. beneath: the folder above it below which no link is followed; else its parent.

    Raises Missing; BadArtifact for a link, a special file, and what must not be read; OSError.
    """
    root = path.parent if beneath is None else beneath
    parts = path.relative_to(root).parts
    if beneath is not None and ".." in parts:
        raise ValueError(f"{path} is not beneath {beneath}")
    try:
        folder = os.open(root, _FOLDER)
    except (FileNotFoundError, NotADirectoryError):
        raise _nothing(path) from None
    try:
        yield from _descend(folder, parts, root)
    finally:
        os.close(folder)


def _descend(folder: int, parts: tuple[str, ...], root: Path) -> Iterator[Held]:
    """What lies below an open folder, held while this generator is."""
    *ways, name = parts or (".",)
    path, folder = root, os.dup(folder)
    try:
        for way in ways:
            path /= way
            below = _open_folder(folder, way, path)
            os.close(folder)  # so one is held, however deep it goes
            folder = below
        path = root.joinpath(*parts)
        descriptor = _open_last(folder, name, path)
    finally:
        os.close(folder)
    try:
        yield Held(descriptor, path, stat.S_ISDIR(os.fstat(descriptor).st_mode))
    finally:
        os.close(descriptor)


def _open_folder(folder: int, name: str, path: Path) -> int:
    try:
        return os.open(name, _FOLDER | os.O_NOFOLLOW, dir_fd=folder)
    except PermissionError:
        raise _forbidden(path) from None
    except OSError as error:
        if error.errno not in (*_NO_FOLDER, errno.ENOENT):
            raise
        if error.errno in _NO_FOLDER and stat.S_ISLNK(_mode(folder, name, path)):
            raise BadArtifact(f"{path} is a symbolic link, and none is followed") from None
        raise _nothing(path) from None


def _open_last(folder: int, name: str, path: Path) -> int:
    _check_mode(_mode(folder, name, path), path)  # first: opening a device may do something
    try:
        descriptor = os.open(name, _LAST, dir_fd=folder)
    except FileNotFoundError:
        raise _nothing(path) from None
    except PermissionError:
        raise _forbidden(path) from None
    except OSError as error:
        if error.errno not in _SWAPPED:
            raise
        raise BadArtifact(f"{path} changes while it is read") from None
    try:
        _check_mode(os.fstat(descriptor).st_mode, path)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def _mode(folder: int, name: str, path: Path) -> int:
    try:
        return os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode
    except FileNotFoundError:
        raise _nothing(path) from None
    except PermissionError:
        raise _forbidden(path) from None


def _check_mode(mode: int, path: Path) -> None:
    if not stat.S_ISREG(mode) and not stat.S_ISDIR(mode):
        raise BadArtifact(f"{path} is {_kind(mode)}, and neither a file nor a folder")


def _check_name(path: str) -> None:
    # A newline would make two different folders share one list of `<sha256>  <path>\n`, and so one digest.
    if "\n" in path:
        raise BadArtifact(f"{path!r} has a newline in its name")
    try:
        size = len(path.encode())
    except UnicodeEncodeError:
        raise BadArtifact(f"{path!r} has a name that is not UTF-8") from None
    if size > MAX_PATH_BYTES:  # each folder is found from the top: endless ones would take endlessly
        raise BadArtifact(f"{path[:80]!r}… has more than {MAX_PATH_BYTES:,} bytes")


def _kind(mode: int) -> str:
    if stat.S_ISLNK(mode):
        return "a symbolic link"
    if stat.S_ISFIFO(mode):
        return "a FIFO"
    return "a socket" if stat.S_ISSOCK(mode) else "a device"


def _nothing(path: Path) -> Missing:
    return Missing(f"there is nothing at {path}")


def _forbidden(path: Path) -> BadArtifact:
    return BadArtifact(f"{path} cannot be read: its permissions forbid it")
