"""When trials are stopped: by Optuna's own pruners, and by ours, the same ones."""

from __future__ import annotations

import dataclasses

import optuna
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from optuna.study import StudyDirection

from mlgen.search.model import Dimension, Prune, Report, Search, Told
from mlgen.search.prune import stop_step
from mlgen.values import Type

optuna.logging.set_verbosity(optuna.logging.WARNING)
SEARCH = Search((Dimension("x", Type.NUMBER, low=0, high=1),), 100, "auc", highest=True)
SPACE = {"x": optuna.distributions.FloatDistribution(0, 1)}
# From 0 or 1 on without gaps, as programs report; whole numbers, so that equal ones are met.
REPORTS = st.builds(
    lambda first, values: tuple(enumerate(map(float, values), first)),
    st.integers(0, 1),
    st.lists(st.integers(-9, 9), min_size=1, max_size=30),
)


def with_prune(highest: bool, **fields: object) -> Search:
    return dataclasses.replace(SEARCH, highest=highest, prune=Prune(**fields))  # type: ignore[arg-type]


def by_optuna(
    search: Search, pruner: optuna.pruners.BasePruner, told: list[Told], own: tuple[Report, ...]
) -> int | None:
    """The first step at which Optuna prunes, when each trial was reported step by step, as they came."""
    direction = StudyDirection.MAXIMIZE if search.highest else StudyDirection.MINIMIZE
    study = optuna.create_study(direction=direction, pruner=pruner, study_name=str(search.seed))

    def follow(reports: tuple[Report, ...]) -> tuple[optuna.Trial, list[int]]:
        trial, stops = study.ask(dict(SPACE)), []
        for step, value in reports:
            trial.report(value, step)
            if trial.should_prune():  # asked at every step: a rung is passed by asking
                stops.append(step)
        return trial, stops

    for one in told:
        trial, _ = follow(one.reports)
        if one.score is not None:
            study.tell(trial, one.score)
        else:
            study.tell(trial, state=optuna.trial.TrialState.PRUNED)
    return next(iter(follow(own)[1]), None)


def completed(reports: list[tuple[Report, ...]]) -> list[Told]:
    return [Told(at, {"x": "0.5"}, score=each[-1][1], reports=each) for at, each in enumerate(reports)]


@settings(max_examples=25, deadline=None)
@given(
    st.lists(REPORTS, max_size=8),
    REPORTS,
    st.booleans(),
    st.tuples(st.integers(0, 4), st.integers(0, 4)),
    st.sampled_from([10, 25, 50, 75]),
)
def test_percentile_is_optunas(
    others: list[tuple[Report, ...]], own: tuple[Report, ...], highest: bool, waits: tuple[int, int], keep: int
) -> None:
    startup, warmup = waits
    search = with_prune(highest, name="percentile", startup=startup, warmup=warmup, keep=float(keep))
    pruner = optuna.pruners.PercentilePruner(keep, n_startup_trials=startup, n_warmup_steps=warmup)
    told = completed(others)

    assert stop_step(search, len(told), told, own) == by_optuna(search, pruner, told, own)


@settings(max_examples=25, deadline=None)
@given(st.lists(REPORTS, max_size=10), REPORTS, st.booleans(), st.integers(1, 3), st.integers(2, 4))
def test_halving_is_optunas(
    others: list[tuple[Report, ...]], own: tuple[Report, ...], highest: bool, first: int, reduction: int
) -> None:
    search = with_prune(highest, name="halving", first=first, reduction=reduction)
    pruner = optuna.pruners.SuccessiveHalvingPruner(first, reduction)
    told: list[Told] = []
    for at, reports in enumerate(others):  # one that should stop does: a trial goes no further
        stopped = stop_step(search, at, told, reports)
        kept = reports if stopped is None else tuple(r for r in reports if r[0] <= stopped)
        told.append(Told(at, {"x": "0.5"}, None if stopped is not None else kept[-1][1], stopped is not None, kept))

    assert stop_step(search, len(told), told, own) == by_optuna(search, pruner, told, own)


@settings(max_examples=25, deadline=None)
@given(st.lists(REPORTS, max_size=12), REPORTS, st.booleans(), st.integers(2, 30))
def test_hyperband_is_optunas(
    others: list[tuple[Report, ...]], own: tuple[Report, ...], highest: bool, last: int
) -> None:
    search = with_prune(highest, name="hyperband", last=last)
    pruner = optuna.pruners.HyperbandPruner(1, last, 3)
    told: list[Told] = []
    for at, reports in enumerate(others):
        stopped = stop_step(search, at, told, reports)
        kept = reports if stopped is None else tuple(r for r in reports if r[0] <= stopped)
        told.append(Told(at, {"x": "0.5"}, None if stopped is not None else kept[-1][1], stopped is not None, kept))

    assert stop_step(search, len(told), told, own) == by_optuna(search, pruner, told, own)


@settings(max_examples=25, deadline=None)
@given(st.lists(REPORTS, min_size=1, max_size=8), REPORTS, st.sampled_from(["median", "halving", "hyperband"]))
def test_a_verdict_does_not_hang_on_when_one_looks(
    others: list[tuple[Report, ...]], own: tuple[Report, ...], name: str
) -> None:
    search, told = with_prune(True, name=name, startup=1), completed(others)
    step = stop_step(search, len(told), told, own)
    assume(step is not None)

    seen = [stop_step(search, len(told), told, own[:n]) for n in range(1, len(own) + 1)]

    assert {s for s in seen if s is not None} == {step}
    assert step is not None
    assert seen.index(step) == [s for s, _ in own].index(step)


def test_of_reports_that_are_none_nobody_is_stopped() -> None:
    search = with_prune(True, name="median", startup=1)

    assert stop_step(search, 1, completed([((0, 1.0),)]), ()) is None
    assert stop_step(SEARCH, 1, completed([((0, 1.0),)]), ((0, 0.0),)) is None


def test_where_few_have_completed_all_go_on() -> None:
    search = with_prune(True, name="median", startup=3)

    assert stop_step(search, 2, completed([((0, 1.0),)] * 2), ((0, 0.0),)) is None
    assert stop_step(search, 3, completed([((0, 1.0),)] * 3), ((0, 0.0),)) == 0


@pytest.mark.parametrize("name", ["halving", "hyperband"])
def test_the_best_is_never_stopped(name: str) -> None:
    search = with_prune(False, name=name)
    told = completed([tuple((step, 1.0 / (step + 1)) for step in range(20))] * 6)

    assert stop_step(search, 6, told, tuple((step, 0.0) for step in range(20))) is None
