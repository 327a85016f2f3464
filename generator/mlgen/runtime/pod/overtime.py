"""The timeout of a program whose failure its task may bear: the sidecar ends it, so that stage-out tells of it.

Where Tekton ends a step that takes too long, it skips all after it, and the TaskRun fails whatever they would say.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from mlgen.runtime.pod import ender
from mlgen.runtime.pod.ender import Ender
from mlgen.runtime.pod.handover import OVERTIME
from mlgen.runtime.pod.post import Post
from mlgen.runtime.pod.verdict import Sight
from mlgen.runtime.pod.watch import Watch

BEGIN_SECONDS = 1.0  # between looks, at most, for the beginning of the program


@dataclass
class Overtime:
    """post: of the sidecar. Main is a script, or nothing happens: its step has the timeout of the spec then."""

    post: Post
    _began_at: float | None = None
    _ender: Ender = field(init=False)

    def __post_init__(self) -> None:
        self._ender = Ender(self.post.places.root / "end")

    def follow(self, watch: Watch, sight: Sight) -> None:
        """Note when main begins; end it where its time is over."""
        if sight.staged is None or sight.main_ended is not None or sight.main_skipped is not None or watch.main_gone:
            return
        if self._began_at is None:
            if watch.main_held:
                self._began_at = self.post.clock.monotonic()
            return
        over = -self._left
        if over >= 0 and self._ender.can:
            self.post.handover.tell(OVERTIME)
            self._ender.end(over)

    def patience(self, seconds: float) -> float:
        """How long to wait at most, where nothing else is to be seen for so long."""
        if self._began_at is None:
            return min(seconds, BEGIN_SECONDS)
        left = self._left if self._left > 0 else self._left + ender.GRACE_SECONDS
        return min(seconds, left) if left > 0 else seconds

    @property
    def _left(self) -> float:
        assert self._began_at is not None, "asked of a program that has begun"
        return self._began_at + self.post.document.timeout_seconds - self.post.clock.monotonic()
