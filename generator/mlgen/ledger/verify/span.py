"""Some commits in a row, each measured against its parent: what it says, what it changes, every byte that it adds.

A commit is judged by itself and its parent alone, so that spans can be walked side by side, and in any order.
"""

from __future__ import annotations

import hashlib
from array import array
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import islice

from mlgen.git import Object, Reader, Repository, Signers
from mlgen.git.difference import FOLDER, BadFolder, Change, Forged, Lost, TooWide, Trees
from mlgen.git.history import Commit, id_of
from mlgen.ledger import chain, epoch
from mlgen.ledger.chain import Batch, Link
from mlgen.ledger.records import imported
from mlgen.ledger.records.entry import from_bytes
from mlgen.ledger.records.fields import BadRecord, NewerFormat
from mlgen.ledger.records.imported import ImportedEvent
from mlgen.ledger.stream import KNOWN, KNOWN_IMPORTED
from mlgen.ledger.verify.finding import Finding, Found
from mlgen.ledger.verify.identity import key_of, new_keys

WINDOW = 512  # files that are asked for at once
MOST_WRONG = 1000  # files of a commit, before the rest of it is not read: a few KB of trees can name 10**12 files
MAX_COMMIT_BYTES = 256 << 10  # an RSA signature has 3 KiB, and a message of a fold a few lines
_FILE = "100644"
_MODES = {"120000": "a symbolic link", "160000": "another repository", FOLDER: "a folder in which no record lies"}
_FOLDERS = {"runs": 6, imported.FOLDER: 4}  # where records lie, and how many folders deep
_BAD_FOLDERS = {Forged: "forged-commit", Lost: "missing-bytes", TooWide: "too-many-files"}
UNSIGNED, SIGNED, WRONG, UNCHECKED = b"uswc"  # a byte for each commit: by a key that is allowed, not allowed, unknown


@dataclass(frozen=True, slots=True)
class Asked:
    """A commit to judge. at: by which time its key is judged, in seconds since 1970."""

    commit: Commit
    at: int


@dataclass(frozen=True, slots=True)
class Terms:
    """What commits are measured by. signers: None where nobody said whose keys are good.

    elsewhere: environments whose records belong to another ledger.
    """

    signers: Signers | None = None
    elsewhere: frozenset[str] = frozenset()


@dataclass(slots=True)
class Part:
    """What a span has. marks: how each commit is signed, a byte each. keys: of its records (`identity`).

    environments, principals: how many records and commits each has.
    """

    found: Found = field(default_factory=Found)
    marks: bytes = b""
    records: int = 0
    keys: array[int] = field(default_factory=new_keys)
    environments: dict[str, int] = field(default_factory=dict)
    principals: dict[str, int] = field(default_factory=dict)


def judge(repository: Repository, asked: Sequence[Asked], terms: Terms) -> Part:
    """Judge commits. Raises GitError, and CannotAnswer "no-ssh-keygen"."""
    part = Part()
    with repository.reader() as reader:
        heads = _heads(reader, [one.commit for one in asked])
        signed = [(heads[one.commit.oid], datetime.fromtimestamp(one.at, UTC)) for one in asked]
        _check_signatures(part, [one.commit for one in asked], signed, terms.signers)
        span = _Span(repository, reader, Trees(reader, repository.object_format), terms, heads, part)
        for one in asked:
            span.check(one.commit)
    return part


def _heads(reader: Reader, commits: Sequence[Commit]) -> dict[str, bytes]:
    """The bytes of the commits and of their first parents, by their ids; empty for one that is far too large."""
    oids = list(dict.fromkeys(oid for commit in commits for oid in (*commit.parents[:1], commit.oid)))
    found = zip(oids, reader.get_all(oids), strict=True)
    return {oid: one.data if one and one.size_bytes <= MAX_COMMIT_BYTES else b"" for oid, one in found}


