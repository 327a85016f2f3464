"""The chain of a ledger's commits, which does not rest on SHA-1: two trailers in each message.

    Mlgen-Batch-Sha256: what this commit adds
    Mlgen-Prev-Sha256:  all that came before

Both are 64 hex digits. *Batch* is the sha256 of the sorted lines `<sha256 of the file>  <path>\\n`, one for each file
that the commit adds: the digest of a folder that holds just these. *Prev* is, for the first commit, 64 zeros; for any
other, the sha256 of the parent's two values as the text `<Prev>\\n<Batch>\\n`. So `Prev` of a commit follows from the
batches of all commits before it, and from nothing else. A commit without the trailers, made by hand, breaks the
chain: the one after it begins at 64 zeros, and verification says so.
"""

from __future__ import annotations

import hashlib
import heapq
import re
import tempfile
from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import IO

from mlgen import canonical

START = "0" * 64
_PART = 100_000  # lines of a batch that are held in memory, some 20 MB
_TRAILER = re.compile(r"^Mlgen-(Batch|Prev)-Sha256: ([0-9a-f]{64})$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Link:
    """The two values of a commit."""

    batch: str
    prev: str

    @property
    def next_prev(self) -> str:
        """`Prev` of the commit after it."""
        return hashlib.sha256(f"{self.prev}\n{self.batch}\n".encode()).hexdigest()

    @property
    def trailers(self) -> str:
        """The last paragraph of the commit's message."""
        return f"Mlgen-Batch-Sha256: {self.batch}\nMlgen-Prev-Sha256: {self.prev}\n"


def link(files: Mapping[str, bytes], parent: Link | None) -> Link:
    """The values of a commit that adds these files, by path."""
    digests = {path: hashlib.sha256(data).hexdigest() for path, data in files.items()}
    batch = canonical.folder_digest(digests).removeprefix("sha256:")
    return Link(batch, START if parent is None else parent.next_prev)


@dataclass
class Batch(AbstractContextManager["Batch"]):
    """*Batch* of any number of files: their lines are sorted in parts, which lie on disk until it is left."""

    _lines: list[bytes] = field(default_factory=list)
    _parts: list[IO[bytes]] = field(default_factory=list)

    def __exit__(self, *_: object) -> None:
        for part in self._parts:
            part.close()

    def add(self, path: str, sha256: str) -> None:
        """sha256: of the file's bytes, 64 hex digits."""
        self._lines.append(f"{sha256}  {path}\n".encode(errors="surrogateescape"))
        if len(self._lines) == _PART:
            part = tempfile.TemporaryFile()  # noqa: SIM115 - it is closed by __exit__
            part.writelines(sorted(self._lines))
            self._parts.append(part)
            self._lines.clear()

    def digest(self) -> str:
        """The value, of what was added so far."""
        for part in self._parts:
            part.seek(0)
        found = hashlib.sha256()
        for line in heapq.merge(*self._parts, sorted(self._lines)):
            found.update(line)
        for part in self._parts:
            part.seek(0, 2)
        return found.hexdigest()


def of_commit(commit: bytes) -> Link | None:
    """The values in a commit object; None where they are not there, once each."""
    message = commit.partition(b"\n\n")[2].decode(errors="replace").rstrip()
    found = _TRAILER.findall(message.rpartition("\n\n")[2])
    values = dict(found)
    return Link(values["Batch"], values["Prev"]) if len(found) == len(values) == 2 else None
