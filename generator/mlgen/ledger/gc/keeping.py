"""Which bytes of a store are kept: those of kept runs, and those that a kept record, or somebody else, refers to.

A place is an artifact's key or that of a folder above it: `pipeline/run/task.1234abcd/out`, `_code/<hex>.tar`,
`_inputs/<hex>`, `_logs/<run uid>`.
"""

from __future__ import annotations

import heapq
from array import array
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Set
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import chain

from mlgen.ledger.questions.read import moment
from mlgen.ledger.records.artifact import Artifact
from mlgen.ledger.records.entry import Entry
from mlgen.ledger.records.imported import ImportedEvent
from mlgen.ledger.records.run import RunRecord
from mlgen.ledger.records.task import State

OUTCOMES = "_outcomes"  # as `runtime.fans.outcomes` calls them
CODE, INPUTS, LOGS = "_code", "_inputs", "_logs"  # as `runtime.bundle` and `cluster.podlogs` call them
ATTEMPTS = "_attempts"  # as `runtime.attempts.checkpoint` calls it: of what did not succeed
CACHE = "_cache"  # as `runtime.cache.entries` calls it; its entries go with the bytes that they refer to
MODEL = "model"  # a type of artifact

Locate = Callable[[str], str | None]  # the key that a URI names in the store; None where it leads elsewhere


def place_of(key: str) -> str:
    """The artifact that a key is of, or the folder of artifacts that it is; "" is all that there is."""
    parts = [part for part in key.split("/") if part]
    return "/".join(parts[: 2 if parts[0:1] and parts[0] in (CODE, INPUTS, LOGS) else 4])


def code_place(digest: str) -> str:
    """Where the code of a digest lies."""
    return f"{CODE}/{digest.removeprefix('sha256:')}.tar"


def run_places(pipeline: str, run: str, uid: str) -> tuple[str, ...]:
    """Where a run's artifacts lie, its logs, what its attempts left for the next ones, and what became of its items."""
    below = f"{pipeline}/{uid}"
    return f"{pipeline}/{run}", f"{LOGS}/{uid}", f"{ATTEMPTS}/{below}", f"{OUTCOMES}/{below}"


class Marks:
    """Places, each with all below it.

    Of a place its hash is held, in 64 bits, as a ledger may name millions: two that clash keep one thing too many.
    """

    __slots__ = ("_hashes",)

    def __init__(self, hashes: Iterable[int] = ()) -> None:
        self._hashes = set(hashes)

    def add(self, place: str) -> None:
        self._hashes.add(hash(place))

    def update(self, hashes: Iterable[int]) -> None:
        self._hashes.update(hashes)

    def covers(self, place: str) -> bool:
        """Whether a place, or one above it, is marked."""
        return any(hash(above) in self._hashes for above in _upwards(place))

    def __len__(self) -> int:
        return len(self._hashes)


def _upwards(place: str) -> Iterator[str]:
    yield place
    while place:
        place = place.rpartition("/")[0]
        yield place


@dataclass(frozen=True, slots=True)
class Policy:
    """Which runs are kept: those that any of these rules keeps.

    days: since their end. runs: the latest so many of each pipeline of an environment that succeeded, and as many
    that did not. named: by `Seen.is_named`.
    going: for how long after its last record a run without a run.json is taken to go on.
    skew: how far the clocks that wrote the records may be off.
    """

    days: int | None
    runs: int | None
    named: tuple[str, ...] = ()
    going: timedelta = timedelta(days=30)
    skew: timedelta = timedelta(0)


@dataclass(slots=True)
class Seen:
    """A run, as far as it matters here. refers: the hashes of the places that its records name, as in and out.

    ended: its latest time in any record, seconds since 1970. state: None where there is no run.json.
    """

    name: str
    uid: str
    pipeline: str
    env: str
    ended: float = 0.0
    state: State | None = None
    refers: array[int] = field(default_factory=lambda: array("q"))

    def is_named(self, word: str) -> bool:
        """Whether a word means this run: its name, its uid, or a beginning of the uid of 8 characters or more."""
        return word in (self.name, f"{self.name}.{self.uid[:8]}") or (len(word) >= 8 and self.uid.startswith(word))