def _check_signatures(
    part: Part, commits: Sequence[Commit], signed: Sequence[tuple[bytes, datetime]], signers: Signers | None
) -> None:
    if signers is None:
        part.marks = bytes(UNCHECKED if _has_signature(data) else UNSIGNED for data, _ in signed)
        return
    marks = bytearray()
    for commit, verdict in zip(commits, signers.check_all(signed), strict=True):
        if verdict.principal is not None:
            marks.append(SIGNED)
            part.principals[verdict.principal] = part.principals.get(verdict.principal, 0) + 1
        else:
            marks.append(WRONG if verdict.is_signed else UNSIGNED)
            if verdict.is_signed:
                part.found.add(Finding("wrong-signature", verdict.reason, commit.oid))
    part.marks = bytes(marks)


def _has_signature(commit: bytes) -> bool:
    return b"\ngpgsig" in commit.partition(b"\n\n")[0]


@dataclass(frozen=True, slots=True)
class _Span:
    repository: Repository
    reader: Reader
    trees: Trees
    terms: Terms
    heads: dict[str, bytes]
    part: Part

    def check(self, commit: Commit) -> None:
        """Judge a commit and its files."""
        data = self.heads[commit.oid]
        if not data:
            self._add("bad-trailers", f"the commit has more than {MAX_COMMIT_BYTES:,} bytes", commit)
            return
        if not self._is_genuine(commit, data):
            return
        files = _Files(self, commit)
        before = self._tree_before(commit.parents[0]) if commit.parents else None
        try:
            files.read(self.trees.changes(before, _tree_of(data), _may_hold_records))
        except BadFolder as error:
            self._add(_BAD_FOLDERS[type(error)], str(error), commit)
        if len(commit.parents) > 1:
            self._add("merge-commit", f"the commit has {len(commit.parents)} parents", commit)
        self._check_chain(commit, data, files.batch)

    def _tree_before(self, parent: str) -> str | None:
        if head := self.heads[parent]:
            return _tree_of(head)
        found = self.reader.get(f"{parent}^{{tree}}")  # one that is far too large: told of, and not read
        return found.oid if found else None

    def _check_chain(self, commit: Commit, data: bytes, batch: str | None) -> None:
        """batch: of the files that the commit adds; None where they could not all be read."""
        link = chain.of_commit(data)
        if link is None:
            self._add("bad-trailers", "Mlgen-Batch-Sha256 and Mlgen-Prev-Sha256 are not there, once each", commit)
            return
        if batch is not None and link.batch != batch:
            self._add("batch-mismatch", f"Mlgen-Batch-Sha256 is {link.batch}, its files have {batch}", commit)
        wanted = self._prev(commit, data)
        if wanted is not None and link.prev != wanted:
            self._add("chain-broken", f"Mlgen-Prev-Sha256 is {link.prev}, after its parent comes {wanted}", commit)

    def _is_genuine(self, commit: Commit, data: bytes) -> bool:
        found = id_of("commit", data, self.repository.object_format)
        if found != commit.oid:
            self._add("forged-commit", f"its bytes have the id {found}", commit)
            return False
        head = data.partition(b"\n\n")[0].split(b"\n")
        parents = tuple(line[7:].decode(errors="replace") for line in head if line.startswith(b"parent "))
        if parents != commit.parents:
            self._add("forged-commit", f"git tells of the parents {commit.parents}, its bytes of {parents}", commit)
            return False
        return True

    def _prev(self, commit: Commit, data: bytes) -> str | None:
        """What Mlgen-Prev-Sha256 must be; None where nothing here says so.

        That is of an epoch's root, which is measured against what is remembered, and after a commit that is not read.
        """
        if commit.parents:
            if not (head := self.heads[commit.parents[0]]):
                return None
            before = chain.of_commit(head)
            return chain.START if before is None else before.next_prev
        return chain.START if epoch.of_commit(data) is None else None

    def _add(self, code: str, message: str, commit: Commit) -> None:
        self.part.found.add(Finding(code, message, commit.oid))


