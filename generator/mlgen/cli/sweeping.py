"""One pass of `mlgen gc artifacts` over a store, with progress on a terminal; and over the folders of runs here."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from mlgen.cli.gc_text import Tally
from mlgen.cli.marking import Marking
from mlgen.cli.output import coloured
from mlgen.cli.records import Records
from mlgen.ledger import collected
from mlgen.ledger.sweep import Fate, Found, Judge, collect, found_in
from mlgen.local import rundir
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

    def look(self) -> None:
        """Count what would go."""
        with _progress("looking at", self.tally):
            for found in found_in(self.records.store.listing()):
                self.tally.add(found, self.judge.fate(found))
        self.tally.folders = [folder.path.name for folder in self._folders()]

    def delete(self) -> None:
        """Let it go."""
        with _progress("deleted", self.tally):
            for found, fate in collect(
                self._going(), self.records.store, self.judge, look_again=self.marking.again, note=self._note
            ):
                self.tally.add(found, fate)
        for folder in self._folders():
            folder.remove()
            self.tally.folders.append(folder.path.name)

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
        for folder in rundir.ended(self.records.workspace.root):
            run = known.get(folder.path.name)
            if run is not None and run.uid not in self.kept and run.ended < old:
                found.append(folder)
        return found


@contextmanager
def _progress(does: str, tally: Tally) -> Iterator[None]:
    """On a terminal, how far it is."""
    if not coloured(sys.stderr):
        yield
        return
    # Here: rich costs 0.12 s, and only a terminal shows what it draws.
    from rich.console import Console
    from rich.live import Live

    began = time.monotonic()

    def picture() -> Any:
        goes = tally.total(Fate.GOES)
        seconds = time.monotonic() - began
        return f"{does}  {tally.seen:,} artifacts, {goes.count:,} of them not kept  {seconds:.0f} s"

    live = Live(get_renderable=picture, console=Console(stderr=True), transient=True, refresh_per_second=4)
    live.__enter__()
    try:
        yield
    finally:
        with suppress(OSError):
            live.__exit__(None, None, None)
