"""Cron expressions: five fields, of which Kubernetes and cron(8) say the same, and the instants that they mean.

Kubernetes reads them by robfig/cron v3 (parser.go, spec.go), `mlgen run --due` by cronsim, which follows Debian's cron.
What one of the two refuses, or where they disagree, is refused here, with what to write instead. At the edges of summer
time they disagree too: there it is as in the cluster, which starts at each minute whose wall clock fits. A time that
the clock skips is no start, one that it shows twice is two.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from heapq import heappop, heappush
from itertools import islice, takewhile

from cronsim import CronSim

from mlgen.schedules.zones import zone as zone_of

FIELDS = (("minute", 0, 59), ("hour", 0, 23), ("day of the month", 1, 31), ("month", 1, 12), ("day of the week", 0, 6))
MONTHS = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"]
DAYS = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"]
_MACROS = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}
_LONGEST_MONTH = (0, 31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)
_TERM = re.compile(r"(?:(?P<star>\*)|(?P<first>[a-z0-9]+)(?:-(?P<last>[a-z0-9]+))?)(?:/(?P<step>[0-9]+))?")
_OVERLAP = timedelta(hours=25)  # more than any zone's clock was ever set back
MAX_LENGTH = 200


class CronError(ValueError):
    """Why an expression cannot be taken. at: the characters it is about, (start, end). fix: what to write instead."""

    def __init__(self, message: str, at: tuple[int, int], why: str = "", fix: str = "") -> None:
        super().__init__(message)
        self.message, self.at, self.why, self.fix = message, at, why, fix


@dataclass(frozen=True, slots=True)
class Cron:
    """text: as it was written. normal: with numbers for names, for cronsim. at_most_daily: never twice a day."""

    text: str
    normal: str
    at_most_daily: bool


def parse(text: str) -> Cron:
    """Raises CronError."""
    whole = (0, len(text))
    parts = [(match[0], match.span()) for match in re.finditer(r"\S+", text[: MAX_LENGTH + 1])]
    if len(text) > MAX_LENGTH:
        raise CronError(f"the expression is longer than {MAX_LENGTH} characters", whole, fix="split it: a list of two")
    if text.startswith("@"):
        meant = _MACROS.get(text.strip().lower())
        why = "a macro hides when it is, and Kubernetes and cron(8) know different ones"
        raise CronError(
            f'"{text[:40]}" is a macro', whole, why, f'write "{meant}"' if meant else "write the five fields"
        )
    if parts and re.match(r"(?:CRON_)?TZ=", parts[0][0]):
        name = parts[0][0].partition("=")[2]
        raise CronError("a time zone inside of the expression", parts[0][1], "", f"write zone: {name[:60]} beside it")
    if len(parts) != len(FIELDS):
        raise CronError(
            f"the expression has {len(parts)} field{'' if len(parts) == 1 else 's'}, not five",
            whole,
            "they are: minute, hour, day of the month, month, day of the week",
            "leave the seconds out: a schedule is to the minute" if len(parts) == 6 else 'write five: "0 3 * * 1"',
        )
    read = [_field(part, at, index) for index, (part, at) in enumerate(parts)]
    _check_days(parts)
    _check_fires(read, parts)
    single = all(len(read[index].values) == 1 for index in (0, 1))
    return Cron(text, " ".join(field.text for field in read), single)


@dataclass(frozen=True, slots=True)
class _Field:
    text: str
    values: frozenset[int]


def _field(text: str, at: tuple[int, int], index: int) -> _Field:
    name = FIELDS[index][0]
    if text == "?":
        raise CronError(f'"?" as the {name}', at, "cron(8) does not know it; to Kubernetes it is *", "write *")
    terms, values, start = text.split(","), set[int](), at[0]
    texts = []
    for term in terms:
        where = (start, start + len(term))
        start += len(term) + 1
        found, normal = _term(term, where, index)
        if term.startswith("*") and len(terms) > 1:
            raise CronError(
                f'"{term}" in a list', where, "Kubernetes and cron(8) read it differently", "write it alone"
            )
        values |= found
        texts.append(normal)
    return _Field(",".join(texts), frozenset(values))


def _term(term: str, at: tuple[int, int], index: int) -> tuple[set[int], str]:
    name, low, high = FIELDS[index]
    match = _TERM.fullmatch(term.lower())
    if match is None:
        fix = f"write *, numbers from {low} to {high}, lists 1,2, ranges 1-5, steps */2"
        raise CronError(f'"{term[:40]}" is no {name}', at, "", fix)
    step = int(match["step"][:6]) if match["step"] else 1
    first, last = low, high
    if not match["star"]:
        first = _number(match["first"], at, index)
        last = _number(match["last"], at, index) if match["last"] else first
        if match["step"] and not match["last"]:
            why = "Kubernetes and cron(8) read a step without an end differently"
            raise CronError(f'"{term}" has a step, and no range', at, why, f"write {first}-{high}/{step}")
    if last < first:
        raise CronError(f'"{term}" ends before it begins', at, "", f"write {first}-{high},{low}-{last}")
    if match["step"] and not 0 < step <= high - low:
        why = f"a step of {step} is longer than all there is: each {name} is from {low} to {high}"
        raise CronError(
            f'"{term}" is not every {step}', at, why if step else "", f"write a step from 1 to {high - low}"
        )
    head = "*" if match["star"] else f"{first}-{last}" if match["last"] else str(first)
    return set(range(first, last + 1, step)), head + (f"/{step}" if step > 1 else "")


def _number(text: str, at: tuple[int, int], index: int) -> int:
    name, low, high = FIELDS[index]
    names = MONTHS if index == 3 else DAYS if index == 4 else []
    if text in names:
        return names.index(text) + low
    if index == 4 and text == "7":
        raise CronError(
            '"7" as the day of the week', at, "Kubernetes refuses it, cron(8) takes it for Sunday", "write 0"
        )
    if not text.isdecimal() or len(text) > 4 or not low <= int(text) <= high:
        fix = f"write a number from {low} to {high}" + (f", or one of {', '.join(names)}" if names else "")
        raise CronError(f'"{text[:40]}" is no {name}', at, "", fix)
    return int(text)


def _check_days(parts: list[tuple[str, tuple[int, int]]]) -> None:
    """A day field with a step is "all" to cron(8) and "some" to Kubernetes, which decides how both are joined."""
    for one, other in ((2, 4), (4, 2)):
        text, at = parts[one]
        if text.startswith("*/") and text != "*/1" and not parts[other][0].startswith("*"):
            why = "to cron(8) a day has to fit both day fields then, to Kubernetes one of them"
            raise CronError(f'"{text}" beside another day field', at, why, "write the days out: 1,3,5")


def _check_fires(read: list[_Field], parts: list[tuple[str, tuple[int, int]]]) -> None:
    days, months = read[2], read[3]
    longest = max(_LONGEST_MONTH[month] for month in months.values)
    either = not parts[2][0].startswith("*") and not parts[4][0].startswith("*")  # then a weekday alone is enough
    if min(days.values) > longest and not either:
        at = (parts[2][1][0], parts[3][1][1])
        why = f"no month of {parts[3][0]} has a day {min(days.values)}"
        raise CronError("this never fires", at, why, f"write a day up to {longest}; day 1 is in every month")


def times(cron: Cron, zone: str, after: datetime) -> Iterator[datetime]:
    """The instants, in UTC, later than `after`, in their order; some fifty years of them."""
    local, waiting = zone_of(zone), list[datetime]()
    for wall in CronSim(cron.normal, after.astimezone(local).replace(tzinfo=None) - _OVERLAP):
        earliest = wall.replace(tzinfo=local).astimezone(UTC)
        for fold in (0, 1):
            instant = wall.replace(tzinfo=local, fold=fold).astimezone(UTC)
            shown = instant.astimezone(local).replace(tzinfo=None) == wall  # not while the clock skips it
            if shown and instant > after and instant not in waiting:
                heappush(waiting, instant)
        while waiting and waiting[0] <= earliest:
            yield heappop(waiting)
    while waiting:
        yield heappop(waiting)


_BACK = [timedelta(days=days) for days in (1, 32, 367, 1500, 3000)]  # 29 February is up to eight years away


def latest(cron: Cron, zone: str, until: datetime) -> datetime | None:
    """The last instant up to another and with it."""
    spans = [timedelta(hours=1), *_BACK]
    return next((found[-1] for span in spans if (found := between(cron, zone, until - span, until))), None)


def between(cron: Cron, zone: str, after: datetime, until: datetime, *, most: int | None = None) -> list[datetime]:
    """The instants after one, up to another and with it. most: of the first ones, where no more are wanted."""
    return list(islice(takewhile(lambda instant: instant <= until, times(cron, zone, after)), most))
