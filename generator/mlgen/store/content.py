"""What a file or folder holds: its digest, size and kind, read in one pass with little memory."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Generator, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from mlgen import canonical
from mlgen.store.beneath import Held, hold
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
    """What is at a path. Raises Missing; BadArtifact for links, special files and what must not be read."""
    with hold(path) as held:
        return measure_held(held)


def measure_held(held: Held) -> Content:
    """What a file or folder holds. Raises BadArtifact."""
    if not held.is_folder:
        return hash_file(held).content(held.path.name)
    return folder_content(_hash_below(held, name) for name in held.files())


def _hash_below(folder: Held, name: str) -> File:
    with folder.open(name) as held:
        return hash_file(held).file(name)


def folder_content(files: Iterable[File]) -> Content:
    """The content of a folder of these files."""
    known = list(files)
    digest = canonical.folder_digest((f.path, f.sha256) for f in known)
    return Content(digest, sum(f.size_bytes for f in known), FOLDER_TYPE, is_folder=True)


def hash_file(held: Held) -> Hashed:
    """A file, read and hashed."""
    return Hashed(chunks(held)).drained()


def copy_file(held: Held, target: BinaryIO) -> Hashed:
    """Copy a file into an open one, hashing on the way."""
    passed = Hashed(chunks(held))
    target.writelines(passed)
    return passed


def chunks(held: Held, size: int = CHUNK) -> Generator[bytes]:
    """The bytes of a file from its beginning, `size` at a time, however often it is read, also at once."""
    descriptor, at = os.dup(held.descriptor), 0  # its own: a thread may still ask for bytes when the file is let go
    try:
        while chunk := os.pread(descriptor, size, at):
            at += len(chunk)
            yield chunk
    finally:
        os.close(descriptor)


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
