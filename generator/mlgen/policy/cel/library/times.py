"""Timestamps and durations, as Go reads and prints them."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from typing import Any

from mlgen.policy.cel.operators import in_range
from mlgen.policy.cel.signatures import Implementation
from mlgen.policy.cel.values import MAX_INT, MIN_INT, CelError, Duration, NotEvaluated, Timestamp

SECOND = 1_000_000_000
_UNITS = {"ns": 1, "ms": 1_000_000, "s": SECOND, "m": 60 * SECOND, "h": 3600 * SECOND}
_UNITS |= dict.fromkeys(("us", "µs", "μs"), 1_000)
_PART = re.compile(r"([0-9]*)(?:\.([0-9]*))?(ns|us|µs|μs|ms|s|m|h)")
_TIMESTAMP = re.compile(r"(\d{4})-(\d\d)-(\d\d)T(\d\d):(\d\d):(\d\d)(?:[.,](\d+))?(?:Z|([+-])(\d\d):(\d\d))", re.ASCII)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def timestamp(text: str) -> Timestamp:
    """The instant of an RFC 3339 text."""
    match = _TIMESTAMP.fullmatch(text)
    refused = CelError("type conversion error from 'string' to 'google.protobuf.Timestamp'")
    if match is None:
        raise refused
    try:
        moment = datetime(*(int(match[n]) for n in range(1, 7)), tzinfo=UTC)  # type: ignore[misc, arg-type] # six
    except ValueError:
        raise refused from None
    shift = 0
    nanos = ((moment - _EPOCH) // timedelta(seconds=1)) * SECOND + int(((match[7] or "") + "0" * 9)[:9])
    if match[8]:
        if int(match[9]) > 24 or int(match[10]) > 60:
            raise refused
        shift = (int(match[9]) * 60 + int(match[10])) * (60 if match[8] == "+" else -60)
    return in_range(nanos - shift * SECOND, shift)


def duration(text: str) -> Duration:
    """The duration of a text such as 1h30m, as Go's time.ParseDuration reads it."""
    refused = CelError("type conversion error from 'string' to 'google.protobuf.Duration'")
    sign, rest = (text[0], text[1:]) if text[:1] in ("+", "-") else ("", text)
    if rest == "0":
        return Duration(0)
    if not rest:
        raise refused
    total = at = 0
    while at < len(rest):
        match = _PART.match(rest, at)
        if match is None or not (match[1] or match[2]):
            raise refused
        unit = _UNITS[match[3]]
        fraction = match[2] or ""
        total += int(match[1] or 0) * unit + int(int(fraction or 0) * unit / 10 ** len(fraction))
        at = match.end()
    total = -total if sign == "-" else total
    if not MIN_INT <= total <= MAX_INT:
        raise refused
    return Duration(total)


def duration_text(value: Duration) -> str:
    """Seconds: 5400s, 1.5s."""
    whole, nanos = divmod(abs(value.nanos), SECOND)
    fraction = f".{nanos:09}".rstrip("0") if nanos else ""
    return f"{'-' if value.nanos < 0 else ''}{whole}{fraction}s"


def timestamp_text(value: Timestamp) -> str:
    seconds, nanos = divmod(value.nanos, SECOND)
    moment = _EPOCH + timedelta(seconds=seconds + value.zone)
    minutes = abs(value.zone) // 60
    zone = f"{'-' if value.zone < 0 else '+'}{minutes // 60:02}:{minutes % 60:02}" if value.zone else "Z"
    fraction = f".{nanos:09}".rstrip("0") if nanos else ""
    return f"{moment:%Y-%m-%dT%H:%M:%S}".zfill(19) + fraction + zone


def _zone(name: str) -> tzinfo:
    match = re.fullmatch(r"([+-]?)(\d\d):(\d\d)", name, re.ASCII)
    if match:
        shift = timedelta(hours=int(match[2]), minutes=int(match[3]))
        return timezone(-shift if match[1] == "-" else shift)
    if name in ("UTC", ""):
        return UTC
    # The files of zones differ from machine to machine, and so may be those of the cluster.
    raise NotEvaluated(f"the time zone {name} is not known here")


def _moment(value: Timestamp, zone: str = "UTC") -> datetime:
    return (_EPOCH + timedelta(seconds=value.nanos // SECOND)).astimezone(_zone(zone))


def _part(read: Callable[[datetime], int]) -> Implementation:
    return lambda value, zone="UTC": read(_moment(value, zone))


def _milliseconds(value: Any, zone: str = "UTC") -> int:
    if type(value) is Duration:
        return _toward_zero(value.nanos, 1_000_000)
    _zone(zone)
    return int(value.nanos % SECOND // 1_000_000)


def _toward_zero(nanos: int, unit: int) -> int:
    return nanos // unit if nanos >= 0 else -(-nanos // unit)


_PARTS: dict[str, Implementation] = {
    "getFullYear": _part(lambda t: t.year),
    "getMonth": _part(lambda t: t.month - 1),
    "getDate": _part(lambda t: t.day),
    "getDayOfMonth": _part(lambda t: t.day - 1),
    "getDayOfWeek": _part(lambda t: t.isoweekday() % 7),
    "getDayOfYear": _part(lambda t: t.timetuple().tm_yday - 1),
    "getHours": _part(lambda t: t.hour),
    "getMinutes": _part(lambda t: t.minute),
    "getSeconds": _part(lambda t: t.second),
    "getMilliseconds": _milliseconds,
}
BUILT_IN: dict[str, Implementation] = {
    **{f"<timestamp>.{name}() -> int": function for name, function in _PARTS.items()},
    **{f"<timestamp>.{name}(string) -> int": function for name, function in _PARTS.items()},
    "<duration>.getHours() -> int": lambda d: _toward_zero(d.nanos, 3600 * SECOND),
    "<duration>.getMinutes() -> int": lambda d: _toward_zero(d.nanos, 60 * SECOND),
    "<duration>.getSeconds() -> int": lambda d: _toward_zero(d.nanos, SECOND),
    "<duration>.getMilliseconds() -> int": _milliseconds,
}
FUNCTIONS: dict[str, Implementation] = {}
