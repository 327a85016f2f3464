"""What a run takes at its peak and at worst."""

from __future__ import annotations

from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlgen.review.amounts import Amount, heaviest
from tests.review.states import SPEC, edited, part


@st.composite
def orders(draw: st.DrawFn) -> tuple[dict[str, int], dict[str, set[str]]]:
    names = [f"t{i}" for i in range(draw(st.integers(0, 7)))]
    weights = {name: draw(st.integers(1, 9)) for name in names}
    before: dict[str, set[str]] = {}
    for index, name in enumerate(names):
        needs = draw(st.sets(st.sampled_from(names[:index]))) if index else set()
        before[name] = {a for need in needs for a in (need, *before[need])}
    return weights, before


@given(given_order=orders())
def test_the_heaviest_set_is_that_of_all_sets(given_order: tuple[dict[str, int], dict[str, set[str]]]) -> None:
    weights, before = given_order
    at_once = (
        sum(weights[name] for name in some)
        for size in range(len(weights) + 1)
        for some in combinations(weights, size)
        if not any(a in before[b] for a in some for b in some)
    )
    assert heaviest(weights, before) == max(at_once)


def test_a_chain_of_many_is_told_at_once() -> None:
    names = [f"t{i}" for i in range(200)]
    assert heaviest(dict.fromkeys(names, 3), {name: set(names[:i]) for i, name in enumerate(names)}) == 3
    assert heaviest(dict.fromkeys(names, 3), {name: set() for name in names}) == 600


@pytest.mark.parametrize(
    ("key", "value", "expected"),
    [
        ("cpu", 3, [("train", "cpu", "1120m", "3120m"), ("", "cpu at the peak", "1120m", "3120m")]),
        ("retries", 0, [("train", "timeout", "6h, 2 times", "6h"), ("", "GPU hours at worst", "12", "6")]),
        ("env", {}, []),
        (
            "gpu",
            "a100:4",
            [
                ("train", "gpu", "a100:1", "a100:4"),
                ("", "gpu of a100 at the peak", "1", "4"),
                ("", "GPU hours at worst", "12", "48"),
            ],
        ),
    ],
)
def test_only_what_changed_is_told(key: str, value: object, expected: list[tuple[str, str, str, str]]) -> None:
    found = part(SPEC, edited(lambda spec: spec["tasks"]["train"].update({key: value})))
    assert found.amounts.get("churn", ()) == tuple(Amount(*row) for row in expected)


def test_of_a_new_pipeline_the_run_is_told() -> None:
    found = {(one.task, one.what): one.after for one in part(None, SPEC).amounts["churn"]}
    assert found == {
        ("", "gpu of a100 at the peak"): "1",
        ("", "cpu at the peak"): "1120m",
        ("", "memory at the peak"): "2688Mi",
        ("", "GPU hours at worst"): "12",
    }
