"""Which records are exported: all of a commit, or those of some runs, since a time or commit, around an artifact."""

from __future__ import annotations

import re
from collections import defaultdict, deque
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime

from mlgen.diagnostic import Misuse
from mlgen.git import Repository
from mlgen.ledger.questions.read import moment
from mlgen.ledger.records.entry import Entry
from mlgen.ledger.records.fields import BadRecord
from mlgen.ledger.records.run import RunRecord
from mlgen.ledger.records.task import TaskRecord
from mlgen.ledger.stream import KNOWN, stream
from mlgen.ledger.told import RECORD_DELAY

_SHOWN = 5
DAYS_APART = RECORD_DELAY.days + 1
_UID = re.compile(r"[0-9a-f]{8}-[0-9a-f-]{0,27}")


@dataclass(frozen=True, slots=True)
class Selection:
    """What is wanted; the empty one wants everything.

    runs: names or uids, or how one begins. since: an earlier commit's id. after: of what ended then or later.
    artifact: hex digits with which a digest begins; then only executions that made or read such an artifact.
    """

    runs: tuple[str, ...] = ()
    since: str | None = None
    after: datetime | None = None
    artifact: str | None = None

    def takes_day(self, day: str) -> bool:
        """Whether files of a day, "2026/11/28", may be wanted. Spares reading them."""
        return self.after is None or day >= self.after.astimezone(UTC).strftime("%Y/%m/%d")


@dataclass(frozen=True, slots=True)
class Selected:
    """A record that is exported. data: its bytes; oid: its blob's id."""

    entry: Entry
    path: str
    data: bytes
    oid: str


def select(
    repository: Repository, commit: str, selection: Selection, on_skipped: Callable[[str, str], None]
) -> Iterator[Selected]:
    """The records of a commit that are wanted, in the order of their paths.

    on_skipped: is told the path of a file that is no record, and why.
    Of what is told twice, only the telling that counts: a reconciled record is dropped where the pod's own is there.
    Memory: tens of bytes for each record of a few days. Raises GitError; Misuse "unknown-run", "ambiguous-run".
    """
    survey = _Survey([_Wanted(text) for text in selection.runs])
    for file in repository.tree_files(commit, "runs"):
        survey.add(file.path)
    folders = survey.folders()
    uids = tuple(text for text in selection.runs if _UID.fullmatch(text))
    dropped = _dropped(repository, commit, survey.twice)

    def wanted(path: str) -> bool:
        taken = folders is None or _folder(path) in folders
        return taken and path not in dropped and selection.takes_day(_day(path))

    for stored in stream(repository, commit, since=selection.since, wanted=wanted):
        try:
            found = stored.entry()
        except BadRecord as error:
            on_skipped(stored.path, str(error))
            continue
        uid = found.uid if isinstance(found, RunRecord) else found.run_uid
        if len(uids) == len(selection.runs) > 0 and not uid.startswith(uids):
            continue  # its folder has the first eight digits only
        if _fits(found, selection):
            yield Selected(found, stored.path, stored.blob.data, stored.blob.oid)


def _fits(entry: Entry, selection: Selection) -> bool:
    if selection.after is not None and moment(entry.ended_at) < selection.after:
        return False
    if selection.artifact is None:
        return True
    if isinstance(entry, RunRecord):
        return False
    begins = f"sha256:{selection.artifact}"
    return any(artifact.digest.startswith(begins) for artifact in (*entry.inputs, *entry.outputs))


def _day(path: str) -> str:
    """ "2026/11/28" """
    return path[len("runs/") :][:10]


def _folder(path: str) -> str:
    """The environment and folder of a run: "prod/r1.0a1b2c3d", whichever its day."""
    return "/".join(path.split("/")[4:6])


