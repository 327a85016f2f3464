"""What a cluster would not take is found before, with the place in the spec and how to mend it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import partial
from typing import Any

import pytest
import yaml

from mlgen.plan.model import Plan
from mlgen.render.limits import check_limits, results_bytes
from mlgen.render.rendering import render_all
from mlgen.runtime.documents import counts
from mlgen.runtime.fans.counting import as_results, longest
from mlgen.runtime.fans.items import counted
from mlgen.runtime.fans.model import ListDocument
from mlgen.runtime.pod.results import MAX_RESULTS_BYTES, json_bytes
from mlgen.spec.project import Environment, GpuPool, Limits
from tests.strategies import DIGEST, Spec, environment, load


def plan(**train: Any) -> Plan:
    return load({"version": 1, "name": "churn", "tasks": {"train": {"run": "true", "image": "python:3.11", **train}}})


A100 = (("a100", GpuPool("nvidia.com/gpu")),)
PROD = environment(gpus=A100, limits=Limits(gpu=4, memory_bytes=64 << 30, timeout_seconds=7200))

CASES: list[tuple[str, Plan, Environment | None, list[tuple[str, Sequence[str]]]]] = [
    ("all is well", plan(gpu="a100:4", memory="64Gi", timeout="2h"), PROD, []),
    ("no environment", plan(gpu="default:8", memory="65Gi", timeout="3h"), None, []),
    ("pool", plan(gpu=1), PROD, [("unknown-pool", ["tasks", "train", "gpu"])]),
    ("gpus", plan(gpu="a100:5"), PROD, [("over-limit", ["tasks", "train", "gpu"])]),
    ("gpus of all nodes", plan(gpu="a100:2", nodes=3), PROD, [("over-limit", ["tasks", "train", "gpu"])]),
    ("a command on several nodes", plan(run=["a"], nodes=3), PROD, [("nodes-need-script", ["tasks", "train", "run"])]),
    ("the same without an environment", plan(run=["a"], nodes=3), None, []),
    ("a script on several nodes", plan(nodes=3), PROD, []),
    ("memory", plan(memory="65Gi"), PROD, [("over-limit", ["tasks", "train", "memory"])]),
    ("timeout", plan(timeout="2h1s"), PROD, [("over-limit", ["tasks", "train", "timeout"])]),
    (
        "results, without an environment too",
        plan(out={f"text{i}": "string" for i in range(5)}),
        None,
        [("results-too-large", ["tasks", "train", "out"])],
    ),
    (
        "no image",
        load({"version": 1, "name": "a", "tasks": {"t": {"run": "x"}}, "finally": {"f": {"run": "y"}}}),
        PROD,
        [("missing-image", ["tasks", "t"]), ("missing-image", ["finally", "f"])],
    ),
    (
        "a param that Tekton would take for a variable",
        load(
            {"version": 1, "name": "a", "params": {"x": "a $(date)", "y": "$(date +%F)"}, "tasks": {"t": {"run": "x"}}}
        ),
        None,
        [("tekton-variable", ["params", "x"])],
    ),
]


@pytest.mark.parametrize(("plan", "given", "wanted"), [case[1:] for case in CASES], ids=[case[0] for case in CASES])
def test_each_limit(plan: Plan, given: Environment | None, wanted: list[tuple[str, list[str]]]) -> None:
    found = check_limits(plan, given)
    assert [(problem.code, list(problem.route)) for problem in found] == wanted
    assert all(problem.message and problem.why and problem.fix for problem in found)


@pytest.mark.parametrize(
    ("image", "registries", "allowed"),
    [
        ("ghcr.io/acme/churn:1", ["ghcr.io/acme/"], True),
        ("ghcr.io/acme/churn:1", ["quay.io", "ghcr.io/acme"], True),
        ("ghcr.io/acme-evil/churn:1", ["ghcr.io/acme"], False),
        ("ghcr.io.evil.example/acme/churn", ["ghcr.io"], False),
        ("python:3.11", ["docker.io/library/"], True),
        ("acme/churn", ["docker.io/acme/"], True),
        ("acme/churn", ["acme/"], False),
        ("localhost:5000/a@" + DIGEST, ["localhost:5000"], True),
        ("python", [], True),
    ],
)
def test_images_come_from_allowed_registries(image: str, registries: list[str], allowed: bool) -> None:
    found = check_limits(plan(image=image), environment(registries=tuple(registries)))
    assert [problem.code for problem in found] == ([] if allowed else ["image-registry"])


def test_results_are_counted_as_they_are_written() -> None:
    outs = {"model": "model", "auc": "metric", "ok": "boolean", "note": {"type": "string", "max": 10, "optional": True}}
    worst = (
        '[{"key":"auc","value":"' + "1" * 64 + '","type":1},'
        '{"key":"model","value":"churn/' + "r" * 46 + "/train.12345678/model@sha256:" + "f" * 64 + '","type":1},'
        '{"key":"note","value":"+' + '\\"' * 10 + '","type":1},'
        '{"key":"ok","value":"false","type":1}]'
    )
    made = plan(out=outs)
    assert abs(results_bytes(made, made.task("train")) - len(worst)) <= 1


FANS = """\
version: 1
name: churn
tasks:
  split: {run: a, image: "python:3.11", out: {parts: {type: json, max: 640}}}
