"""Lines on stderr about a run that goes on; on a terminal, a live picture of its tasks below them."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from typing import Any

from mlgen.cli.output import RED, YELLOW, coloured, paint, shown
from mlgen.diagnostic import visible
from mlgen.ledger.records.task import State
from mlgen.secrets.telling import without_secrets

GREEN = "\x1b[32m"
COLOURS = {State.COMPLETE: GREEN, State.FAIL: RED, State.ABORT: YELLOW}


class Screen(AbstractContextManager["Screen"]):
    """Shows while it is entered. tasks: the names of all, for the count. draws: whether there is a picture."""

    def __init__(self, run: str, tasks: Sequence[str]) -> None:
        self._run, self._count, self._done = run, len(tasks), 0
        self._width = max(map(len, tasks), default=0)
        self._running: dict[str, tuple[float, str]] = {}  # since when, and what it does
        self._live: Any = nullcontext()
        self._print: Callable[[str], object] = lambda line: sys.stderr.write(line + "\n")
        self.draws = coloured(sys.stderr)
        if self.draws:
            # Here: rich costs 0.12 s, and only a terminal shows what it draws.
            from rich.console import Console
            from rich.live import Live
            from rich.text import Text

            console = Console(stderr=True)
            self._live = Live(get_renderable=self._picture, console=console, transient=True)
            # Above the picture, and unbroken: rich would wrap a log's line without its margin.
            self._print = lambda line: console.print(Text.from_ansi(line), soft_wrap=True)

    def __enter__(self) -> Screen:
        self._live.__enter__()
        return self

    def __exit__(self, *_about: Any) -> None:
        with suppress(OSError):
            self._live.__exit__(None, None, None)

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Without the picture, inside."""
        self.__exit__()
        try:
            yield
        finally:
            self.__enter__()

    def _picture(self) -> str:
        now = time.monotonic()
        running = list(self._running.items())  # rich asks from a thread of its own
        head = f"{self._run}  {self._done} of {self._count}"
        return "\n".join(
            [head, *(f"  {n:{self._width}}  {now - at:6.1f} s  {does}".rstrip() for n, (at, does) in running)]
        )

    def runs(self, task: str, does: str = "") -> None:
        """A task is at work, or at other work than before."""
        since, _ = self._running.get(task, (time.monotonic(), ""))
        self._running[task] = (since, does)

    def rests(self, task: str, *, done: bool) -> None:
        """A task is not at work any more. done: and will not be again."""
        self._running.pop(task, None)
        self._done += done

    def say(self, task: str, line: str) -> None:
        """A line about a task, whose text is visible already."""
        self._say(f"{task:{self._width}}  {line}")

    def ended(self, task: str, state: State, more: str, seconds: float, attempt: int, *, retried: bool) -> None:
        """How an attempt ended. more: what follows the word for its state. attempt: counted from 0."""
        tries = f", attempt {attempt + 1}" if attempt or retried else ""
        again = ", it is tried again" if retried else ""
        word = paint(state.word, COLOURS[state], sys.stderr)
        self.say(task, f"{word}{shown(more)}  ({seconds:.1f} s{tries}{again})")

    def concluded(self, task: str, state: State, more: str) -> None:
        """How a task ended that ran many times."""
        self.rests(task, done=True)
        self.say(task, f"{paint(state.word, COLOURS[state], sys.stderr)}, {more}")

    def cached(self, task: str) -> None:
        """A task that another pod has found in the cache."""
        self.rests(task, done=True)
        self.say(task, f"{paint('succeeded', GREEN, sys.stderr)}, cached")

    def skipped(self, task: str, words: str) -> None:
        """Why a task will not run. words: their first, up to a colon, is shown in colour."""
        word, colon, more = shown(words).partition(":")
        self.rests(task, done=True)
        self.say(task, f"{paint(word, YELLOW, sys.stderr)}{colon}{more}")

    def reused(self, task: str, run: str) -> None:
        """A task need not run, as that run made what it leaves."""
        self.rests(task, done=True)
        self.say(task, f"{paint('reused', GREEN, sys.stderr)} from {shown(run)}")

    def quote(self, lines: Iterable[str]) -> None:
        """Lines of a log, below what was said last. Tokens that nobody declared are in the log, and not here."""
        for line in without_secrets("\n".join(lines)).splitlines():
            self.say("", f"| {visible(line)}")

    def note(self, text: str) -> None:
        self._say(f"{paint('note', YELLOW, sys.stderr)}: {shown(text)}")

    def _say(self, line: str) -> None:
        # Nobody may listen any more: a pager that was left, a terminal that was closed. The run is not about that.
        with suppress(OSError):
            self._print(line)
