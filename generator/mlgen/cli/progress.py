"""The progress of a run on this machine, on stderr: a live picture on a terminal, a line for each event elsewhere."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Any

from mlgen.cli import words
from mlgen.cli.screen import Screen
from mlgen.diagnostic import visible
from mlgen.ledger.records.task import Item, State
from mlgen.local.events import Concluded, Ended, Event, Noted, OnEvent, Reused, Skipped, Started
from mlgen.local.log import tail

TAIL_LINES = 12  # of a failed attempt's log


class Progress(AbstractContextManager[OnEvent]):
    """Shows events while it is entered. tasks: the names of all, for the count."""

    def __init__(self, run: str, tasks: Sequence[str]) -> None:
        self._screen = Screen(run, tasks)
        self._done: dict[str, int] = {}  # fan -> items that have ended

    def __enter__(self) -> OnEvent:
        self._screen.__enter__()
        return self._hear

    def __exit__(self, *about: Any) -> None:
        self._screen.__exit__(*about)

    def _hear(self, event: Event) -> None:
        screen = self._screen
        match event:
            case Started(item=None):
                screen.runs(event.task)
                if not screen.draws:
                    screen.say(event.task, "started")
            case Started():
                self._item_starts(event)
            case Ended():
                if event.item is None:
                    screen.rests(event.task, done=not event.retried)
                more = words.ending(event.state, event.exit_code, event.error).removeprefix(event.state.word)
                more = ", cached" if event.cached else more
                task = event.task if event.item is None else f"{event.task} {self._item_ends(event, event.item)}"
                screen.ended(task, event.state, more, event.seconds, event.attempt, retried=event.retried)
                if event.state is State.FAIL:
                    self._say_log(event)
            case Concluded():
                screen.concluded(event.task, event.state, words.items(event.of, event.failed))
            case Skipped():
                screen.skipped(event.task, words.skip(event.reason, event.why))
            case Reused():
                screen.reused(event.task, event.run)
            case Noted():
                screen.note(event.text)

    def _item_starts(self, event: Started) -> None:
        assert event.item is not None, "of an item"
        if event.task not in self._done:
            self._done[event.task] = 0
            self._screen.say(event.task, f"started, {words.items(event.item.of)}")
        self._screen.runs(event.task, f"{self._done[event.task]} of {event.item.of}")

    def _item_ends(self, event: Ended, item: Item) -> str:
        """Which of how many."""
        self._done[event.task] += not event.retried
        self._screen.runs(event.task, f"{self._done[event.task]} of {item.of}")
        return f"{self._done[event.task]}/{item.of} [{item.index}]{visible(words.variables(item.values))}"

    def _say_log(self, event: Ended) -> None:
        lines = tail(event.log, TAIL_LINES)
        self._screen.quote(lines)
        self._screen.say("", visible(f"its log: {event.log}") if lines else "it printed nothing")
