"""The dates of a backfill: `since=2026-10-01..2026-10-31` by a step of days, weeks, months or years. Pure."""

from __future__ import annotations

import re
from calendar import monthrange
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta

from mlgen.diagnostic import Misuse

MOST = 1000  # runs of one command
_RANGE = re.compile(r"(?P<param>[^=]+)=(?P<first>[^.]+)\.\.(?P<last>[^.]+)")
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_STEP = re.compile(r"(?P<count>[1-9][0-9]{0,3})(?P<unit>d|w|mo|y)")
_MONTHS = {"mo": 1, "y": 12}
_DAYS = {"d": 1, "w": 7}


@dataclass(frozen=True, slots=True)
class Dates:
    """param: which of the pipeline's. dates: in the order in which they are to run."""

    param: str
    dates: tuple[date, ...]


def read(text: str, step: str) -> Dates:
    """The dates that an option means, both ends included; the later one may come first.

    Months and years are counted from the first date: of one that begins on the 31st, each run is on the 31st, or on
    the last day of a month that has none. Raises Misuse "bad-option".
    """
    match = _RANGE.fullmatch(text)
    if match is None:
        raise _bad(f'"{text[:80]}" is no range of dates')
    first, last = (_date(match[name]) for name in ("first", "last"))
    by = _STEP.fullmatch(step)
    if by is None:
        fix = "write a count and d, w, mo or y, such as 1d, 2w, 1mo, 1y"
        raise Misuse("bad-option", f'--step "{step[:40]}" is no step from date to date', fix=fix)
    found: list[date] = []
    for one in _from(first, last, int(by["count"]), by["unit"]):
        if len(found) == MOST:
            fix = "take a shorter range, or a longer --step"
            raise Misuse("bad-option", f"{text[:80]} has more than {MOST:,} dates by {step}", fix=fix)
        found.append(one)
    return Dates(match["param"], tuple(found))


def _from(first: date, last: date, count: int, unit: str) -> Iterator[date]:
    sign = 1 if first <= last else -1
    at = 0
    while True:
        try:
            found = _step(first, sign * at * count, unit)
        except (OverflowError, ValueError):  # beyond the year 1 or 9999
            return
        if (found - last).days * sign > 0:
            return
        yield found
        at += 1


def _step(first: date, count: int, unit: str) -> date:
    if unit in _DAYS:
        return first + timedelta(days=count * _DAYS[unit])
    months = first.year * 12 + first.month - 1 + count * _MONTHS[unit]
    year, month = divmod(months, 12)
    return date(year, month + 1, min(first.day, monthrange(year, month + 1)[1]))


def _date(text: str) -> date:
    try:
        if _DATE.fullmatch(text):  # fromisoformat takes weeks as well
            return date.fromisoformat(text)
    except ValueError as error:
        raise _bad(f'"{text}" is no date: {error}') from None
    raise _bad(f'"{text[:40]}" is no date')


def _bad(what: str) -> Misuse:
    return Misuse("bad-option", what, fix="write --backfill PARAM=2026-10-01..2026-10-31")
