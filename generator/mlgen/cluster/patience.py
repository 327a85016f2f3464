"""A server that does not answer: for how long it is asked again, and when that is told."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from mlgen.cluster.api import Unreachable

TELL_AFTER_SECONDS = 5.0  # before, nobody notices
GIVE_UP_SECONDS = 900.0  # a control plane is upgraded in less


@dataclass
class Patience:
    """server: for people."""

    server: str
    _since: float | None = None
    _reason: Unreachable | None = None
    _told: bool = False

    def lost(self, reason: Unreachable, now: float) -> None:
        self._reason = reason
        if self._since is None:
            self._since = now

    def answered(self) -> Iterator[str]:
        """What to tell, as it answers."""
        if self._told:
            yield f"{self.server} answers again"
        self._since, self._told = None, False

    def waited(self, now: float) -> Iterator[str]:
        """What to tell, as time goes by. Raises Unreachable when it is enough."""
        if self._since is None or self._reason is None:
            return
        if now - self._since > GIVE_UP_SECONDS:
            raise self._reason
        if now - self._since > TELL_AFTER_SECONDS and not self._told:
            self._told = True
            yield f"{self.server} does not answer ({self._reason}); the run goes on, and it is asked again"
