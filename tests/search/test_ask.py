"""Asking: a function of what was told, that learns from it."""

from __future__ import annotations

import dataclasses
import importlib.util
import math
import subprocess
import sys
from collections.abc import Mapping

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlgen.diagnostic import CannotAnswer
from mlgen.search import ask as asking
from mlgen.search.ask import ask, ask_wave
from mlgen.search.model import Dimension, Prune, Search, Told, values
from mlgen.values import Type

SPACE = (
    Dimension("rate", Type.NUMBER, low=0.0001, high=0.1, log=True),
    Dimension("depth", Type.INTEGER, low=2, high=10),
    Dimension("kind", Type.STRING, ("gini", "entropy")),
)
SEARCH = Search(SPACE, trials=30, metric="auc", highest=True, seed=7, parallel=4)


def known(texts: Mapping[str, str]) -> float:
    """A function whose highest value is 0, at rate 0.01, depth 6 and kind entropy."""
    rate, depth = math.log10(float(texts["rate"])) + 2, (int(texts["depth"]) - 6) / 4
    return -(rate**2) - depth**2 - 0.5 * (texts["kind"] == "gini")


def run(search: Search) -> list[Told]:
    told: list[Told] = []
    for first in range(0, search.trials, search.parallel):
        wave = ask_wave(search, told, min(first + search.parallel, search.trials) - 1)
        told += [Told(first + n, texts, known(texts)) for n, texts in enumerate(wave)]
    return told


def test_values_lie_in_the_space_and_have_few_digits() -> None:
    for told in run(SEARCH):
        assert 0.0001 <= float(told.texts["rate"]) <= 0.1
        assert len(told.texts["rate"].lstrip("0.").partition("e")[0]) <= asking.DIGITS
        assert told.texts["depth"] in [str(n) for n in range(2, 11)]
        assert told.texts["kind"] in ("gini", "entropy")
    assert values(SEARCH, {"rate": "0.01", "depth": "3", "kind": "gini"}) == {"rate": 0.01, "depth": 3, "kind": "gini"}


def test_a_search_that_is_told_finds_better_than_one_that_is_not() -> None:
    """Regret on a known function after 40 trials, over seeds: were the sampler not told, it would be chance's."""

    def regret(sampler: str) -> float:
        found = [
            -max(t.score or -9.0 for t in run(dataclasses.replace(SEARCH, sampler=sampler, trials=40, seed=seed)))
            for seed in range(6)
        ]
        return sorted(found)[3]

    assert regret("tpe") < regret("random") / 2


def test_a_trial_hangs_on_what_was_told_alone() -> None:
    told = run(SEARCH)[:12]

    first = ask_wave(SEARCH, told, 14)

    assert ask_wave(SEARCH, list(reversed(told)), 14) == first
    assert ask_wave(SEARCH, told, 13) == first[:2]
    assert ask_wave(dataclasses.replace(SEARCH, trials=300), told, 14) == first  # more trials change none of the first
    assert ask_wave(dataclasses.replace(SEARCH, seed=8), told, 14) != first
    other = [dataclasses.replace(t, score=-(t.score or 0)) for t in told]
    assert ask_wave(SEARCH, other, 14) != first


def test_another_process_answers_the_same() -> None:
    told = run(SEARCH)[:12]
    program = (
        (
            "from mlgen.search.ask import ask_wave; from mlgen.search.model import *; from mlgen.values import Type\n"
            f"print(ask_wave({SEARCH!r}, {told!r}, 15))"
        )
        .replace("<Type.NUMBER: 'number'>", "Type.NUMBER")
        .replace("<Type.INTEGER: 'integer'>", "Type.INTEGER")
    )
    program = program.replace("<Type.STRING: 'string'>", "Type.STRING")

    for seed in ("0", "1"):
        done = subprocess.run(
            [sys.executable, "-c", program],
            capture_output=True,
            text=True,
            check=True,
            env={"PYTHONHASHSEED": seed, "PYTHONPATH": ":".join(sys.path)},
        )
        assert done.stdout.strip() == str(ask_wave(SEARCH, told, 15))


def test_the_trials_of_a_wave_keep_away_from_each_other() -> None:
    told = run(SEARCH)[:20]

    wave = ask_wave(SEARCH, told, 23)

    assert len({(t["rate"], t["depth"], t["kind"]) for t in wave}) == 4
    assert ask(SEARCH, told, 23, {}) != wave[3]


def test_pruned_and_failed_trials_are_told_too() -> None:
    told = sorted(run(SEARCH)[:12], key=lambda t: t.score or 0.0)
    reports = ((0, -9.0), (1, -8.0))
    pruned = [*told[:6], *(dataclasses.replace(t, score=None, pruned=True, reports=reports) for t in told[6:])]
    failed = [*told[:6], *(dataclasses.replace(t, score=None) for t in told[6:])]

    answers = [ask_wave(SEARCH, each, 12) for each in (told, pruned, failed)]

    assert len({str(answer) for answer in answers}) == 3


def test_without_optuna_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda _name: None)

    with pytest.raises(CannotAnswer) as caught:
        ask(SEARCH, [], 0, {})
    assert caught.value.code == "no-optuna"
    assert 'pip install "mlgen[search]"' in caught.value.fix


def test_who_does_not_search_does_not_import_it() -> None:
    program = (
        "import sys, mlgen.search.ask, mlgen.search.prune; sys.exit('optuna' in sys.modules or 'numpy' in sys.modules)"
    )

    subprocess.run([sys.executable, "-c", program], check=True, env={"PYTHONPATH": ":".join(sys.path)})


@settings(max_examples=30)
@given(
    st.builds(
        Search,
        st.lists(
            st.one_of(
                st.builds(
                    Dimension,
                    st.just("a"),
                    st.just(Type.NUMBER),
                    st.just(()),
                    st.floats(0.1, 1),
                    st.floats(1, 9),
                    st.booleans(),
                ),
                st.builds(Dimension, st.just("b"), st.just(Type.JSON), st.just(('{"k": 1}', "[]"))),
            )
        ).map(tuple),
        st.integers(1, 2000),
        st.just("auc"),
        st.booleans(),
        prune=st.one_of(
            st.none(), st.builds(Prune, st.sampled_from(["median", "hyperband"]), last=st.one_of(st.none(), st.just(9)))
        ),
    )
)
def test_to_json_and_back(search: Search) -> None:
    assert Search.from_json(search.to_json()) == search