@dataclass(slots=True)
class _Wanted:
    """A run that was asked for, and the folders that may be its: those of just that name, and those that begin so."""

    text: str
    exact: set[str] = field(default_factory=set)
    begins: set[str] = field(default_factory=set)

    def add(self, folder: str) -> None:
        name, _, uid = folder.rpartition("/")[2].rpartition(".")
        if self.text in (name, f"{name}.{uid}") or (_UID.fullmatch(self.text) and self.text[:8] == uid):
            self.exact.add(folder)
        elif (
            not self.exact and len(self.begins) <= _SHOWN and (name.startswith(self.text) or uid.startswith(self.text))
        ):
            self.begins.add(folder)

    def folders(self) -> set[str]:
        found = self.exact or self.begins
        if not found or not self.text:
            raise Misuse("unknown-run", f'the ledger has no run "{self.text}"', fix="`mlgen runs list` has all")
        if len(found) > 1 and not _UID.fullmatch(self.text):
            fix = "say one of " + ", ".join(folder.rpartition("/")[2] for folder in sorted(found)[:_SHOWN])
            raise Misuse("ambiguous-run", f'"{self.text}" may be any of several runs', fix=fix)
        return found


@dataclass(slots=True)
class _Survey:
    """What the paths of a commit say, in their order. twice: the hashes of what more than one file tells of.

    Two files that tell of the same lie a few days from each other at most (`told.RECORD_DELAY`), so that only the
    latest days are kept in mind, however many there are. Two hashes that are equal cost a look at both, no more.
    """

    wanted: Sequence[_Wanted]
    twice: set[int] = field(default_factory=set)
    _days: deque[set[int]] = field(default_factory=lambda: deque(maxlen=1 + DAYS_APART))
    _day: str = ""
    _run: str = ""

    def add(self, path: str) -> None:
        if not KNOWN.fullmatch(path):
            return
        day = _day(path)
        if day != self._day:
            self._day = day
            self._days.append(set())
        about = hash(_subject(path))
        if any(about in seen for seen in self._days):
            self.twice.add(about)
        self._days[-1].add(about)
        folder = _folder(path)
        if folder != self._run:
            self._run = folder
            for one in self.wanted:
                one.add(folder)

    def folders(self) -> set[str] | None:
        """The folders of the runs that are wanted; None: all. Raises Misuse."""
        return set().union(*(one.folders() for one in self.wanted)) if self.wanted else None


def _subject(path: str) -> str:
    """What a file tells of: a run, or an attempt of a task of it, or of an item."""
    name = path.rpartition("/")[2].removesuffix(".json")
    about = "run" if name in ("run", "run.reconciled") else name.rpartition(".")[0]
    return f"{_folder(path)}/{about}"


@dataclass(frozen=True, slots=True)
class _Telling:
    """What decides between files that tell of the same. of_run: of a run one telling counts, of an attempt several."""

    path: str
    reconciled: bool
    of_run: bool
    ended: datetime


def _dropped(repository: Repository, commit: str, twice: Collection[int]) -> set[str]:
    """The paths of records that do not count, because another of the same run, or attempt, does (design §7)."""
    if not twice:
        return set()
    told: dict[object, list[_Telling]] = defaultdict(list)
    for stored in stream(repository, commit, wanted=lambda path: hash(_subject(path)) in twice):
        with suppress(BadRecord):
            entry = stored.entry()
            of_run = isinstance(entry, RunRecord)
            subject = entry.uid if isinstance(entry, RunRecord) else (entry.run_uid, entry.part, entry.attempt)
            told[subject].append(_Telling(stored.path, entry.reconciled, of_run, moment(entry.ended_at)))
    return {path for tellings in told.values() for path in _beaten(tellings)}


def _beaten(tellings: Sequence[_Telling]) -> Iterator[str]:
    """Those written from outside, where the pod's or run's own is there; of a run, all but the first to end."""
    own = [one for one in tellings if not one.reconciled]
    first = min(own or tellings, key=lambda one: one.ended)
    for one in tellings:
        if (own and one.reconciled) or (one.of_run and one is not first):
            yield one.path


def executions(selected: Iterator[Selected]) -> Iterator[tuple[Selected, TaskRecord]]:
    """Those of some records that are of executions."""
    for one in selected:
        if isinstance(one.entry, TaskRecord):
            yield one, one.entry


def runs(selected: Iterator[Selected]) -> Iterator[tuple[Selected, RunRecord]]:
    """Those of some records that are of runs."""
    for one in selected:
        if isinstance(one.entry, RunRecord):
            yield one, one.entry
