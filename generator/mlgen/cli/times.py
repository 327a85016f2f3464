"""Times as people write them in options."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

from mlgen.diagnostic import Misuse

TIMES = "2026-11-28, 2026-11-28T10:00Z, or 7d, 12h, 30m ago"
_AGO = re.compile(r"([0-9]{1,6})([wdhm])")
_UNITS = {"w": timedelta(weeks=1), "d": timedelta(days=1), "h": timedelta(hours=1), "m": timedelta(minutes=1)}


def moment_of(text: str, now: datetime) -> datetime:
    """The time that a text means, in UTC where it names no zone. Raises Misuse "bad-option"."""
    try:
        if ago := _AGO.fullmatch(text):
            return now - int(ago[1]) * _UNITS[ago[2]]
        found = datetime.fromisoformat(text)
        return (found if found.tzinfo else found.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError):
        raise Misuse("bad-option", f'"{text[:80]}" is no time', fix=f"write {TIMES}") from None
