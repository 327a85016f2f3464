"""The progress of a run, on stderr: a live picture on a terminal, a line for each event elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext, suppress
from typing import Any

from mlgen.cli.output import RED, YELLOW, coloured, paint
from mlgen.diagnostic import visible
from mlgen.ledger.record import State
from mlgen.local.events import Ended, Event, Noted, OnEvent, Skipped, Started
from mlgen.local.log import tail

GREEN = "\x1b[32m"
TAIL_LINES = 12  # of a failed attempt's log


class Progress(AbstractContextManager[OnEvent]):
    """Shows events while it is entered. tasks: the names of all, for the count."""

    def __init__(self, run: str, tasks: Sequence[str]) -> None:
        self._run, self._count, self._done = run, len(tasks), 0
        self._width = max(map(len, tasks), default=0)
        self._running: dict[str, float] = {}
        self._live: Any = nullcontext()
        self._draws = coloured(sys.stderr)
        if self._draws:
            # Here: rich costs 0.12 s, and only a terminal shows what it draws.
            from rich.console import Console
            from rich.live import Live

            self._live = Live(get_renderable=self._picture, console=Console(stderr=True), transient=True)

    def __enter__(self) -> OnEvent:
        self._live.__enter__()
        return self._hear

    def __exit__(self, *about: Any) -> None:
        with suppress(OSError):
            self._live.__exit__(*about)

    def _picture(self) -> str:
        now = time.monotonic()
        running = list(self._running.items())  # rich asks from a thread of its own
        head = f"{self._run}  {self._done} of {self._count}"
        return "\n".join([head, *(f"  {name:{self._width}}  {now - at:6.1f} s" for name, at in running)])

    def _hear(self, event: Event) -> None:
        match event:
            case Started():
                self._running[event.task] = time.monotonic()
                if not self._draws:
                    self._say(f"{event.task:{self._width}}  started")
            case Ended():
                self._running.pop(event.task, None)
                self._done += not event.retried
                self._say(self._ended(event))
                if event.state is State.FAIL:
                    self._say_log(event)
            case Skipped():
                self._done += 1
                self._say(f"{event.task:{self._width}}  {paint('skipped', YELLOW, sys.stderr)}: {event.reason}")
            case Noted():
                self._say(f"{paint('note', YELLOW, sys.stderr)}: {visible(event.text)}")

    def _ended(self, event: Ended) -> str:
        words = {State.COMPLETE: ("done", GREEN), State.FAIL: ("failed", RED), State.ABORT: ("aborted", YELLOW)}
        word, colour = words[event.state]
        attempt = f", attempt {event.attempt + 1}" if event.attempt or event.retried else ""
        error = f": {visible(event.error)}" if event.error else ""
        again = "; it is tried again" if event.retried else ""
        shown = paint(word, colour, sys.stderr)
        return f"{event.task:{self._width}}  {shown} after {event.seconds:.1f} s{attempt}{error}{again}"

    def _say_log(self, event: Ended) -> None:
        lines = tail(event.log, TAIL_LINES)
        for line in lines:
            self._say(f"{'':{self._width}}  | {visible(line)}")
        self._say(f"{'':{self._width}}  {'its log' if lines else 'it printed nothing'}: {event.log}")

    def _say(self, line: str) -> None:
        # Nobody may listen any more: a pager that was left, a terminal that was closed. The run is not about that.
        with suppress(OSError):
            sys.stderr.write(line + "\n")  # rich, where it draws, puts this above its picture
