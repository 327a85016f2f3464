"""One pass of `mlgen gc artifacts` over a store, and over the folders of runs on this machine."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property

from mlgen.cli.collecting.caching import Caching
from mlgen.cli.collecting.marking import Marking
from mlgen.cli.collecting.text import Tally
from mlgen.cli.counting import Counting
from mlgen.cli.ledgers.records import Records
from mlgen.ledger.gc import collected
from mlgen.ledger.gc.sweep import Fate, Found, Judge, collect, found_in
from mlgen.local import rundirs
from mlgen.local.rundir import RunFolder


@dataclass(frozen=True)
class Sweeping:
    """kept: the uids of the runs that are. tally: what is told of it in the end."""

    records: Records
    marking: Marking
    judge: Judge
    tally: Tally
    kept: set[str]
    now: datetime

    @cached_property
    def caching(self) -> Caching:
        """The entries of the cache, which go with the bytes that they refer to."""
        return Caching(self.records.store, self.judge)

    def look(self) -> None:
        """Count what would go."""
        self.caching.look()
        with Counting("would go") as counting:
            for found in found_in(self.records.store.listing()):
                self._count(found, self.judge.fate(found), counting)
        self.tally.folders = [folder.path.name for folder in self._folders()]

    def delete(self) -> None:
        """Let it go."""
        self.caching.delete()  # before any bytes do
        with Counting("deleted") as counting:
            for found, fate in collect(
                self._going(), self.records.store, self.judge, look_again=self._look_again, note=self._note
            ):
                self._count(found, fate, counting)
        for folder in self._folders():
            folder.remove()
            self.tally.folders.append(folder.path.name)

    def _look_again(self) -> None:
        self.caching.mark_claimed(self.judge.marked)  # first: a claim is taken back once its record waits
        self.marking.again()

    def _going(self) -> Iterator[Found]:
        for found in found_in(self.records.store.listing()):
            fate = self.judge.fate(found)
            if fate is Fate.GOES:
                yield found
            else:
                self.tally.add(found, fate)

    def _note(self, keys: Sequence[str]) -> None:
        commits = [ledger.commit for ledger in self.marking.ledgers if ledger.commit is not None]
        env = self.records.environment.name
        collected.note(self.records.store, keys, now=self.now, env=env, ledgers=commits)

    def _folders(self) -> list[RunFolder]:
        """The folders of runs on this machine that are told, not kept and old: their logs, above all."""
        if self.records.in_cluster:
            return []
        known = {f"{run.name}.{run.uid[:8]}": run for run in self.marking.survey.runs.values()}
        old = self.judge.before.timestamp()
        found = []
        for folder in rundirs.ended(self.records.workspace.root):
            run = known.get(folder.path.name)
            if run is not None and run.uid not in self.kept and run.ended < old:
                found.append(folder)
        return found

    def _count(self, found: Found, fate: Fate, counting: Counting) -> None:
        self.tally.add(found, fate)
        counting.say(f"{self.tally.going_count:,} of {self.tally.seen:,}")
