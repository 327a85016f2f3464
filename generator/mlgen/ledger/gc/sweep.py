"""Looks at all that a store keeps beside its ledger's own files, says what may go, and lets it go.

What goes: artifacts of runs that the ledgers know and do not keep, and that are old by the store's own clock. So a
ledger that is empty, or of somebody else, lets nothing go.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from itertools import groupby

from mlgen.ledger.folding.spool import FOLDER
from mlgen.ledger.gc.keeping import CACHE, CODE, INPUTS, LOGS, OUTCOMES, Marks, place_of
from mlgen.ledger.records.fields import NAME, RUN_ID, TASK
from mlgen.store import Item, Store

MAX_BATCH = 5000  # objects between two looks at whether something new refers to them
_EXECUTION = re.compile(r"[a-z][a-z0-9-]*(?:\.[0-9]+)?\.[0-9a-f]{8}")  # of an item of a fan with its number
_MILESTONE = re.compile(r"[a-z]+\.[0-9a-f]{8}\.json")  # as `runtime.pod.milestone` names them
_CODE = re.compile(r"[0-9a-f]{64}\.tar")
_HEX = re.compile(r"[0-9a-f]{64}")
_MANIFEST = ".files.json"  # of a folder artifact in a bucket
# What a kill left half written, where a folder's `store.disk` makes it and as it is named there. Programs name files of
# their own alike: Spark writes `.part-00000….crc` into what it makes, and that is theirs.
_PART = re.compile(
    rf"(?:{CODE}|{INPUTS}/{_HEX.pattern}|{LOGS}/{RUN_ID.pattern}|{TASK.pattern}/{NAME.pattern}(?:/{_EXECUTION.pattern})?)"
    r"/\.part-[0-9]+-[0-9]+(?:\.copy)?(?:/|\Z)"
)


class Kind(StrEnum):
    """What was put there: an out of a task, published code and inputs, a run's logs and milestones, what became of the
    items of a fan in it, half a file.
    """

    OUT = "out"
    CODE = "code"
    INPUT = "input"
    LOGS = "logs"
    MILESTONE = "milestone"
    OUTCOME = "outcome"
    UNFINISHED = "unfinished"
    FOREIGN = "foreign"  # under no name that mlgen gives


class Fate(StrEnum):
    """What becomes of it. YOUNG: it would go, if it were older. UNKNOWN: no record of the ledgers tells of it."""

    GOES = "goes"
    KEPT = "kept"
    YOUNG = "young"
    UNKNOWN = "unknown"
    FOREIGN = "foreign"


@dataclass(frozen=True, slots=True)
class Found:
    """An artifact, or another thing that goes as a whole, with its objects. kept_at: the latest of theirs."""

    kind: Kind
    place: str
    keys: tuple[str, ...]
    size_bytes: int
    kept_at: datetime

    @property
    def pipeline(self) -> str | None:
        """None of what no single pipeline made."""
        if self.kind is Kind.OUTCOME:
            return self.place.split("/")[1]
        return self.place.partition("/")[0] if self.kind in (Kind.OUT, Kind.MILESTONE) else None

    @property
    def artifacts(self) -> list[str]:
        """The keys by which records may name it; none of what is no artifact."""
        match self.kind:
            case Kind.OUT | Kind.CODE:
                return [self.place]
            case Kind.INPUT:  # beside its digest it has the name of the file or folder
                names = {"/".join(key.split("/")[:3]) for key in self.keys}
                return sorted({*names, *(name.removesuffix(_MANIFEST) for name in names)})
        return []


def kind_of(key: str) -> Kind:
    """What lies under a key."""
    first, *rest = key.split("/")
    if _PART.match(key):
        return Kind.UNFINISHED
    if first == CODE:
        return Kind.CODE if len(rest) == 1 and _CODE.fullmatch(rest[0]) else Kind.FOREIGN
    if first == INPUTS:
        return Kind.INPUT if len(rest) > 1 and _HEX.fullmatch(rest[0]) else Kind.FOREIGN
    if first == LOGS:
        return Kind.LOGS if len(rest) == 2 and RUN_ID.fullmatch(rest[0]) else Kind.FOREIGN
    if first == OUTCOMES:  # <pipeline>/<run uid>/<task>/…
        return Kind.OUTCOME if len(rest) > 3 and TASK.fullmatch(rest[0]) and RUN_ID.fullmatch(rest[1]) else Kind.FOREIGN
    if not TASK.fullmatch(first) or len(rest) < 2 or not NAME.fullmatch(rest[0]):
        return Kind.FOREIGN
    if len(rest) == 2:
        return Kind.MILESTONE if _MILESTONE.fullmatch(rest[1]) else Kind.FOREIGN
    return Kind.OUT if _EXECUTION.fullmatch(rest[1]) else Kind.FOREIGN


def _whole(item: Item) -> tuple[Kind, str]:
    """The thing that an object is a part of."""
    kind = kind_of(item.key)
    if kind in (Kind.FOREIGN, Kind.UNFINISHED):
        return kind, item.key
    place = place_of(item.key)
    return kind, place.removesuffix(_MANIFEST) if kind is Kind.OUT else place


def found_in(listing: Iterable[Item]) -> Iterator[Found]:
    """What a store's listing tells of, without the ledger's own files, and entries of the cache."""
    others = (item for item in listing if item.key.partition("/")[0] not in (FOLDER, CACHE))
    for (kind, place), group in groupby(others, key=_whole):
        items = list(group)
        size_bytes = sum(item.size_bytes for item in items)
        yield Found(kind, place, tuple(i.key for i in items), size_bytes, max(i.kept_at for i in items))


@dataclass(frozen=True, slots=True)
class Judge:
    """What becomes of what is found. marked: what is kept. known: what the ledgers tell of.

    before: what was put later is young. orphans: whether what no record tells of goes as well.
    """

    marked: Marks
    known: Marks
    before: datetime
    orphans: bool = False

    def fate(self, found: Found) -> Fate:
        if found.kind is Kind.FOREIGN:
            return Fate.FOREIGN
        if self.marked.covers(found.place):
            return Fate.KEPT
        if not (self.orphans or found.kind is Kind.UNFINISHED or self.known.covers(found.place)):
            return Fate.UNKNOWN
        return Fate.GOES if found.kept_at < self.before else Fate.YOUNG


def batches(going: Iterable[Found]) -> Iterator[list[Found]]:
    """What goes, some at a time."""
    batch, objects = list[Found](), 0
    for one in going:
        batch.append(one)
        objects += len(one.keys)
        if objects >= MAX_BATCH:
            yield batch
            batch, objects = [], 0
    if batch:
        yield batch


def collect(
    going: Iterable[Found],
    store: Store,
    judge: Judge,
    *,
    look_again: Callable[[], None],
    note: Callable[[Sequence[str]], None],
) -> Iterator[tuple[Found, Fate]]:
    """Let things go; each with what became of it, after it did.

    look_again: marks what records refer to that came meanwhile; asked before each batch. note: writes down what is
    about to go, by the keys of artifacts. Safe to kill and to repeat, and to run twice at once.
    """
    for batch in batches(going):
        look_again()
        fates = [(found, judge.fate(found)) for found in batch]
        gone = [found for found, fate in fates if fate is Fate.GOES]
        told = [key for found in gone for key in found.artifacts]
        if told:
            note(told)
        store.discard([key for found in gone for key in found.keys])
        yield from fates
