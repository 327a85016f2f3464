"""Entries of the cache, when bytes go: they go first, so that nobody takes what is about to be gone (decision 0033).

A hit puts a claim, then looks whether the entry is there. Here entries are deleted, then claims are read. Whoever comes
second sees the other, so what a hit is about to refer to stays.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field

from mlgen.ledger.gc.keeping import Marks, place_of
from mlgen.ledger.gc.sweep import Judge
from mlgen.runtime.cache import entries as cache
from mlgen.store import Store, StoreError


@dataclass
class Caching:
    """gone: how many entries went, or would."""

    store: Store
    judge: Judge
    gone: int = 0
    _claims: set[str] = field(default_factory=set)

    def look(self) -> None:
        """Count what would go."""
        self.gone = sum(1 for _ in self._going())

    def delete(self) -> None:
        """Let entries go of which bytes will. A claim that its execution left behind goes when it is old."""
        batch = list(self._going())
        self.gone += len(batch)
        self.store.delete_all(batch)
        old = [item.key for item in self.store.items(cache.CLAIMS) if item.kept_at < self.judge.before]
        self.store.delete_all(old)

    def mark_claimed(self, marked: Marks) -> None:
        """Keep what somebody is about to refer to."""
        for name in self.store.keys(cache.CLAIMS):
            if name not in self._claims:
                with suppress(StoreError, ValueError):  # taken back: then its record waits, or landed; or no claim
                    for place in cache.claimed(self.store.get(name)):
                        marked.add(place_of(place))
                    self._claims.add(name)

    def _going(self) -> Iterator[str]:
        for name in self.store.keys(cache.PREFIX):
            if name.startswith(f"{cache.CLAIMS}/"):
                continue
            entry = cache.read(self.store, name)
            if entry is None or not all(map(self.judge.marked.covers, self._places(entry))):
                yield name

    def _places(self, entry: cache.Entry) -> list[str]:
        """What must be kept for it: its bytes; of values alone, its run."""
        record = entry.record
        found = [place_of(key) for key in cache.places(self.store, record.outputs)]
        return found or [f"{record.pipeline}/{record.run}"]
