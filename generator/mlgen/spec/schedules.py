"""`schedule` as typed data: one or a list, each a cron expression or a map."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from mlgen.diagnostic import Diagnostic
from mlgen.schedules.model import Concurrency, Scheduled
from mlgen.spec.model import Place, Schedule, ScheduledParam, Setting
from mlgen.spec.quantities import duration_seconds

CATCH_UP_SECONDS = 3600
ZONE = "UTC"


def read_schedules(
    value: object, place: Place, text_of: Callable[[object, Place], str | None], found: list[Diagnostic]
) -> Iterator[Schedule]:
    """text_of: the text of a plain value at its place. What cannot be read is told in `found`."""
    if isinstance(value, list):
        for index, one in enumerate(value):
            if not isinstance(one, list):
                yield from read_schedules(one, place / index, text_of, found)
    elif isinstance(value, str):
        yield Schedule(place, Setting(value, place), None, Concurrency.FORBID, None)
    elif isinstance(value, dict):
        given = value.get("params")
        concurrency = value.get("concurrency")
        yield Schedule(
            place,
            _setting(value, "cron", place),
            _setting(value, "zone", place),
            Concurrency(concurrency) if concurrency in list(Concurrency) else Concurrency.FORBID,
            _catch_up(value.get("catch_up"), place / "catch_up", found),
            tuple(_param(n, v, place / "params" / n, text_of) for n, v in given.items())
            if isinstance(given, dict)
            else (),
        )


def _setting(value: dict[str, object], key: str, place: Place) -> Setting | None:
    found = value.get(key)
    return Setting(found, place / key) if isinstance(found, str) else None


def _catch_up(value: object, place: Place, found: list[Diagnostic]) -> Setting | None:
    if not isinstance(value, str):
        return None
    try:
        return Setting(duration_seconds(value), place)
    except ValueError as error:
        found.append(place.finding("bad-duration", str(error), "", "write 30m, 1h or 36h"))
        return None


def _param(name: str, value: object, place: Place, text_of: Callable[[object, Place], str | None]) -> ScheduledParam:
    if isinstance(value, dict):
        what = value.get("scheduled")
        return ScheduledParam(name, place, None, Scheduled(what) if what in list(Scheduled) else None)
    return ScheduledParam(name, place, text_of(value, place))
