"""Items of tasks that run many times: which there are, in which order, and that nothing but the spec decides it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlgen.plan.model import Fan, In, OutRef, Pick, Plan, Variable
from mlgen.plan.text import task_json, to_json
from mlgen.values import Type, parse
from tests.spec.texts import plan_of, told

ROOT = Path(__file__).parents[2]
HEAD = "version: 1\nname: demo\ntasks:\n"


def plan(tasks: str) -> Plan:
    return plan_of((HEAD + tasks).encode())


def fan(body: str) -> Fan:
    other = "  o: {run: other}\n"  # a pipeline runs something
    found = plan(f"  t:\n    run: train\n    out: {{auc: metric}}\n    {body}\n{other}").task("t").fan
    assert found is not None
    return found


def rows(body: str) -> list[tuple[str, ...]]:
    found = fan(body).rows
    assert found is not None
    return list(found)


def test_the_first_name_is_the_outermost_loop() -> None:
    found = fan("sweep: {grid: {depth: [3, 5], rate: [0.1, 1e-2]}}")
    assert found.rows == (("3", "0.1"), ("3", "1e-2"), ("5", "0.1"), ("5", "1e-2"))
    assert found.variables == (Variable("depth", Type.INTEGER), Variable("rate", Type.NUMBER))
    assert rows("for: {rate: [0.1, 1e-2], depth: [3, 5]}")[1] == ("0.1", "5")


def test_numbers_keep_their_text_and_other_values_are_json() -> None:
    assert rows("for: {x: [1e-3, 0.10, 7]}") == [("1e-3",), ("0.10",), ("7",)]
    assert rows('for: {x: [a b, "1"]}') == [("a b",), ("1",)]
    assert rows("for: {x: [true, false]}") == [("true",), ("false",)]
    assert rows("for: {x: [[64, 32], {b: 1, a: 2}]}") == [("[64,32]",), ('{"a":2,"b":1}',)]


@pytest.mark.parametrize(
    ("range_", "texts"),
    [("3", "0 1 2"), ("[1, 4]", "1 2 3"), ("[0, 10, 4]", "0 4 8"), ("[3, 0, -1]", "3 2 1"), ("0", ""), ("[2, 2]", "")],
)
def test_ranges_are_as_pythons(range_: str, texts: str) -> None:
    assert [row[0] for row in rows(f"for: {{x: {{range: {range_}}}}}")] == texts.split()


def test_no_items_is_a_list_of_none() -> None:
    found = fan("for: {x: [], y: [1, 2]}")
    assert found.rows == ()
    assert task_json(plan("  t: {run: a, for: {x: []}}\n  o: {run: b}\n").task("t"))["fan"] == {
        "kind": "for",
        "variables": [{"name": "x", "type": Type.JSON}],
        "rows": [],
    }


def test_a_list_has_its_rows_whatever_their_key_order() -> None:
    assert rows("sweep: {list: [{a: 1, b: x}, {b: z, a: 2}]}") == [("1", "x"), ("2", "z")]


def test_lists_of_the_run_are_named() -> None:
    made = plan(
        "  prepare: {run: a, out: {shards: json}}\n  each: {run: b, for: {shard: prepare.shards, n: {range: 2}}}\n"
    )
    found = made.task("each").fan
    assert found is not None
    assert (found.rows, found.lists) == (None, (OutRef("prepare", "shards"), ("0", "1")))
    assert made.task("each").needs == ("prepare",)
    assert list(made.edges()) == [("prepare", "each", "shards")]


READERS = """
  train:
    run: a
    sweep: {grid: {rate: [0.1, 0.2]}}
    parallel: 2
    failures: 1
    out: {model: model, auc: metric, note: {type: string, optional: true}}
