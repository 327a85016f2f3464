"""The progress of a run, on stderr: a live picture on a terminal, a line for each event elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext, suppress
from typing import Any

from mlgen.cli import words
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
        self._print: Callable[[str], object] = lambda line: sys.stderr.write(line + "\n")
        self._draws = coloured(sys.stderr)
        if self._draws:
            # Here: rich costs 0.12 s, and only a terminal shows what it draws.
            from rich.console import Console
            from rich.live import Live
            from rich.text import Text

            console = Console(stderr=True)
            self._live = Live(get_renderable=self._picture, console=console, transient=True)
            # Above the picture, and unbroken: rich would wrap a log's line without its margin.
            self._print = lambda line: console.print(Text.from_ansi(line), soft_wrap=True)

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
                word, colon, more = visible(words.skip(event.reason, event.why)).partition(":")
                self._say(f"{event.task:{self._width}}  {paint(word, YELLOW, sys.stderr)}{colon}{more}")
            case Noted():
                self._say(f"{paint('note', YELLOW, sys.stderr)}: {visible(event.text)}")

    def _ended(self, event: Ended) -> str:
        colours = {State.COMPLETE: GREEN, State.FAIL: RED, State.ABORT: YELLOW}
        word = event.state.word
        more = visible(words.ending(event.state, event.exit_code, event.error)).removeprefix(word)
        attempt = f", attempt {event.attempt + 1}" if event.attempt or event.retried else ""
        again = ", it is tried again" if event.retried else ""
        shown = paint(word, colours[event.state], sys.stderr)
        return f"{event.task:{self._width}}  {shown}{more}  ({event.seconds:.1f} s{attempt}{again})"

    def _say_log(self, event: Ended) -> None:
        lines = tail(event.log, TAIL_LINES)
        for line in lines:
            self._say(f"{'':{self._width}}  | {visible(line)}")
        self._say(f"{'':{self._width}}  {visible(f'its log: {event.log}') if lines else 'it printed nothing'}")

    def _say(self, line: str) -> None:
        # Nobody may listen any more: a pager that was left, a terminal that was closed. The run is not about that.
        with suppress(OSError):
            self._print(line)
