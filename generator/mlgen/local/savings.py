"""The checkpoints of running tasks: saved beside the engine's loop."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial

from mlgen.local.attempt import Attempt
from mlgen.local.events import Noted, OnEvent
from mlgen.local.wakeups import Wakeups
from mlgen.runtime.attempts.checkpoint import checkpoint_folder, checkpoint_of
from mlgen.runtime.attempts.saving import Saving
from mlgen.runtime.clock import Clock
from mlgen.runtime.documents import identity
from mlgen.store import Store


def saving_of(attempt: Attempt, store: Store, clock: Clock, wakeups: Wakeups, on_event: OnEvent) -> Saving | None:
    """The saves of an attempt; None of a task without a checkpoint."""
    document = attempt.document
    if document.checkpoint is None:
        return None
    checkpoint = checkpoint_of(store, document, attempt.execution, attempt.folder.tree)
    checkpoint.identity = identity(attempt.task, document, attempt.execution)

    def say(line: str) -> None:  # by a thread: told by the main one
        wakeups.call(lambda: on_event(Noted(f"{document.task}: {line}")))

    return Saving(checkpoint, document.checkpoint.every_seconds, clock, say)


def earlier(attempt: Attempt, uids: Iterable[str]) -> tuple[str, ...]:
    """Where runs may have left the checkpoint of this task. uids: theirs."""
    document, item = attempt.document, attempt.execution.item
    index = item.index if item else 0
    return tuple(checkpoint_folder(document.pipeline, uid, document.task, index) for uid in uids)


def begin_due(attempts: Iterable[Attempt], wakeups: Wakeups) -> None:
    """Begin the saves that are due."""
    for attempt in attempts:
        if attempt.process is not None and attempt.saving is not None and attempt.saving.take():
            wakeups.in_thread(partial(_save, attempt.saving))


def _save(saving: Saving) -> Callable[[], None]:
    saving.save()
    return lambda: None


def seconds_left(attempts: Iterable[Attempt]) -> list[float]:
    """Until each of the next saves."""
    left = (a.saving.seconds_left for a in attempts if a.saving is not None and a.process is not None)
    return [seconds for seconds in left if seconds is not None]