"""


def test_how_often_lists_are_gone_through_is_counted() -> None:
    """Two fans fit beside a list of 640 bytes, a third does not; each tells its items in results of the producer."""
    for fans, fits in ((0, True), (1, False)):
        each = "".join(f'  e{i}: {{run: b, image: "python:3.11", for: {{p: split.parts}}}}\n' for i in range(fans))
        made = load(yaml.safe_load(FANS + each))
        assert (results_bytes(made, made.task("split")) <= MAX_RESULTS_BYTES) is fits
        assert [problem.code for problem in check_limits(made, None)] == ([] if fits else ["results-too-large"])


def _parts(count: int, _one: ListDocument) -> str:
    return json.dumps(["x"] * count)


@pytest.mark.parametrize("parallel", [None, 1, 3, 10, 16, 100, 256])
def test_no_number_of_items_takes_more_than_is_counted(parallel: int | None) -> None:
    bound = "" if parallel is None else f", parallel: {parallel}"
    made = load(yaml.safe_load(FANS + f'  each: {{run: b, image: "python:3.11", for: {{p: split.parts}}{bound}}}\n'))
    [count] = counts("split", made)
    most = longest(count)
    for items in range(257):
        told = as_results(count, counted(count, partial(_parts, items)))
        assert told.keys() == most.keys()
        assert all(json_bytes(text) <= json_bytes(most[name]) for name, text in told.items())


def test_what_items_leave_goes_through_the_bucket() -> None:
    outs = {f"text{i}": "string" for i in range(5)} | {f"model{i}": "model" for i in range(20)}
    assert check_limits(plan(out=outs, **{"for": {"k": [1, 2]}}), None) == []


def test_seven_artifacts_of_usual_names_fit() -> None:
    made = plan(out=[f"model{i}" for i in range(7)])
    assert results_bytes(made, made.task("train")) <= MAX_RESULTS_BYTES


def wide(name: str, count: int) -> Spec:
    params = {f"param_with_a_long_name_{i}": i for i in range(30)}
    tasks = {f"task-{i:04}": {"run": "true", "image": "python:3.11"} for i in range(count)}
    return {"version": 1, "name": name, "params": params, "tasks": tasks}


def test_an_object_that_kubernetes_would_not_store_is_no_file() -> None:
    spec = wide("large", 600)
    rendering = render_all([load(spec)], [environment(), environment(name="dev")])
    ((_, problem),) = rendering.problems
    assert (problem.code, problem.route) == ("object-too-large", ("tasks",))
    long = plan(env={"LONG": "x" * 1_000_000})
    ((_, problem),) = render_all([long], [environment()]).problems
    assert (problem.code, problem.route) == ("object-too-large", ("tasks", "train"))
