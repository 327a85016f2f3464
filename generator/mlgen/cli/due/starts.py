"""Which runs are due: the times that have come of every schedule, and what is known of each one's run."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from mlgen.cli.backfilling import known
from mlgen.cli.ledgers.records import Records
from mlgen.diagnostic import Misuse
from mlgen.plan.model import Plan
from mlgen.schedules.model import Schedule

MOST = 1000  # times that one command goes through
MOST_DAYS = 366  # that --since may be ago


@dataclass(frozen=True, slots=True)
class Due:
    """A time that has come. known: how its run is told of already, "" where it has none."""

    plan: Plan
    schedule: Schedule
    time: datetime
    run: str
    known: str = ""

    @property
    def at(self) -> str:
        return f"{self.time:%Y-%m-%dT%H:%M:%SZ}"


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
            due = schedule.due(now, since=since)
            for time in due if since is not None else due[-1:]:
                one = Due(plan, schedule, time, schedule.run_name(plan.name, time))
                times.setdefault(one.run, one)
        found += times.values()
    if len(found) > MOST:
        fix = "name a later --since"
        raise Misuse("bad-option", f"{len(found):,} times have come since then, {MOST:,} are the most", fix=fix)
    return sorted(_known(records, found), key=lambda one: (one.time, one.plan.name, one.run))


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
            yield Due(one.plan, one.schedule, one.time, one.run, told)
