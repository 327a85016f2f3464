"""Erasing records: which ones are to go, what would still speak of them, and the epoch that is without them."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import islice

from mlgen.diagnostic import CannotAnswer, Misuse
from mlgen.git import Branches, Reader, RefLocked, RefMoved, Repository, TreeFile
from mlgen.ledger import chain, epoch
from mlgen.ledger.epoch import Epoch
from mlgen.ledger.folding.spool import DEAD, Spool
from mlgen.ledger.records.entry import from_bytes
from mlgen.ledger.records.fields import BadRecord
from mlgen.ledger.records.task import TaskRecord
from mlgen.ledger.stream import KNOWN, WINDOW

TRIES = 20  # each lost one means that a fold landed something meanwhile, of which only the new is read again
_DIGEST = re.compile(rb"[0-9a-f]{64}")
_UID = re.compile(r"([0-9a-f]{8})(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is to go. places: files and folders of the ledger. runs: folders of runs, `<run>.<first 8 of its uid>`."""

    env: str
    places: frozenset[str]
    runs: frozenset[str]

    def has(self, path: str) -> bool:
        parts = path.split("/")
        if len(parts) > 6 and parts[0] == "runs" and parts[4] == self.env and parts[5] in self.runs:
            return True
        return any("/".join(parts[:length]) in self.places for length in range(1, len(parts) + 1))


def wanted(names: Sequence[str], paths: Iterable[str], env: str) -> Wanted:
    """What names mean in a ledger with these paths: a path, the name or uid of a run of an environment, or its folder.

    A name without a slash is a run's, or else that of a file beside the folders, where no record lies.

    Raises Misuse "unknown-run", "ambiguous-run", "no-such-file": nothing is erased by mistake, or half.
    """
    places = {name.strip("/") for name in names if "/" in name}
    found: dict[str, set[str]] = {name: set() for name in names if "/" not in name}
    seen: set[str] = set()
    beside: set[str] = set()
    for path in paths:
        parts = path.split("/")
        if path in found:
            beside.add(path)
        seen |= {place for place in places - seen if path == place or path.startswith(f"{place}/")}
        if len(parts) > 6 and parts[0] == "runs" and parts[4] == env:
            for name, folders in found.items():
                if _is_run(name, parts[5]):
                    folders.add(parts[5])
    for place in sorted(places - seen):
        raise Misuse("no-such-file", f"the ledger has nothing at {place}", fix="`git ls-tree -r` of its tip lists all")
    places |= {name for name in beside if not found[name]}
    for name, folders in found.items():
        if not folders and name not in places:
            fix = "`mlgen runs list` names them; of one that is erased nothing is known any more"
            raise Misuse("unknown-run", f'the ledger has no run "{name}" of {env}', fix=fix)
        if len(folders) > 1:
            raise Misuse("ambiguous-run", f'"{name}" is several runs', fix=f"name one: {', '.join(sorted(folders))}")
    return Wanted(env, frozenset(places), frozenset(folder for folders in found.values() for folder in folders))


def _is_run(name: str, folder: str) -> bool:
    run, _, uid = folder.rpartition(".")
    match = _UID.fullmatch(name)
    return name in (folder, run, uid) or (match is not None and match[1] == uid)