class Survey:
    """What records say, one after another; then `kept_runs`.

    locate: see `Locate`. envs: whose artifacts are in the store; records of others mark what they refer to.
    models: whether outs of type model are kept, of whatever run.
    marked: what is kept whatever becomes of its run. known: what the ledgers tell of.
    """

    def __init__(self, locate: Locate, envs: Set[str], *, models: bool) -> None:
        self._locate, self._envs, self._models = locate, envs, models
        self.runs: dict[str, Seen] = {}
        self.marked, self.known = Marks(), Marks()

    def add(self, entry: Entry) -> None:
        """A record of a ledger."""
        if entry.env not in self._envs:
            self.keep(entry)
            return
        run = self._run(entry)
        run.ended = max(run.ended, moment(entry.ended_at).timestamp())
        if isinstance(entry, RunRecord):
            run.state = entry.state
        places = list(self._places(entry))
        run.refers.extend(map(hash, places))
        # Not what it names elsewhere: that is known, or not, from the runs that made it.
        shared = (place for place in places if place.startswith((f"{CODE}/", f"{INPUTS}/")))
        self.known.update(map(hash, chain(run_places(run.pipeline, run.name, run.uid), shared)))
        if self._models and not isinstance(entry, RunRecord):
            self.marked.update(hash(p) for p in self._named(a for a in entry.outputs if a.type == MODEL))

    def keep(self, entry: Entry) -> None:
        """A record whose run is kept: one that waits, or is new, or of an environment that keeps its own."""
        self.marked.update(map(hash, self._places(entry)))
        if entry.env in self._envs:
            self.marked.update(map(hash, run_places(entry.pipeline, entry.run, _uid(entry))))

    def keep_imported(self, event: ImportedEvent) -> None:
        """What another producer says that it read or made."""
        for dataset in chain(event.inputs, event.outputs):
            self.keep_uri(dataset.uri)

    def keep_uri(self, uri: str) -> None:
        """What a URI names, if it is in the store."""
        key = self._locate(uri)
        if key is not None:
            self.marked.add(place_of(key))

    def _run(self, entry: Entry) -> Seen:
        uid = _uid(entry)
        found = self.runs.get(uid)
        if found is None:
            found = self.runs[uid] = Seen(entry.run, uid, entry.pipeline, entry.env)
        return found

    def _places(self, entry: Entry) -> Iterator[str]:
        if isinstance(entry, RunRecord):
            return
        yield from self._named(chain(entry.inputs, entry.outputs))
        if entry.code_digest is not None:
            yield code_place(entry.code_digest)

    def _named(self, artifacts: Iterable[Artifact]) -> Iterator[str]:
        for artifact in artifacts:
            key = self._locate(artifact.uri)
            if key is not None:
                yield place_of(key)

    def keep_runs(self, policy: Policy, now: datetime) -> set[str]:
        """Mark what the kept runs have and refer to; their uids."""
        kept = _kept(self.runs, policy, now)
        for uid in kept:
            run = self.runs[uid]
            self.marked.update(map(hash, run_places(run.pipeline, run.name, uid)))
            self.marked.update(run.refers)
        return kept


def _uid(entry: Entry) -> str:
    return entry.uid if isinstance(entry, RunRecord) else entry.run_uid


def _kept(runs: Mapping[str, Seen], policy: Policy, now: datetime) -> set[str]:
    at = now.timestamp()
    going_since = at - policy.going.total_seconds()
    kept = {r.uid for r in runs.values() if r.state is None and r.ended > going_since}
    if policy.days is not None:
        young_since = at - (timedelta(days=policy.days) + policy.skew).total_seconds()
        kept |= {run.uid for run in runs.values() if run.ended > young_since}
    if policy.runs:
        alike: dict[tuple[str, str, bool], list[Seen]] = defaultdict(list)
        for run in runs.values():
            alike[run.env, run.pipeline, run.state is State.COMPLETE].append(run)
        for group in alike.values():
            kept |= {run.uid for run in heapq.nlargest(policy.runs, group, key=lambda run: (run.ended, run.uid))}
    return kept | {run.uid for run in runs.values() if any(map(run.is_named, policy.named))}
