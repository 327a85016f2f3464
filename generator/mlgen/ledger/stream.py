"""The files of a ledger one after another, however many: for whoever does not need all of them at once."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice

from mlgen.git import GitError, Object, Repository
from mlgen.ledger.records import imported
from mlgen.ledger.records.entry import Entry, from_bytes
from mlgen.ledger.records.fields import BadRecord
from mlgen.ledger.records.imported import ImportedEvent

# What readers of this version know. Other files below runs/ are of later kinds, and none of our business.
KNOWN = re.compile(r"runs/\d{4}/\d\d/\d\d/[^/]+/[^/]+/(run(\.reconciled)?|[^/]+-\d+\.[0-9a-f]{8})\.json")
KNOWN_IMPORTED = re.compile(imported.FOLDER + r"/\d{4}/\d\d/\d\d/[0-9a-f-]{36}\.[0-9a-f]{16}\.json")


WINDOW = 512


@dataclass(frozen=True, slots=True)
class Stored:
    """A file of the ledger that has a record's path. blob: what it is; `entry` says whether it is one."""

    path: str
    blob: Object

    def entry(self) -> Entry:
        """The record. Raises BadRecord where it is none, or lies at another path than its own."""
        entry = self._read()
        if isinstance(entry, ImportedEvent):
            raise BadRecord("it is an event of another producer")
        return entry

    def imported(self) -> ImportedEvent:
        """The event of another producer. Raises BadRecord where it is none, or lies at another path than its own."""
        entry = self._read()
        if not isinstance(entry, ImportedEvent):
            raise BadRecord("it is a record, not an event of another producer")
        return entry

    def _read(self) -> Entry | ImportedEvent:
        if self.blob.size_bytes != len(self.blob.data):
            raise BadRecord(f"the record has {self.blob.size_bytes:,} bytes")
        entry = from_bytes(self.blob.data)
        if entry.path != self.path:
            raise BadRecord(f"its path would be {entry.path}")
        return entry


def stream(
    repository: Repository, commit: str, *, since: str | None = None, wanted: Callable[[str], bool] | None = None
) -> Iterator[Stored]:
    """The files at a commit that have a record's path, in the order of their paths.

    since: an earlier commit's id; then only what is new. wanted: says by its path which file is read; None: all are.
    Raises GitError.
    """
    yield from _stream(repository, commit, folder="runs", known=KNOWN, since=since, wanted=wanted)


def stream_imported(
    repository: Repository, commit: str, *, since: str | None = None, wanted: Callable[[str], bool] | None = None
) -> Iterator[Stored]:
    """As `stream`, of the events of other producers: `Stored.imported` reads one."""
    yield from _stream(repository, commit, folder=imported.FOLDER, known=KNOWN_IMPORTED, since=since, wanted=wanted)


def _stream(
    repository: Repository,
    commit: str,
    *,
    folder: str,
    known: re.Pattern[str],
    since: str | None,
    wanted: Callable[[str], bool] | None,
) -> Iterator[Stored]:
    # Both processes of git run side by side; names are read ahead by as many as one request holds.
    with repository.reader() as reader:
        files = (f for f in repository.tree_files(commit, folder, since=since) if known.fullmatch(f.path))
        chosen = files if wanted is None else (f for f in files if wanted(f.path))
        while window := list(islice(chosen, WINDOW)):
            for file, blob in zip(window, reader.get_all(f.oid for f in window), strict=True):
                if blob is None:
                    raise GitError(f"{file.path} has no bytes: {file.oid} is missing")
                yield Stored(file.path, blob)