"""


def test_readers_of_a_winner_get_its_outs_and_values() -> None:
    report = "  report: {run: b, in: [train.model, train.rate, train.note], if: train.auc > 0.5 and train.rate < 1}\n"
    made = plan(READERS + "    pick: max auc\n" + report)
    assert made.task("report").ins == (
        In("model", OutRef("train", "model"), Type.MODEL, late=True),
        In("note", OutRef("train", "note"), Type.STRING, optional=True, late=True),
        In("rate", OutRef("train", "rate"), Type.NUMBER, late=True),
    )
    (gate,) = made.gate_tasks
    assert (gate.name, gate.reads) == ("if-report", ("train",))
    assert [c.evaluator for c in made.task("report").conditions] == ["if-report", "if-report"]
    assert not made.task("train").evaluates
    assert made.task("train").late
    assert task_json(made.task("train"))["fan"] == {
        "kind": "sweep",
        "variables": [{"name": "rate", "type": Type.NUMBER}],
        "rows": [["0.1"], ["0.2"]],
        "parallel": 2,
        "failures": 1,
        "pick": "max auc",
    }


def test_readers_of_all_get_lists_that_are_never_unset() -> None:
    made = plan(READERS + "  report: {run: b, in: [train.model, train.note]}\n")
    assert made.task("report").ins == (
        In("model", OutRef("train", "model"), Type.MODEL, late=True, many=True),
        In("note", OutRef("train", "note"), Type.STRING, late=True, many=True),
    )


def test_a_gate_on_params_is_decided_by_no_task_that_runs_many_times() -> None:
    gate = "if: params.n > 1"
    tasks = READERS + f"    pick: max auc\n  report: {{run: b, in: [train.model], {gate}}}\n"
    made = plan_of(("version: 1\nname: demo\nparams: {n: 2}\ntasks:\n" + tasks).encode())
    assert [c.evaluator for c in made.task("report").conditions] == ["if-report"]


def test_a_plan_without_fans_says_nothing_of_them() -> None:
    made = plan("  a: {run: a, out: [x]}\n  b: {run: b, in: [a.x]}\n")
    assert all("fan" not in task_json(task) for task in made.tasks)
    assert "late" not in json.dumps(to_json(made))


DRAWN = [
    ("0.000249663", "0.10436", "6", "1", "relu"),
    ("0.041889", "0.424189", "9", "21", "gelu"),
    ("0.000150815", "0.103441", "3", "38", "relu"),
    ("0.00543322", "0.285921", "4", "397", "tanh"),
]


RANDOM = "sweep: {random: {%s}, trials: %d, seed: %d}"


def test_draws_are_what_they_ever_were() -> None:
    """Written down: another mlgen, Python or machine that draws otherwise would repeat no sweep."""
    domains = (
        "rate: {min: 1e-4, max: 0.1, log: true}, drop: {min: 0.0, max: 0.5}, "
        "depth: {min: 2, max: 9}, units: {min: 1, max: 1024, log: true}, act: [relu, tanh, gelu]"
    )
    assert rows(RANDOM % (domains, 4, 7)) == DRAWN


def test_a_trial_or_a_variable_more_changes_no_other_draw() -> None:
    some = rows(RANDOM % ("a: {min: 0.0, max: 1}", 3, 0))
    more = rows(RANDOM % ("b: [x], a: {min: 0.0, max: 1}", 5, 0))
    assert [row[1:] for row in more[:3]] == some
    assert rows(RANDOM % ("a: {min: 0.0, max: 1}", 3, 1)) != some


@settings(max_examples=60, deadline=None)
@given(
    low=st.floats(-1e6, 1e6) | st.floats(1e-9, 1e-3),
    width=st.floats(1e-6, 1e6),
    seed=st.integers(0, 2**31),
    log=st.booleans(),
)
def test_drawn_numbers_are_short_and_within_their_range(low: float, width: float, seed: int, log: bool) -> None:
    high = low + width
    if not low < high or (log and low <= 0):
        return
    domain = f"a: {{min: {low!r}, max: {high!r}, log: {str(log).lower()}, type: number}}"
    for (text,) in rows(RANDOM % (domain, 5, seed)):
        value = parse(Type.NUMBER, text)
        assert isinstance(value, int | float)
        assert low <= value <= high


@settings(max_examples=40, deadline=None)
@given(low=st.integers(-50, 50), width=st.integers(1, 20), seed=st.integers(0, 99))
def test_drawn_whole_numbers_reach_both_ends(low: int, width: int, seed: int) -> None:
    drawn = {int(text) for (text,) in rows(RANDOM % (f"a: {{min: {low}, max: {low + width}}}", 400, seed))}
    assert drawn <= set(range(low, low + width + 1))
    assert {low, low + width} <= drawn


def test_logarithmic_draws_are_as_many_in_each_decade() -> None:
    texts = [float(t) for (t,) in rows(RANDOM % ("a: {min: 1e-4, max: 1, log: true}", 2000, 3))]
    decades = [sum(10.0**-k >= t > 10.0 ** -(k + 1) for t in texts) for k in range(4)]
    assert all(430 < count < 570 for count in decades), decades


SPEC = HEAD + (
    "  a: {run: x, out: {l: json}}\n"
    "  b: {run: x, sweep: {random: {r: {min: 1.0, max: 2}, k: [p, q]}, trials: 30}}\n"
    "  c: {run: x, for: {l: a.l, m: [1, 2, 3]}}\n"
)


@pytest.mark.parametrize("seed", ["0", "1", "4711"])
def test_the_same_bytes_on_any_hash_seed(seed: str) -> None:
    program = (
        "import sys; from tests.spec.texts import plan_of; sys.stdout.write(plan_of(sys.stdin.buffer.read()).digest)"
    )
    env = {**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": f"{ROOT / 'generator'}:{ROOT}"}
    printed = subprocess.run(
        [sys.executable, "-c", program], input=SPEC.encode(), capture_output=True, check=True, env=env, cwd=ROOT
    )
    assert printed.stdout.decode() == plan_of(SPEC.encode()).digest


@settings(max_examples=30, deadline=None)
@given(st.permutations(["run", "out", "sweep", "parallel", "failures", "pick"]))
def test_the_order_of_a_tasks_keys_changes_no_item(order: list[str]) -> None:
    body: Mapping[str, Any] = {
        "run": "x",
        "out": {"auc": "metric"},
        "sweep": {"grid": {"b": [1, 2], "a": [3, 4]}},
        "parallel": 2,
        "failures": 1,
        "pick": "max auc",
    }
    text = json.dumps({"version": 1, "name": "demo", "tasks": {"t": {key: body[key] for key in order}}})
    assert plan_of(text.encode()).task("t").fan == Fan(
        "sweep",
        (Variable("b", Type.INTEGER), Variable("a", Type.INTEGER)),
        (("1", "3"), ("1", "4"), ("2", "3"), ("2", "4")),
        parallel=2,
        failures=1,
        pick=Pick("auc", highest=True),
    )


def test_a_million_items_are_refused_without_being_made() -> None:
    text = HEAD + "  t: {run: x, sweep: {grid: {a: {range: 100000000}, b: {range: 100000000}}}}\n"
    assert told(text.encode()) == [("too-many-items", 4, 23)]
