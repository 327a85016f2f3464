"""Reading many objects with one git process."""

from __future__ import annotations

import hashlib
import subprocess
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import IO, BinaryIO, Self, TypeVar

from mlgen.git.command import GitError

# Requests that are sent before their answers are read: they must fit into a pipe (64 KiB), or both sides would wait.
_WINDOW = 64
_MAX_REQUEST = 900  # bytes
CHUNK = 1 << 20  # bytes that are read at once
HEAD = 1024  # bytes
LIMIT = 16 << 20  # bytes of an object that is read; what we write has 1 MiB at most, and others write to branches too

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Object:
    """kind: commit, tree, blob or tag. oid: its id in hex. data: empty where its size_bytes are over the limit."""

    oid: str
    kind: str
    size_bytes: int
    data: bytes


def blob_id(data: bytes, object_format: str) -> str:
    """The id that a file with these bytes has. object_format: "sha1" or "sha256". Source: git-hash-object(1)."""
    return hashlib.new(object_format, b"blob %d\0%s" % (len(data), data), usedforsecurity=False).hexdigest()


@dataclass(frozen=True, slots=True)
class Measured:
    """What a blob holds. sha256: 64 hex digits. head: its first bytes, HEAD at most."""

    size_bytes: int
    sha256: str
    head: bytes


class Reader:
    """`git cat-file --batch`, kept running. It sees refs and objects as they are when asked, not when it started."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        assert process.stdin is not None
        assert process.stdout is not None
        self._process, self._in, self._out = process, process.stdin, process.stdout

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Let the process end; again is harmless."""
        if self._process.returncode is None:
            self._process.communicate()

    def get(self, name: str) -> Object | None:
        """The object of a name: an id, a ref, `<commit>:<path>`. None when there is none."""
        return next(self.get_all([name]))

    def get_all(self, names: Iterable[str]) -> Iterator[Object | None]:
        """The objects of names, in their order."""
        return self._ask(names, self._answer)

    def measure_all(self, oids: Iterable[str]) -> Iterator[Measured | None]:
        """What blobs of any size hold, by their ids, in their order; None for one that is not there."""
        return self._ask(oids, lambda out: self._pass(out, None))

    def copy(self, oid: str, target: BinaryIO) -> Measured | None:
        """Write a blob of any size into a file; None where it is not there."""
        return next(self._ask([oid], lambda out: self._pass(out, target)))

    def _ask(self, names: Iterable[str], answer: Callable[[IO[bytes]], T]) -> Iterator[T]:
        waiting = iter(names)
        while window := list(islice(waiting, _WINDOW)):
            try:
                self._in.write(b"".join(map(_request, window)))
                self._in.flush()
            except BrokenPipeError:
                raise self._ended() from None
            for _ in window:
                yield answer(self._out)

    def files(self, commit: str, paths: Iterable[str]) -> dict[str, bytes]:
        """The bytes at those of the paths that a commit, by its id, has."""
        asked = list(paths)
        found = self.get_all(f"{commit}:{path}" for path in asked)
        return {path: one.data for path, one in zip(asked, found, strict=True) if one is not None}

    def _header(self, out: IO[bytes]) -> tuple[str, str, int] | None:
        """The id, kind and size of the object that follows."""
        header = out.readline()
        if not header.endswith(b"\n"):
            raise self._ended()
        if header.endswith((b" missing\n", b" ambiguous\n")):
            return None
        oid, kind, length = header.split()
        return oid.decode(), kind.decode(), int(length)

    def _pass(self, out: IO[bytes], target: BinaryIO | None) -> Measured | None:
        header = self._header(out)
        if header is None:
            return None
        size = left = header[2]
        found, head = hashlib.sha256(), b""
        while left and (chunk := out.read(min(left, CHUNK))):
            found.update(chunk)
            head = head or chunk[:HEAD]
            if target is not None:
                target.write(chunk)
            left -= len(chunk)
        if left or out.read(1) != b"\n":
            raise self._ended()
        return Measured(size, found.hexdigest(), head)

    def _answer(self, out: IO[bytes]) -> Object | None:
        header = self._header(out)
        if header is None:
            return None
        oid, kind, size = header
        answer = out.read(size + 1) if size <= LIMIT else _skip(out, size) + out.read(1)
        if not answer.endswith(b"\n") or (size <= LIMIT and len(answer) != size + 1):
            raise self._ended()
        return Object(oid, kind, size, answer[:-1])

    def _ended(self) -> GitError:
        _, err = self._process.communicate()
        return GitError(err.decode(errors="replace").strip() or "git ended while it was read from")


def _skip(out: IO[bytes], size: int) -> bytes:
    while size > 0 and (chunk := out.read(min(size, LIMIT))):
        size -= len(chunk)
    return b""


def _request(name: str) -> bytes:
    request = name.encode(errors="surrogateescape") + b"\n"
    if b"\n" in request[:-1] or len(request) > _MAX_REQUEST:
        raise ValueError(f"no object has the name {name[:80]!r}")
    return request
