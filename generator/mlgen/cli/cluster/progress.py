"""The progress of a run in a cluster, on stderr: in the words and the look of one on this machine."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import AbstractContextManager
from typing import Any

from mlgen.cli import words
from mlgen.cli.screen import Screen
from mlgen.cluster import view
from mlgen.cluster.empty import EMPTY
from mlgen.cluster.events import (
    Ended,
    Event,
    Failure,
    Moved,
    Noted,
    OnEvent,
    Printed,
    Skipped,
    Started,
    Waits,
)
from mlgen.cluster.failure import is_echo
from mlgen.diagnostic import visible
from mlgen.ledger.records.task import State
from mlgen.local import why
from mlgen.plan.model import Plan


class ClusterProgress(AbstractContextManager[OnEvent]):
    """Shows events while it is entered."""

    def __init__(self, run: str, plan: Plan, env: str) -> None:
        names = [task.name for task in plan.all_tasks]
        self._screen = Screen(run, names)
        self._tasks, self._run, self._plan, self._env = frozenset(names), run, plan, env
        self._told: set[str] = set()
        self._failures: dict[str, Failure] = {}  # of tasks, why their last attempts failed
        self._because = why.INTERRUPTED  # why what is not started is not

    def __enter__(self) -> OnEvent:
        self._screen.__enter__()
        return self.hear

    def __exit__(self, *about: Any) -> None:
        self._screen.__exit__(*about)

    def paused(self) -> AbstractContextManager[None]:
        """Without a live picture, inside."""
        return self._screen.paused()

    def reused(self, tasks: Iterable[str], run: str) -> None:
        """Tasks that are no part of the run, as an earlier one made what they leave."""
        for task in tasks:
            self._screen.reused(task, run)

    def _skipped(self, event: Skipped) -> None:
        if event.reason == view.CACHED:
            self._screen.cached(event.task)
        elif event.reason == EMPTY:
            self._screen.concluded(event.task, State.COMPLETE, words.items(0))
        else:
            why = words.why_skipped(self._plan, event.task, event.reason, self._because)
            self._screen.skipped(event.task, why)

    def hear(self, event: Event) -> None:
        """Show an event; of gate tasks and `record`, which no author wrote, only what goes wrong."""
        screen = self._screen
        match event:
            case Started(task=task) | Moved(task=task) | Skipped(task=task) if view.base_of(task) not in self._tasks:
                pass
            case Ended() if is_echo(event.task, event.failure):
                screen.rests(event.task, done=False)
            case Ended(failure=None) if view.base_of(event.task) not in self._tasks:
                pass
            case Moved():
                screen.runs(event.task, event.phase)
            case Started():
                if not screen.draws:
                    screen.say(event.task, "started" if not event.attempt else f"started, attempt {event.attempt + 1}")
            case Waits():
                screen.say(event.task, visible(f"waits: {event.why}"))
                if event.fix not in self._told:  # many pods may lack the same
                    self._say_more("", event.fix)
                self._told.add(event.fix)
            case Ended():
                self._ended(event)
            case Skipped():
                self._skipped(event)
            case Printed():
                screen.say(event.task, f"| {visible(event.line)}")
            case Noted():
                screen.note(event.text)

    def _ended(self, event: Ended) -> None:
        self._screen.rests(event.task, done=not event.retried and event.task in self._tasks)
        if event.state is State.FAIL and not event.retried and self._because == why.INTERRUPTED:
            self._because = why.failed(event.task)
        more = words.of_failure(event.state, event.failure).removeprefix(event.state.word)
        again = event.failure is not None and self._failures.get(event.task) == event.failure and not event.tail
        more = ", as before" if again else more
        self._screen.ended(event.task, event.state, more, event.seconds, event.attempt, retried=event.retried)
        if event.failure is None or event.state is State.ABORT or again:
            return
        self._failures[event.task] = event.failure
        self._say_more(event.failure.why, event.failure.fix)
        self._screen.quote(event.tail)
        if event.failure.log:
            self._screen.say("", visible(f"its log: mlgen logs {self._run} {event.task} --env {self._env}"))

    def _say_more(self, because: str, fix: str) -> None:
        for word, text in (("why", because), ("fix", fix)):
            for line in text.splitlines():
                self._screen.say("", visible(f"{word}  {line}"))
