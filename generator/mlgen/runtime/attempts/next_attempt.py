"""What the sidecar does for the attempt that may follow: says how this one ended, and keeps its checkpoint."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from mlgen.ledger.records import entry
from mlgen.ledger.records.task import State, TaskRecord
from mlgen.runtime.attempts.checkpoint import checkpoint_of
from mlgen.runtime.attempts.notes import ended_of, tell
from mlgen.runtime.attempts.saving import Saving
from mlgen.runtime.pod.handover import IDENTITY, REFUSED
from mlgen.runtime.pod.post import Post
from mlgen.runtime.pod.watch import Watch

TELL_SECONDS = 60
REMOVE_SECONDS = 60
SAVE_SECONDS = 600  # for the last save, for which the next attempt waits
LAST_WRITES_SECONDS = 10.0  # of a program that was told to end and may save what it has


def tell_next(post: Post, data: bytes) -> None:
    """Leave how this attempt ended, where its spec makes the next one ask. data: of its record."""
    document, record = post.document, entry.from_bytes(data)
    if document.retry is None and document.checkpoint is None:
        return
    ended = ended_of(record) if isinstance(record, TaskRecord) else None
    if ended is not None:
        tell(post.store, document, post.execution, ended)


@dataclass
class NextAttempt:
    """post: of the sidecar. saving: of the task's checkpoint, None without one."""

    post: Post
    saving: Saving | None = field(init=False)
    _began: bool = False

    def __post_init__(self) -> None:
        post, asked = self.post, self.post.document.checkpoint
        self.saving = None
        if asked is not None:
            checkpoint = checkpoint_of(post.store, post.document, post.execution, post.tree)
            self.saving = Saving(checkpoint, asked.every_seconds, post.clock, post.say)

    def follow(self, watch: Watch, *, staged: bool) -> None:
        """Begin the save that is due, beside. staged: whether main may run."""
        if self.saving is None or not staged:
            return
        if not self._began:
            self._began = True
            self.saving.checkpoint.identity = self.post.handover.told(IDENTITY) or None
            self.saving.start()
        if self.saving.take():
            watch.beside(self.saving.save)

    def patience(self, seconds: float) -> float:
        """How long to wait at most, where nothing else is to be seen for so long."""
        left = self.saving.seconds_left if self.saving is not None else None
        return seconds if left is None else min(seconds, left)

    def conclude(self, watch: Watch, data: bytes, is_gone: Callable[[], bool]) -> None:
        """Leave what the next attempt must know, once the record is decided. is_gone: whether nothing of main runs."""
        record = entry.from_bytes(data)
        if not isinstance(record, TaskRecord) or self.post.handover.told(REFUSED) is not None:
            return
        if self.saving is not None and record.state is State.COMPLETE:
            watch.attempt(self.saving.checkpoint.remove, REMOVE_SECONDS)
        # Told to end, there is little time, and what is told is little. Otherwise the next attempt waits for the word,
        # so that it finds the last save.
        if watch.stopping:
            self._tell(watch, data)
            self._save_last(watch, record, is_gone)
        else:
            self._save_last(watch, record, is_gone)
            self._tell(watch, data)

    def _tell(self, watch: Watch, data: bytes) -> None:
        problem = watch.insist(lambda: tell_next(self.post, data), TELL_SECONDS)
        if problem is not None:
            self.post.say(f"the next attempt will not know how this one ended: {problem}")
        self.post.at("told")

    def _save_last(self, watch: Watch, record: TaskRecord, is_gone: Callable[[], bool]) -> None:
        """Save what the program left; one that is still being told to end may have a last word."""
        if self.saving is None or not self._began or record.state is State.COMPLETE:
            return
        until = self.post.clock.monotonic() + LAST_WRITES_SECONDS
        while not is_gone() and self.post.clock.monotonic() < until:
            watch.wait(0.1)
        watch.attempt(self.saving.save, SAVE_SECONDS)
        self.post.at("saved")