@dataclass
class Survey:
    """A ledger's files as they are to be kept, read one after another; of a tip that goes on, only what is new.

    dropped: paths that go. kept: the count of all others. siblings: kept paths of runs of which something goes.
    referring: kept records that read what a dropped one made. artifacts: URIs of what dropped records made, and no
    kept one reads; shared: that one does. kept_files: takes what is kept. on_file: told the count of files read.
    """

    repository: Repository
    wanted: Wanted
    kept_files: chain.Batch
    on_file: Callable[[int], None] = lambda _count: None
    tip: str | None = None
    kept: int = 0
    dropped: list[str] = field(default_factory=list)
    siblings: list[str] = field(default_factory=list)
    referring: list[str] = field(default_factory=list)
    _made: set[str] = field(default_factory=set)  # URIs of what dropped records made
    _digests: set[bytes] = field(default_factory=set)
    _read: set[str] = field(default_factory=set)

    def look(self, tip: str) -> None:
        """Read what is new at a tip. Raises GitError; CannotAnswer "ledger-busy" where more happened than a fold."""
        if self.tip is not None and not self.repository.only_grew(self.tip, tip, ""):
            raise CannotAnswer("ledger-busy", "the ledger was begun anew meanwhile", fix="look again at what is there")
        with self.repository.reader() as reader:
            new = [f for f in self._files(tip) if self.wanted.has(f.path)]
            self.dropped += [file.path for file in new]
            for blob in reader.get_all(file.oid for file in new):
                if blob is not None:
                    self._note_made(blob.data)
            folders = {path.rpartition("/")[0] for path in self.dropped if KNOWN.fullmatch(path)}
            others = (f for f in self._files(tip) if not self.wanted.has(f.path))
            for path, data in _bytes(reader, others):
                self._keep(path, data, folders)
        self.tip = tip

    @property
    def batch(self) -> str:
        """`Mlgen-Batch-Sha256` of all that is kept."""
        return self.kept_files.digest()

    @property
    def artifacts(self) -> list[str]:
        return sorted(self._made - self._read)

    @property
    def shared(self) -> list[str]:
        return sorted(self._made & self._read)

    def _files(self, tip: str) -> Iterator[TreeFile]:
        return self.repository.tree_files(tip, "", since=self.tip, repositories=True)

    def _note_made(self, data: bytes) -> None:
        try:
            entry = from_bytes(data)
        except BadRecord:  # it goes as well, whatever it is
            return
        if isinstance(entry, TaskRecord):
            self._made |= {made.uri for made in entry.outputs}
            self._digests |= {made.digest.removeprefix("sha256:").encode() for made in entry.outputs}

    def _keep(self, path: str, data: bytes, folders: Collection[str]) -> None:
        self.kept += 1
        self.kept_files.add(path, hashlib.sha256(data).hexdigest())
        if path.rpartition("/")[0] in folders:
            self.siblings.append(path)
        # By digest first: to parse every record of a large ledger would take minutes.
        if self._digests and not self._digests.isdisjoint(_DIGEST.findall(data)):
            read = _inputs(data) & self._made
            self._read |= read
            if read:
                self.referring.append(path)
        if not self.kept % WINDOW:
            self.on_file(self.kept)


def _inputs(data: bytes) -> set[str]:
    try:
        entry = from_bytes(data)
    except BadRecord:
        return set()
    return {one.uri for one in entry.inputs} if isinstance(entry, TaskRecord) else set()


def _bytes(reader: Reader, files: Iterable[TreeFile]) -> Iterator[tuple[str, bytes]]:
    waiting = iter(files)
    while window := list(islice(waiting, WINDOW)):
        for file, blob in zip(window, reader.get_all(f.oid for f in window), strict=True):
            if blob is None or len(blob.data) != blob.size_bytes:
                fix = "`git fsck` says more; a file that is too large to be read can be dropped by its path"
                raise CannotAnswer("ledger-broken", f"{file.path} of the ledger cannot be read", fix=fix)
            yield file.path, blob.data


def begin(
    survey: Survey,
    branches: Branches,
    ref: str,
    *,
    number: int,
    seconds: int,
    refresh: Callable[[], str],
    because: str = "",
) -> str:
    """Let a branch begin an epoch without what is wanted gone; the id of its root.

    survey: which has looked at a tip. branches: whose ref moves, from just the tip that the epoch names. refresh:
    brings a tip that a fold has moved into the survey's repository, and says its id. Killed before the ref moves,
    nothing has happened; after it, all. Raises CannotAnswer "ledger-busy", GitError.
    """
    for _ in range(TRIES):
        tip = survey.tip
        assert tip is not None, "the survey has looked"
        before = chain.of_commit(survey.repository.run("cat-file", "commit", tip))
        prev = chain.START if before is None else before.next_prev
        text = epoch.message(Epoch(number, tip, prev), survey.batch, dropped=len(survey.dropped), because=because)
        root = survey.repository.epoch(tip, survey.dropped, message=text, seconds=seconds)
        try:
            branches.move_ref(ref, root, old=tip)
        except (RefMoved, RefLocked):
            survey.look(refresh())
        else:
            return root
    raise CannotAnswer("ledger-busy", f"{TRIES} folds were faster", fix="stop them for a moment, and do it again")


def pending(spool: Spool) -> dict[str, str]:
    """Key -> path in the ledger, of all that waits or is set aside as dead, and has a path."""
    keys, found = [*spool.waiting(), *spool.dead()], {}
    for key, data in zip(keys, spool.get_all(keys), strict=True):
        with suppress(BadRecord):
            if isinstance(data, bytes):
                found[key] = from_bytes(data).path
    return found


def forget(spool: Spool, keys: Sequence[str]) -> None:
    """Let nothing that waits, or is dead, bring back what was erased."""
    dead = [key for key in keys if key.startswith(f"{DEAD}/")]
    spool.forget_dead(dead)
    spool.delete_all([key for key in keys if key not in dead])
