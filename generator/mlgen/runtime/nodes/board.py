"""What the pods of an attempt on several nodes tell each other, in the bucket: they see nothing else of each other.

_attempts/<pipeline>/<run uid>/<task>/nodes/<attempt>/<rank>/pod.json     which pod this rank is
                                                             ready.json   it has all its bytes; its address
                                                             beat-<n>     it lives: n grows
                                                             end.json     how its part ended, or ended all of it
                                                             kept.json    of rank 0: what became of the record

Each but the beats is put once and stays: of two pods that are one rank, the second finds that it is the second.
Anybody who may write to the bucket may write these: nothing that is read here becomes more than a text of a record, a
number or an address.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from mlgen import canonical
from mlgen.ledger.records.fields import BadRecord, Fields
from mlgen.runtime.attempts.checkpoint import attempts_folder
from mlgen.runtime.nodes.model import VERSION, End, fields_of
from mlgen.runtime.protocol import Execution, TaskDocument
from mlgen.store import Missing, Store, Taken, TooLarge, claim, forget

MOST_BYTES = 16384  # of what a pod tells; more is not from one of ours
UNREADABLE = "what it told of its end cannot be read"
_KEY = re.compile(r"(?P<rank>0|[1-9][0-9]{0,2})/(?P<what>pod\.json|ready\.json|end\.json|kept\.json|beat-[0-9]{1,9})")


@dataclass(frozen=True, slots=True)
class Seen:
    """What is on the board at one moment, by rank. beats: the latest of each, 0 where there is none yet."""

    pods: frozenset[int] = frozenset()
    ready: frozenset[int] = frozenset()
    ended: frozenset[int] = frozenset()
    kept: bool = False
    beats: dict[int, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Board:
    """Of one attempt. count: of its ranks. Every method raises StoreError, Fault."""

    store: Store
    folder: str
    count: int

    def look(self) -> Seen:
        """What there is now; keys that no rank of this attempt has are passed over."""
        found: dict[str, set[int]] = {}
        beats: dict[int, int] = {}
        for key in self.store.keys(self.folder):
            match = _KEY.fullmatch(key.removeprefix(f"{self.folder}/"))
            if match is None or int(match["rank"]) >= self.count:
                continue
            rank, what = int(match["rank"]), match["what"]
            if what.startswith("beat-"):
                beats[rank] = max(beats.get(rank, 0), int(what.removeprefix("beat-")))
            else:
                found.setdefault(what, set()).add(rank)
        pods, ready, ended = (frozenset(found.get(f"{what}.json", ())) for what in ("pod", "ready", "end"))
        return Seen(pods, ready, ended, 0 in found.get("kept.json", ()), beats)

    def claim(self, rank: int, pod_uid: str) -> bool:
        """Say which pod a rank is; False where another was it before."""
        return claim(self.store, self._key(rank, "pod.json"), _encoded(pod=pod_uid))

    def tell_ready(self, rank: int, address: str) -> None:
        """Say that a rank has its bytes. The pod that claimed it says so, once."""
        self._put(rank, "ready.json", _encoded(address=address))

    def beat(self, rank: int, number: int) -> None:
        """Say that a rank lives, and forget that it said so before, if that may be: the latest beat counts."""
        self._put(rank, f"beat-{number}", b"1")
        if number > 1:
            forget(self.store, [self._key(rank, f"beat-{number - 1}")])

    def tell_end(self, end: End) -> bool:
        """Say how a rank ended; False where that was said before, otherwise."""
        return self._put(end.rank, "end.json", end.to_bytes())

    def tell_kept(self, *, complete: bool) -> bool:
        """Say whether rank 0's record, which is durable, is of a success; False where that was said, otherwise."""
        return self._put(0, "kept.json", _encoded(complete=complete))

    def kept(self) -> bool:
        """Whether rank 0's record is of a success; False also where none says so."""
        try:
            return self._fields(0, "kept.json").get("complete") is True
        except (Missing, BadRecord, TooLarge):
            return False

    def address(self) -> str:
        """Of rank 0's pod. Raises BadRecord, Missing."""
        text = self._fields(0, "ready.json").text("address")
        try:
            return str(ipaddress.ip_address(text))
        except ValueError:
            raise BadRecord(f"{text[:80]!r} is no address") from None

    def end(self, rank: int, now: str) -> End | None:
        """How a rank said that it ended; None where it did not. now: stands for a time that cannot be read."""
        try:
            return End.from_bytes(self._get(rank, "end.json"), rank)
        except Missing:
            return None
        except (BadRecord, TooLarge):
            return End(rank, False, now, None, "StepFailed", UNREADABLE, "infrastructure")

    def ends(self, seen: Seen, now: str) -> Iterator[End]:
        """How those ended that said so."""
        for rank in sorted(seen.ended):
            end = self.end(rank, now)
            if end is not None:
                yield end

    def _key(self, rank: int, name: str) -> str:
        return f"{self.folder}/{rank}/{name}"

    def _put(self, rank: int, name: str, data: bytes) -> bool:
        try:
            self.store.put(self._key(rank, name), data)
        except Taken:
            return False
        return True

    def _get(self, rank: int, name: str) -> bytes:
        return self.store.get(self._key(rank, name), at_most=MOST_BYTES)

    def _fields(self, rank: int, name: str) -> Fields:
        return fields_of(self._get(rank, name))


def board_of(store: Store, document: TaskDocument, execution: Execution, *, attempt: int | None = None) -> Board:
    """The board of an execution's attempt, or of an earlier one."""
    assert document.nodes is not None, "of a task on several nodes"
    number = execution.attempt if attempt is None else attempt
    return Board(store, f"{attempts_folder(document, execution)}/nodes/{number}", document.nodes.count)


def blamed(ends: list[End]) -> End | None:
    """Who of those that did not end well was the first, by their clocks; of two at one time, the lower rank."""
    failed = [end for end in ends if not end.well]
    return min(failed, key=lambda end: (end.at, end.rank), default=None)


def _encoded(**fields: str | bool) -> bytes:
    return canonical.encode({"version": VERSION, **fields})
