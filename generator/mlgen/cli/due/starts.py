"""Which runs are due: the times that have come of every schedule, and what is known of each one's run."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from mlgen.cli.backfilling import known
from mlgen.cli.ledgers.records import Records
from mlgen.diagnostic import Misuse
from mlgen.plan.model import Plan
from mlgen.render.scheduled import schedule_name
from mlgen.runtime.pod.start import LABEL, TIME
from mlgen.schedules.model import Concurrency, Schedule

MOST = 1000  # times that one command goes through
MOST_DAYS = 366  # that --since may be ago


TIMES, EVENTS = "due", "events"  # what starts runs: folders of claims


@dataclass(frozen=True, slots=True)
class Due:
    """A run that is to be there, for a time that has come or an event. at: that time, or which event, for people.

    given: texts of params by name. label: of all runs in a cluster that were started in the same way, and by what.
    notes: annotations of its run there. known: how the run is told of already, "" where there is none.
    """

    plan: Plan
    run: str
    at: str
    kind: str
    concurrency: Concurrency
    given: tuple[tuple[str, str], ...]
    label: tuple[str, str]
    notes: tuple[tuple[str, str], ...]
    known: str = ""


def of_time(plan: Plan, schedule: Schedule, time: datetime, environment: str) -> Due:
    at = f"{time:%Y-%m-%dT%H:%M:%SZ}"
    return Due(
        plan,
        schedule.run_name(plan.name, time),
        at,
        TIMES,
        schedule.concurrency,
        tuple(sorted(schedule.arguments(time).items())),
        (LABEL, schedule_name(plan, schedule, environment)),
        ((TIME, at),),
    )


def read_since(text: str, now: datetime) -> datetime:
    """Raises Misuse for a text that is no date and no time."""
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        fix = "write a date, 2026-10-31, or a time, 2026-10-31T02:00:00Z"
        raise Misuse("bad-option", f'--since: "{text[:80]}" is no time', fix=fix) from None
    found = found.replace(tzinfo=UTC) if found.tzinfo is None else found
    if not now - timedelta(days=MOST_DAYS) <= found <= now:
        fix = "name a time of the last year; a range of dates is run by --backfill"
        raise Misuse("bad-option", f"--since {text} is in the future, or more than {MOST_DAYS} days ago", fix=fix)
    return found


def starts(records: Records, plans: Iterable[Plan], now: datetime, since: datetime | None) -> list[Due]:
    """What is due, by time. Without `since` of each schedule the latest time that it still catches up with."""
    found: list[Due] = []
    for plan in plans:
        times: dict[str, Due] = {}
        for schedule in plan.schedules:
            # One more tells that there are too many: of a year by the minute there are half a million.
            due = schedule.due(now)[-1:] if since is None else schedule.due(now, since=since, most=MOST + 1)
            for time in due:
                one = of_time(plan, schedule, time, records.environment.name)
                times.setdefault(one.run, one)
        found += times.values()
        if len(found) > MOST:
            message = f"more than {MOST:,} times have come since then, which one command does not go through"
            raise Misuse("bad-option", message, fix="name a later --since")
    return known_of(records, found)


def known_of(records: Records, found: list[Due]) -> list[Due]:
    """The same, with what is known of each, in their order."""
    return sorted(_known(records, found), key=lambda one: (one.at, one.plan.name, one.run))


def again(records: Records, one: Due) -> Due:
    """The same, as it is known now."""
    return next(_known(records, [one]))


def _known(records: Records, found: list[Due]) -> Iterator[Due]:
    by_plan: dict[str, list[Due]] = {}
    for one in found:
        by_plan.setdefault(one.plan.name, []).append(one)
    for of_plan in by_plan.values():
        turns = {turn.value: turn for turn in known.turns(records, of_plan[0].plan, {d.run: d.run for d in of_plan})}
        for one in of_plan:
            turn = turns[one.run]
            told = "COMPLETE" if turn.done else "goes on" if turn.goes_on else "failed" if turn.resumes else ""
            yield replace(one, known=told)
