"""What a file or folder holds: its digest, size and kind, read in one pass with little memory."""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Generator, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from mlgen import canonical
from mlgen.store.errors import BadArtifact
from mlgen.store.mediatype import media_type

CHUNK = 1 << 20  # bytes
FOLDER_TYPE = "inode/directory"  # freedesktop's shared MIME-info


@dataclass(frozen=True, slots=True)
class Content:
    """digest: "sha256:" and 64 hex digits; of a folder, `canonical.folder_digest`. size_bytes: of all files."""

    digest: str
    size_bytes: int
    media_type: str
    is_folder: bool


@dataclass(frozen=True, slots=True)
class File:
    """A file of a folder. path: posix, below the folder. sha256: 64 hex digits."""

    path: str
    sha256: str
    size_bytes: int


def measure(path: Path) -> Content:
    """What is at a path. Raises BadArtifact for links and special files, FileNotFoundError for nothing."""
    mode = path.lstat().st_mode
    if stat.S_ISDIR(mode):
        return folder_content(hash_file(path / name).file(name) for name in walk(path))
    if not stat.S_ISREG(mode):
        raise BadArtifact(f"{path} is {_kind(mode)}: an artifact is a file or a folder")
    return hash_file(path).content(path.name)


def folder_content(files: Iterable[File]) -> Content:
    """The content of a folder of these files."""
    known = list(files)
    digest = canonical.folder_digest((f.path, f.sha256) for f in known)
    return Content(digest, sum(f.size_bytes for f in known), FOLDER_TYPE, is_folder=True)


def walk(root: Path) -> Iterator[str]:
    """The files below a folder, as posix paths, sorted by folder. Empty folders do not appear.

    Raises BadArtifact for a link, a special file, a name that is not UTF-8 or holds a newline, or what cannot be read.
    """
    waiting = [""]
    while waiting:
        below = waiting.pop()
        with readable(root / below), os.scandir(root / below) as entries:
            found = sorted(entries, key=lambda entry: entry.name)
        for entry in found:
            path = f"{below}{entry.name}"
            _check_name(path)
            mode = entry.stat(follow_symlinks=False).st_mode
            if stat.S_ISDIR(mode):
                waiting.append(path + "/")
            elif stat.S_ISREG(mode):
                yield path
            else:
                raise BadArtifact(f"{path!r} in {root} is {_kind(mode)}: a folder artifact holds files only")


def _check_name(path: str) -> None:
    # A newline would make two different folders share one list of `<sha256>  <path>\n`, and so one digest.
    if "\n" in path:
        raise BadArtifact(f"{path!r} has a newline in its name")
    try:
        path.encode()
    except UnicodeEncodeError:
        raise BadArtifact(f"{path!r} has a name that is not UTF-8") from None


def _kind(mode: int) -> str:
    if stat.S_ISLNK(mode):
        return "a symbolic link"
    if stat.S_ISFIFO(mode):
        return "a FIFO"
    return "a socket" if stat.S_ISSOCK(mode) else "a device" if stat.S_ISCHR(mode) or stat.S_ISBLK(mode) else "a folder"


@contextmanager
def readable(path: Path) -> Iterator[None]:
    """Raises BadArtifact where the system does not let us read what a program left."""
    try:
        yield
    except PermissionError:
        raise BadArtifact(f"{path} cannot be read: its permissions forbid it") from None


def hash_file(path: Path) -> Hashed:
    """A file, read and hashed."""
    return Hashed(chunks(path)).drained()


def copy_file(source: Path, target: BinaryIO) -> Hashed:
    """Copy a file into an open one, hashing on the way."""
    passed = Hashed(chunks(source))
    target.writelines(passed)
    return passed


def chunks(path: Path, size: int = CHUNK) -> Generator[bytes]:
    """The bytes of a file, `size` at a time."""
    with readable(path):
        stream = path.open("rb")
    with stream:
        while chunk := stream.read(size):
            yield chunk


HEAD = 512  # bytes, enough to tell a file's type


class Hashed:
    """Hands chunks of bytes on; once all have passed, it knows what they were."""

    def __init__(self, stream: Iterable[bytes | memoryview]) -> None:
        self._stream, self._hash = stream, hashlib.sha256()
        self.size_bytes, self.head = 0, b""

    def __iter__(self) -> Iterator[bytes | memoryview]:
        for chunk in self._stream:
            self._hash.update(chunk)
            self.size_bytes += len(chunk)
            if len(self.head) < HEAD:
                self.head += chunk[:HEAD]
            yield chunk

    def drained(self) -> Hashed:
        """Itself, after all has passed: for what is read only to be hashed."""
        for _ in self:
            pass
        return self

    @property
    def sha256(self) -> str:
        """64 hex digits."""
        return self._hash.hexdigest()

    def content(self, name: str) -> Content:
        """As the content of a file of that name."""
        return Content(f"sha256:{self.sha256}", self.size_bytes, media_type(name, self.head), is_folder=False)

    def file(self, path: str) -> File:
        """As a file of a folder."""
        return File(path, self.sha256, self.size_bytes)
