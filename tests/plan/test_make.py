"""Plans: of any valid spec, always the same, in an order that can run."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mlgen.diagnostic import Findings
from mlgen.plan.model import Command, Image, In, Plan, Script, SecretRef, Size, Value
from mlgen.plan.text import to_json
from mlgen.values import Type
from tests.spec.texts import plan_of
from tests.strategies import DIGEST, Files, Spec, load, specs

ROOT = Path(__file__).parents[2]
MODERATE = settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def plan(**parts: Any) -> Plan:
    return load({"version": 1, "name": "demo", **parts})


def shuffled(value: Any, chance: random.Random) -> Any:
    """The value with the keys of its maps in another order; lists keep theirs."""
    if isinstance(value, dict):
        keys = chance.sample(list(value), len(value))
        return {key: shuffled(value[key], chance) for key in keys}
    return [shuffled(item, chance) for item in value] if isinstance(value, list) else value


@MODERATE
@given(specs())
def test_a_plan_has_no_gaps_and_an_order_that_can_run(spec: Spec) -> None:
    made = load(spec)
    done: set[str] = set()
    for task in made.tasks:
        assert set(task.needs) <= done
        done.add(task.name)
    assert done == set(spec["tasks"])
    assert [t.name for t in made.finally_tasks] == sorted(spec["finally"])
    assert all(not t.needs for t in made.finally_tasks)
    assert json.loads(json.dumps(to_json(made))) == to_json(made)
    evaluations = {t.name: t.evaluates for t in (*made.tasks, *made.finally_tasks)}
    evaluations |= {t.name: t.evaluates for t in made.gate_tasks}
    for condition in (condition for task in made.all_tasks for condition in task.conditions):
        assert (condition.evaluator is None) == (condition.index is None)
        if condition.evaluator is not None:
            decided = {(e.index, e.text) for e in evaluations[condition.evaluator]}
            assert (condition.index, condition.text) in decided


@MODERATE
@given(specs(), st.integers())
def test_the_order_of_keys_changes_nothing(spec: Spec, seed: int) -> None:
    made = load(spec)
    again = load(shuffled(spec, random.Random(seed)))
    assert to_json(again) == to_json(made)
    assert again.digest == made.digest
    assert again.spec_digest != made.spec_digest or shuffled(spec, random.Random(seed)) == spec


@settings(max_examples=1, deadline=None, database=None)
@given(st.lists(specs(), min_size=8, max_size=8))
def test_the_seed_of_hashes_changes_nothing(found: list[Spec]) -> None:
    program = (
        "import json, sys\nfrom tests.strategies import load\n"
        "print(*[load(spec).digest for spec in json.load(sys.stdin)])"
    )
    said = []
    for seed in ("1", "2"):
        env = {**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": f"{ROOT / 'generator'}{os.pathsep}{ROOT}"}
        done = subprocess.run(
            [sys.executable, "-c", program],
            input=json.dumps(found),
            env=env,
            capture_output=True,
            text=True,
            check=True,
        )
        said.append(done.stdout.split())
    assert said[0] == said[1] == [load(spec).digest for spec in found]


def test_defaults_are_filled_in() -> None:
    (task,) = plan(tasks={"a": {"run": "true"}}).tasks
    assert (task.cpu_millis, task.memory, task.timeout_seconds, task.retries) == (1000, Size("1Gi", 1 << 30), 3600, 0)
    assert (task.image, task.code, task.disk, task.shm, task.gpu) == (None,) * 5


def test_a_tasks_key_replaces_the_default_whole() -> None:
    made = plan(
        defaults={"env": {"A": "1", "B": "2"}, "memory": "2Gi", "retries": 3},
        tasks={"a": {"run": "true", "env": {"C": "3"}, "retries": 0}, "b": {"run": "true"}},
    )
    a, b = made.tasks
    assert (a.env, a.memory.text, a.retries) == ((("C", "3"),), "2Gi", 0)
    assert (b.env, b.retries) == ((("A", "1"), ("B", "2")), 3)


def test_a_gpu_brings_shared_memory_of_a_quarter() -> None:
    made = plan(
        tasks={
            "a": {"run": "true", "gpu": 1, "memory": "6Gi"},
            "b": {"run": "true", "gpu": "a100:2", "shm": "1Gi"},
            "c": {"run": "true", "gpu": 1, "memory": "1G"},
        }
    )
    assert [t.shm for t in made.tasks] == [Size("1536Mi", 1536 << 20), Size("1Gi", 1 << 30), Size("250M", 250 * 10**6)]
    assert [(t.gpu.pool, t.gpu.count) for t in made.tasks if t.gpu] == [("default", 1), ("a100", 2), ("default", 1)]


def test_numbers_keep_their_text() -> None:
    spec = b"""\
version: 1
name: demo
params: {rate: 1e-3, most: 0x10, flag: TRUE, grid: [1e3, {b: 1, a: 0.10}]}
tasks:
  a:
    run: [echo, 1.50, true]
    in:
      {rate: params.rate, most: params.most, flag: params.flag, grid: params.grid, n: 0.10, yes: True, w: {value: 7.0}}
    env: {THREADS: 8, SHARE: 1.50, ON: true}
