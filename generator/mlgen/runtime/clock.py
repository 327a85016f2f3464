"""Time as it comes in: from the command line, or from the start of `mlgen-runtime`."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Protocol


class Clock(Protocol):
    """The only way by which engines and pods know time; the command line has the real one."""

    def now(self) -> datetime:
        """The time of day, with its zone."""

    def monotonic(self) -> float:
        """Seconds that only grow, for timeouts."""


def timestamp(time: datetime) -> str:
    """RFC 3339 in UTC with milliseconds, as records have it."""
    return time.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
