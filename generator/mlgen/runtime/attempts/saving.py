"""When a checkpoint is saved while its program runs, and what people are told of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from threading import Lock

from mlgen.diagnostic import Fault
from mlgen.runtime.attempts.checkpoint import Checkpoint
from mlgen.runtime.attempts.snapshot import Torn
from mlgen.runtime.clock import Clock
from mlgen.runtime.outs import sentence
from mlgen.store import StoreError

TORN = "its files are written to all the time: write beside, as NAME.tmp, and rename when done"
TORN_SECONDS = 10.0  # until the next try


@dataclass
class Saving:
    """The saves of one execution. say: a line for people. clock: monotonic seconds alone.

    A save never fails the task: what cannot be kept is said, once, and tried again later.
    """

    checkpoint: Checkpoint
    every_seconds: float
    clock: Clock
    say: Callable[[str], None]
    _next_at: float | None = None
    _running: bool = False
    _told: str = ""
    _lock: Lock = field(default_factory=Lock)

    def start(self) -> None:
        """The program runs from now on."""
        if self._next_at is None:
            self._next_at = self.clock.monotonic() + self.every_seconds

    @property
    def seconds_left(self) -> float | None:
        """Until the next save; None where none is to come by itself: it has not started, or one runs."""
        if self._next_at is None or self._running:
            return None
        return max(0.0, self._next_at - self.clock.monotonic())

    def take(self) -> bool:
        """Whether a save is due, which the caller then begins, beside whatever it does."""
        if self.seconds_left != 0.0:
            return False
        self._running = True
        return True

    def save(self) -> None:
        """Save, and say why where that cannot be done. Also at the end, once nothing writes any more."""
        began = self.clock.monotonic()
        problem, patience = "", self.every_seconds
        with self._lock:  # of two at once, the second finds all that the first kept
            try:
                self.checkpoint.save()
            except Torn:
                problem, patience = TORN, min(self.every_seconds, TORN_SECONDS)
            except (StoreError, Fault, OSError) as error:
                problem = sentence(error)
        if problem and problem != self._told:
            self.say(f"the checkpoint is not saved: {problem}")
        self._told = problem
        ended = self.clock.monotonic()
        # It rests for as long as it took: so no task spends more than half of its time, and of the network, on saving.
        self._next_at = max(began + patience, ended + (ended - began))
        self._running = False