class _Files:
    """The files that one commit changes. batch: what Mlgen-Batch-Sha256 must be, None where that cannot be said."""

    def __init__(self, span: _Span, commit: Commit) -> None:
        self._span, self._commit = span, commit
        self._batch = Batch()
        self._gone: dict[str, str] = {}  # the path that each file had, by its blob
        self._added: dict[str, str] = {}  # of a commit that takes files away: where each blob is now
        self._wrong = 0
        self._whole = True

    def read(self, changed: Iterable[Change]) -> None:
        """Judge them; where too many are wrong, the rest is not read. Raises BadFolder, GitError."""
        waiting = iter(changed)
        try:
            while window := list(islice(waiting, WINDOW)):
                good = [change for change in window if self._is_plain(change)]
                for change, blob in zip(good, self._span.reader.get_all(one.oid for one in good), strict=True):
                    self._take(change, blob)
                if self._wrong > MOST_WRONG:
                    self._whole = False
                    message = f"more than {MOST_WRONG:,} of its files are wrong"
                    self._span.part.found.add(Finding("too-many-files", message, self._commit.oid))
                    break
        except BadFolder:
            self._whole = False
            raise
        for oid, path in self._gone.items():
            if oid in self._added:
                self._add("record-moved", f"it lies at {self._added[oid]} now", path)
            else:
                self._add("record-deleted", "the commit takes it away", path)

    @property
    def batch(self) -> str | None:
        return self._batch.digest() if self._whole else None

    def _is_plain(self, change: Change) -> bool:
        """Whether a change adds a file that may be a record."""
        if change.status == "D":
            self._gone[change.oid] = change.path
            self._wrong += 1
            self._whole = False
        elif change.status != "A":
            self._add("record-changed", f"it has other bytes, or another mode: {change.mode} {change.oid}", change.path)
        elif change.mode != _FILE:
            code = "stray-file" if change.mode == FOLDER else "not-a-file"
            self._add(code, f"it is {_MODES.get(change.mode, 'a program')} (mode {change.mode})", change.path)
        elif not (KNOWN.fullmatch(change.path) or KNOWN_IMPORTED.fullmatch(change.path)):
            self._added[change.oid] = change.path
            self._add("stray-file", "no record has such a path", change.path)
        else:
            return True
        return False

    def _take(self, change: Change, blob: Object | None) -> None:
        path, part = change.path, self._span.part
        if self._commit.parents:
            self._added[change.oid] = path
        if blob is None or blob.kind != "blob":
            self._add("missing-bytes", f"{change.oid} is not there", path)
            return
        if blob.size_bytes != len(blob.data):
            self._add("bad-record", f"it has {blob.size_bytes:,} bytes", path)
            return
        self._batch.add(path, hashlib.sha256(blob.data).hexdigest())
        try:
            entry = from_bytes(blob.data)
        except NewerFormat as error:
            self._add("ledger-too-new", str(error), path, whole=True)
            return
        except BadRecord as error:
            self._add("bad-record", str(error), path, whole=True)
            return
        if entry.path != path:
            self._add("wrong-path", f"its path is {entry.path}", path, whole=True)
            return
        if entry.env in self._span.terms.elsewhere:
            self._add("other-environment", f"records of {entry.env} belong to another ledger", path, whole=True)
        part.records += 1
        part.environments[entry.env] = part.environments.get(entry.env, 0) + 1
        if not isinstance(entry, ImportedEvent):
            part.keys.append(key_of(entry))

    def _add(self, code: str, message: str, path: str, *, whole: bool = False) -> None:
        """whole: its bytes were read all the same, so that the batch can be compared."""
        self._wrong += 1
        self._whole = self._whole and whole
        self._span.part.found.add(Finding(code, message, self._commit.oid, path))


def _tree_of(commit: bytes) -> str | None:
    """The id of a commit's folder. Source: gitformat-commit; a commit begins with `tree <id>`."""
    return commit[len("tree ") :].partition(b"\n")[0].decode(errors="replace") or None


def _may_hold_records(folder: str) -> bool:
    parts = folder.split("/")
    return len(parts) <= _FOLDERS.get(parts[0], 0)


def link_of(reader: Reader, oid: str) -> Link | None:
    """The chain's values of a commit by its id; None where it, or they, are not there."""
    found = reader.get(oid)
    return None if found is None or found.kind != "commit" else chain.of_commit(found.data)
