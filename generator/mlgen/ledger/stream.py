"""The files of a ledger one after another, however many: for whoever does not need all of them at once."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

from mlgen.git import GitError, Object, Repository
from mlgen.ledger.entry import Entry, from_bytes
from mlgen.ledger.fields import BadRecord

# What readers of this version know. Other files below runs/ are of later kinds, and none of our business.
KNOWN = re.compile(r"runs/\d{4}/\d\d/\d\d/[^/]+/[^/]+/(run(\.reconciled)?|[^/]+-\d+\.[0-9a-f]{8})\.json")


WINDOW = 512


@dataclass(frozen=True, slots=True)
class Stored:
    """A file of the ledger that has a record's path. blob: what it is; `entry` says whether it is one."""

    path: str
    blob: Object

    def entry(self) -> Entry:
        """The record. Raises BadRecord where it is none, or lies at another path than its own."""
        if self.blob.size_bytes != len(self.blob.data):
            raise BadRecord(f"the record has {self.blob.size_bytes:,} bytes")
        entry = from_bytes(self.blob.data)
        if entry.path != self.path:
            raise BadRecord(f"its path would be {entry.path}")
        return entry


def stream(repository: Repository, commit: str, *, since: str | None = None) -> Iterator[Stored]:
    """The files at a commit that have a record's path, in the order of their paths.

    since: an earlier commit's id; then only what is new. Raises GitError.
    """
    # Both processes of git run side by side; names are read ahead by as many as one request holds.
    with repository.reader() as reader:
        known = (f for f in repository.tree_files(commit, "runs", since=since) if KNOWN.fullmatch(f.path))
        while window := list(islice(known, WINDOW)):
            for file, blob in zip(window, reader.get_all(f.oid for f in window), strict=True):
                if blob is None:
                    raise GitError(f"{file.path} has no bytes: {file.oid} is missing")
                yield Stored(file.path, blob)