"""
    made = plan_of(spec)
    assert {p.name: p.default for p in made.params} == {
        "rate": "1e-3", "most": "0x10", "flag": "true", "grid": '[1000.0,{"a":0.1,"b":1}]',
    }  # fmt: skip
    (task,) = made.tasks
    assert task.run == Command(("echo", "1.50", "true"))
    literals = {i.name: i.source for i in task.ins if isinstance(i.source, Value)}
    assert literals == {
        "n": Value(Type.NUMBER, "0.10"),
        "yes": Value(Type.BOOLEAN, "true"),
        "w": Value(Type.NUMBER, "7.0"),
    }
    assert task.env == (("ON", "true"), ("SHARE", "1.50"), ("THREADS", "8"))


def test_the_parts_of_a_task() -> None:
    made = plan(
        params={"epochs": 20},
        inputs={"raw": f"s3://ml-data/k@{DIGEST}"},
        defaults={"image": "busybox", "code": ["src", "lib"]},
        tasks={
            "train": {
                "run": "python train.py\n",
                "in": {"n": "params.epochs", "data": "inputs.raw"},
                "out": {
                    "model": "model",
                    "note": {"type": "string", "max": 40},
                    "log": {"type": "file", "optional": True},
                },
                "secrets": {"TOKEN": "hf/token"},
                "after": ["clean"],
            },
            "clean": {"run": ["rm", "-r", "x"]},
            "report": {"run": "true", "in": ["train.log"], "image": f"ghcr.io/a/b@{DIGEST}"},
        },
    )
    clean, train, report = made.tasks
    assert (train.run, clean.run) == (Script("python train.py\n"), Command(("rm", "-r", "x")))
    assert made.input("raw").uri == "s3://ml-data/k"
    assert made.input("raw").digest == DIGEST
    assert (train.after, train.reads, report.reads) == (("clean",), (), ("train",))
    assert [(o.name, o.max_bytes) for o in train.outs] == [("log", None), ("model", None), ("note", 40)]
    assert train.secrets == (SecretRef("TOKEN", "hf", "token"),)
    assert report.ins == (In("log", report.ins[0].source, Type.FILE, optional=True),)
    assert (clean.image, report.image) == (Image("busybox", None), Image(f"ghcr.io/a/b@{DIGEST}", DIGEST))
    assert train.code == clean.code
    assert train.code is not None
    assert train.code.folders == ("src", "lib")


def test_what_is_not_given_differs_from_what_is_empty() -> None:
    required, empty = (
        plan(params={"a": p}, tasks={"t": {"run": "true", "in": ["params.a"]}}) for p in ({"type": "string"}, "")
    )
    assert required.digest != empty.digest
    assert to_json(empty)["params"] == {"a": {"type": "string", "default": ""}}
    literal = plan(tasks={"t": {"run": "true", "in": {"a": {"value": ""}}}})
    assert to_json(literal)["tasks"][0]["in"] == [{"name": "a", "type": "string", "value": ""}]  # type: ignore[index]


def test_code_and_inputs_are_pinned_by_their_bytes() -> None:
    spec = {"version": 1, "name": "demo", "tasks": {"t": {"run": "true", "code": "src"}}}
    before, after = load(spec, Files()), load(spec, Files(src={"train.py": "3" * 64}))
    assert before.digest != after.digest
    assert before.spec_digest == after.spec_digest
    local = plan(inputs={"x": "data/labels.csv"}, tasks={"t": {"run": "true", "in": ["inputs.x"]}})
    assert local.input("x").digest == Files().sha256("data/labels.csv")


def test_a_thousand_tasks_in_a_chain_are_no_trouble() -> None:
    tasks: dict[str, Any] = {"t0": {"run": "true", "out": ["x"]}}
    for i in range(1, 1000):
        tasks[f"t{i}"] = {"run": "true", "in": {"before": f"t{i - 1}.x"}, "out": ["x"]}
    made = plan(tasks=dict(reversed(tasks.items())))
    assert [t.name for t in made.tasks] == [f"t{i}" for i in range(1000)]


@pytest.mark.parametrize("extra", [{}, {"after": ["first"]}])
def test_names_that_a_gate_task_would_take_are_told(extra: dict[str, Any]) -> None:
    outs = {"run": "true", "out": {"auc": "metric"}}
    tasks = {"first": outs, "second": outs, "train": {"run": "true", "if": "first.auc > second.auc", **extra}}
    with pytest.raises(Findings) as caught:
        plan(tasks={**tasks, "if-train": {"run": "true"}})
    assert [d.code for d in caught.value.diagnostics] == ["name-collision"]
    tasks["t" * 35] = tasks.pop("train")  # demo + if- + 35 are 42
    with pytest.raises(Findings) as caught:
        plan(tasks=tasks)
    assert [d.code for d in caught.value.diagnostics] == ["name-too-long"]
