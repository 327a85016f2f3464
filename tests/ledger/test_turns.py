"""Turns: one push an interval, however many ask, whatever their clocks say, whoever was killed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path

import pytest

from mlgen.ledger.folding.turns import TURNS, Paced, ahead
from mlgen.store import Store, open_store
from tests import s3
from tests.rights import Rights

MOMENT = datetime(2026, 11, 28, 10, 0, 3, tzinfo=UTC)


@dataclass
class World:
    """The time that the store has, and everybody whose clock is right."""

    now: datetime = MOMENT


@dataclass
class Clock:
    world: World
    off: timedelta

    def now(self) -> datetime:
        return self.world.now + self.off

    def monotonic(self) -> float:
        return (self.world.now - MOMENT).total_seconds()

    def sleep(self, seconds: float) -> None:
        self.world.now += timedelta(seconds=seconds)


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
def store(world: World, tmp_path: Path) -> Iterator[Store]:
    with s3.serve() as server:
        server.clock = lambda: world.now
        yield open_store("s3://b/pre/fix", options=server.options, base=tmp_path)


@pytest.fixture
def turns(world: World, store: Store) -> Callable[..., Paced]:
    made = count()

    def make(
        off: timedelta = timedelta(), *, ledger: str = "url", interval: int = 10, ahead: int = 0, until: float = 1e9
    ) -> Paced:
        clock = Clock(world, off)
        return Paced(store, ledger, interval, f"w{next(made)}", clock, clock.sleep, until, ahead)

    return make


def test_an_interval_has_one(turns: Callable[..., Paced]) -> None:
    first, second = turns(), turns()
    assert first.is_free()
    assert first.take()
    assert not second.is_free()
    assert not second.take()
    assert not first.take(), "its own is used up"
    assert turns(ledger="other").take()


def test_of_many_at_once_one_has_it(turns: Callable[..., Paced]) -> None:
    with ThreadPoolExecutor(16) as pool:
        taken = list(pool.map(lambda one: one.take(), [turns() for _ in range(64)]))
    assert sum(taken) == 1


def test_the_next_interval_has_another(turns: Callable[..., Paced], world: World) -> None:
    first, second = turns(), turns()
    assert first.take()
    assert not second.take()
    assert second.pause()
    assert timedelta(seconds=7) <= world.now - MOMENT <= timedelta(seconds=9), "the rest of it, and up to 2 s"
    assert second.take()
    assert not first.take()


def test_what_is_taken_ahead_is_not_there_later(turns: Callable[..., Paced], world: World) -> None:
    hasty = turns(ahead=2)
    assert [hasty.take() for _ in range(4)] == [True, True, True, False]
    world.now += timedelta(seconds=20)
    assert not turns().take()
    world.now += timedelta(seconds=10)
    assert turns().take()


@pytest.mark.parametrize("off", [timedelta(days=1), timedelta(days=-1)])
def test_a_clock_that_is_off_gets_no_turn_of_its_own(turns: Callable[..., Paced], store: Store, off: timedelta) -> None:
    assert turns().take()
    assert not turns(off).take(), "by the store's time the interval's push is taken"
    assert len(store.keys(TURNS)) == 1, "what it took by its own clock is given back"


def test_a_clock_that_is_off_takes_what_is_free(turns: Callable[..., Paced], store: Store) -> None:
    wrong = turns(timedelta(days=1))
    assert wrong.take()
    assert not turns().take()
    assert not wrong.take()
    assert wrong.pause()
    assert wrong.take()


def test_who_has_no_time_left_takes_none(turns: Callable[..., Paced]) -> None:
    assert not turns(until=0).take()
    assert not turns(until=5).pause()
    assert turns().take()


def test_who_is_killed_with_a_turn_costs_one_interval(turns: Callable[..., Paced], world: World) -> None:
    assert turns().take()
    world.now += timedelta(seconds=10)
    assert turns().take()


def test_what_has_passed_is_swept_up(turns: Callable[..., Paced], world: World, store: Store) -> None:
    for _ in range(60):
        assert turns().take()
        assert len(store.keys(TURNS)) < 25
        world.now += timedelta(seconds=10)


def test_who_may_delete_no_turns_has_them_all_the_same(
    turns: Callable[..., Paced], world: World, store: Store, least: Rights
) -> None:
    for _ in range(30):
        assert turns().take()
        assert not turns().take()
        world.now += timedelta(seconds=10)
    assert len(store.keys(TURNS)) == 30
    assert least.refused
    wrong = turns(timedelta(days=1))
    assert wrong.take(), "by the store's time; what it took by its own clock stays where it is"
    assert not turns().take()


def test_a_foreign_key_among_turns_harms_nothing(turns: Callable[..., Paced], world: World, store: Store) -> None:
    assert turns().take()
    (key,) = store.keys(TURNS)
    folder = key.rpartition("/")[0]
    for name in ("x", "9" * 40, "-1"):
        store.put(f"{folder}/{name}", b"")
    world.now += timedelta(seconds=10)
    assert turns().take()


@pytest.mark.parametrize(("interval", "count"), [(1, 60), (10, 6), (60, 1), (3600, 1)])
def test_a_minute_ahead(interval: int, count: int) -> None:
    assert ahead(interval) == count
