"""The trials of a search while it runs here (decision 0032): proposed wave by wave, by what became of the others."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from mlgen.ledger.records.task import Item
from mlgen.local.attempt import Attempt
from mlgen.runtime.fans import trials
from mlgen.runtime.fans.outcomes import Outcome
from mlgen.search.ask import ask_wave
from mlgen.search.model import Search


@dataclass
class Trials:
    """Items that are asked for. Each wave is asked for once, when its first trial begins."""

    search: Search
    _first: int = -1
    _wave: list[dict[str, str]] = field(default_factory=list)

    @property
    def of(self) -> int:
        return self.search.trials

    def may_begin(self, index: int, told: Sequence[Outcome]) -> bool:
        """Whether all trials of the waves before have ended, retries and all."""
        first = self.search.wave(index)
        return sum(outcome.index < first for outcome in told) == first

    def item(self, index: int, told: Sequence[Outcome]) -> tuple[Item, Mapping[str, str]]:
        first = self.search.wave(index)
        if first != self._first:
            last = min(first + self.search.parallel, self.search.trials) - 1
            self._first, self._wave = first, ask_wave(self.search, trials.before(self.search, index, told), last)
        return trials.item(self.search, index, self._wave[index - first])


def watcher(attempt: Attempt, told: Sequence[Outcome]) -> trials.Watcher | None:
    """Who looks at what a trial reports; None where none is stopped early."""
    search = attempt.task.fan.search if attempt.task.fan else None
    if search is None or search.prune is None or attempt.item is None:
        return None
    index = attempt.item.index
    return trials.Watcher(search, index, trials.before(search, index, told), attempt.folder.tree)


def look(attempts: Sequence[Attempt]) -> None:
    """Look at what running trials report."""
    for attempt in attempts:
        if attempt.watcher is not None and attempt.process is not None:
            attempt.watcher.look()


def seconds_left(attempts: Sequence[Attempt]) -> list[float]:
    """Until the next look; none where nobody looks."""
    watched = any(a.watcher is not None and not a.watcher.stopped and a.process is not None for a in attempts)
    return [trials.LOOK_SECONDS] if watched else []
