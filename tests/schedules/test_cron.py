"""Cron expressions: what robfig/cron documents of them, which is what Kubernetes does."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlgen.schedules import zones
from mlgen.schedules.cron import CronError, between, latest, parse, times
from mlgen.schedules.model import Concurrency, Schedule, Scheduled, prefix
from mlgen.schedules.zones import zone


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def next_times(cron: str, after: str, name: str = "UTC", count: int = 1) -> list[str]:
    found = times(parse(cron), name, at(after))
    return [f"{instant:%Y-%m-%d %H:%M}" for instant, _ in zip(found, range(count), strict=False)]


@pytest.mark.parametrize(
    ("cron", "after", "found"),
    [
        # robfig/cron v3, spec_test.go, TestNext, without its seconds and its `?`.
        ("0/15 * * * *", "2012-07-09 14:45", None),
        ("*/15 * * * *", "2012-07-09 14:45", "2012-07-09 15:00"),
        ("*/15 * * * *", "2012-07-09 14:59", "2012-07-09 15:00"),
        ("20-35/15 * * * *", "2012-07-09 15:45", "2012-07-09 16:20"),
        ("*/15 * * * *", "2012-07-09 23:46", "2012-07-10 00:00"),
        ("20-35/15 * * * *", "2012-07-09 23:45", "2012-07-10 00:20"),
        ("20-35/15 1/2 * * *", "2012-07-09 23:45", None),
        ("20-35/15 10-12 * * *", "2012-07-09 23:45", "2012-07-10 10:20"),
        ("20-35/15 1-23/2 */2 * *", "2012-07-09 23:45", "2012-07-11 01:20"),
        ("20-35/15 * 9-20 * *", "2012-07-09 23:45", "2012-07-10 00:20"),
        ("20-35/15 * 9-20 jul *", "2012-07-09 23:45", "2012-07-10 00:20"),
        ("0 0 9 apr-oct *", "2012-07-09 23:35", "2012-08-09 00:00"),
        ("0 0 */5 Apr,Aug,Oct Mon", "2012-07-09 23:35", None),  # Kubernetes: either; cron(8): both
        ("0 0 */5 oct *", "2012-07-09 23:35", "2012-10-01 00:00"),
        ("0 0 * feb Mon", "2012-07-09 23:35", "2013-02-04 00:00"),
        ("0 0 * Feb Mon-Fri", "2012-07-09 23:35", "2013-02-01 00:00"),
        ("0 0 29 Feb *", "2012-07-09 23:35", "2016-02-29 00:00"),
        # TestActivation: * and a weekday are both, two of them are either.
        ("0 0 15 * Sun", "2012-07-15 00:00", "2012-07-22 00:00"),
        ("0 0 * * Sun", "2012-07-15 00:00", "2012-07-22 00:00"),
        ("0 0 1,15 * Sun", "2012-07-09 00:00", "2012-07-15 00:00"),
        ("0 0 1,15 * Sun", "2012-07-15 00:00", "2012-07-22 00:00"),
        ("0 0 31 2 1", "2026-01-01 00:00", "2026-02-02 00:00"),  # fires, on Mondays
    ],
)
def test_the_next_time_is_what_kubernetes_has_or_there_is_none(cron: str, after: str, found: str | None) -> None:
    if found is None:
        with pytest.raises(CronError):
            parse(cron)
    else:
        assert next_times(cron, after) == [found]


@pytest.mark.parametrize(
    ("cron", "after", "found"),
    [
        # robfig: "jobs scheduled during daylight-savings leap-ahead transitions will not be run"
        ("30 2 * * *", "2026-03-28 12:00", ["2026-03-30 00:30", "2026-03-31 00:30"]),
        ("0 * * * *", "2026-03-29 00:30", ["2026-03-29 01:00", "2026-03-29 02:00"]),
        ("30 2 * * *", "2026-10-24 12:00", ["2026-10-25 00:30", "2026-10-25 01:30", "2026-10-26 01:30"]),
        ("0 * * * *", "2026-10-24 23:30", ["2026-10-25 00:00", "2026-10-25 01:00", "2026-10-25 02:00"]),
        ("*/30 2 * * *", "2026-10-25 00:00", ["2026-10-25 00:30", "2026-10-25 01:00", "2026-10-25 01:30"]),
    ],
)
def test_where_clocks_change(cron: str, after: str, found: list[str]) -> None:
    assert next_times(cron, after, "Europe/Berlin", len(found)) == found


FIELD = {
    "minute": st.sampled_from(["*", "0", "30", "*/7", "5-50/9", "1,2,59"]),
    "hour": st.sampled_from(["*", "2", "0-3", "*/5", "1,2,3"]),
    "day": st.sampled_from(["*", "1", "25-31", "29,30"]),
    "month": st.sampled_from(["*", "3,10", "mar-oct", "*/3"]),
    "weekday": st.sampled_from(["*", "0", "sun,mon", "1-5"]),
}
ZONES = ("UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "America/Sao_Paulo", "Asia/Kathmandu")


@settings(max_examples=40, deadline=None)
@given(st.fixed_dictionaries(FIELD), st.sampled_from(ZONES), st.integers(0, 400 * 24))
def test_an_instant_is_due_where_its_wall_clock_fits_and_nowhere_else(
    fields: dict[str, str], name: str, hours: int
) -> None:
    """robfig/cron's rule, gone through minute by minute: SpecSchedule.Next, spec.go."""
    cron, local = parse(" ".join(fields[key] for key in FIELD)), zone(name)
    start = at("2018-01-01") + timedelta(hours=hours)
    sets = [_values(fields[key], index) for index, key in enumerate(FIELD)]
    wanted = []
    for minute in range(1, 30 * 60 + 1):
        instant = start + timedelta(minutes=minute)
        wall = instant.astimezone(local)
        day, weekday = wall.day in sets[2], wall.isoweekday() % 7 in sets[4]
        both = "*" in (fields["day"], fields["weekday"])
        fits = wall.minute in sets[0] and wall.hour in sets[1] and wall.month in sets[3]
        if fits and (day and weekday if both else day or weekday):
            wanted.append(instant)
    assert between(cron, name, start, start + timedelta(hours=30)) == wanted


def _values(text: str, index: int) -> set[int]:
    low, high = ((0, 59), (0, 23), (1, 31), (1, 12), (0, 6))[index]
    found = set[int]()
    words = {"mar": 3, "oct": 10, "sun": 0, "mon": 1}
    for term in text.split(","):
        head, _, step = term.partition("/")
        first, _, last = head.partition("-")
        numbers = [int(words.get(word, word)) for word in (first, last) if word not in ("", "*")]
        begin, end = (numbers[0], numbers[-1]) if numbers else (low, high)
        found |= set(range(begin, end + 1, int(step or 1)))
    return found


@pytest.mark.parametrize("text", ["", "* * * *", "a * * * *", "60 * * * *", "*/0 * * * *", "1-2-3 * * * *", "* " * 500])
def test_what_is_no_expression(text: str) -> None:
    with pytest.raises(CronError):
        parse(text)


@settings(max_examples=100, deadline=None)
@given(st.text(alphabet="0123456789*/,-? @LW#amonsuTZ=\t", max_size=40))
def test_any_text_is_read_or_refused_with_its_place(text: str) -> None:
    try:
        cron = parse(text)
    except CronError as error:
        start, end = error.at
    else:
        start, end = 0, 0
        assert next(times(cron, "UTC", at("2026-01-01"))) > at("2026-01-01")
    assert 0 <= start <= end <= len(text)


def test_zones_are_those_of_the_package() -> None:
    assert "Europe/Berlin" in zones.names()
    for name in ("../../etc/passwd", "Local", "localtime", "", "Europe", "europe/berlin", "/etc/localtime"):
        with pytest.raises(ValueError, match="no time zone"):
            zone(name)


def test_the_latest_time_is_found_however_long_ago() -> None:
    assert latest(parse("* * * * *"), "UTC", at("2026-11-29 12:00")) == at("2026-11-29 12:00")
    assert latest(parse("0 3 29 2 *"), "UTC", at("2026-11-29 12:00")) == at("2024-02-29 03:00")


def schedule(cron: str = "0 3 * * *", **more: object) -> Schedule:
    given = {"zone": "Europe/Berlin", "concurrency": Concurrency.FORBID, "catch_up_seconds": 3600, **more}
    return Schedule(cron, **given)  # type: ignore[arg-type]


def test_a_run_of_a_date_is_the_one_that_a_backfill_makes() -> None:
    dated = schedule(scheduled=(("since", Scheduled.DATE),))
    # 00:30 in Berlin is another day in UTC.
    assert dated.run_name("daily", at("2026-10-30 23:30")) == "daily-2026-10-31"
    assert dated.arguments(at("2026-10-30 23:30")) == {"since": "2026-10-31"}
    with_more = schedule(scheduled=(("since", Scheduled.DATE),), params=(("n", "2"),))
    assert with_more.run_name("daily", at("2026-10-30 23:30")) == f"{prefix('daily', ['n=2'])}-2026-10-31"


def test_a_run_of_a_time_is_named_by_the_instant() -> None:
    timed = schedule(scheduled=(("at", Scheduled.TIME),))
    assert schedule().run_name("daily", at("2026-10-31 02:00")) == "daily-20261031-0200"
    assert timed.run_name("daily", at("2026-10-31 02:00")) != schedule().run_name("daily", at("2026-10-31 02:00"))
    assert timed.arguments(at("2026-10-31 02:00")) == {"at": "2026-10-31T02:00:00Z"}
    names = {timed.run_name("a" * 39, at("2026-10-25 00:30")), timed.run_name("a" * 39, at("2026-10-25 01:30"))}
    assert len(names) == 2
    assert max(map(len, names)) <= 63


def test_what_is_due_is_what_came_within_the_time_to_catch_up() -> None:
    found = schedule("*/20 * * * *", zone="UTC").due(at("2026-11-29 12:10"))
    assert [f"{one:%H:%M}" for one in found] == ["11:20", "11:40", "12:00"]
    assert schedule().due(at("2026-11-29 12:10")) == []
    found = schedule("* * * * *").due(at("2026-11-29 12:10"), since=at("2025-11-29 12:10"), most=3)
    assert [f"{one:%Y-%m-%d %H:%M}" for one in found] == ["2025-11-29 12:11", "2025-11-29 12:12", "2025-11-29 12:13"]


def test_a_schedule_is_the_same_after_json() -> None:
    one = schedule(params=(("n", "2"),), scheduled=(("since", Scheduled.DATE),))
    assert Schedule.from_json(json.loads(json.dumps(one.to_json()))) == one
    damages: list[dict[str, object]] = [
        {},
        {"cron": 1},
        {**one.to_json(), "params": []},
        {**one.to_json(), "concurrency": "x"},
    ]
    for damaged in damages:
        with pytest.raises((KeyError, TypeError, ValueError)):
            Schedule.from_json(damaged)
