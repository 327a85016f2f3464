"""A fan as Tekton's tasks: how it is cut, what waits for it, and that Tekton takes all of it as it is written."""

from __future__ import annotations

import time
from typing import Any

import pytest
import yaml

from mlgen.plan.model import Plan
from mlgen.policy.pods import pods
from mlgen.render.fans import Pieces
from mlgen.render.limits import check_limits, check_objects
from mlgen.render.manifests import manifests
from mlgen.render.timeouts import of_run
from mlgen.spec.project import GpuPool
from tests import oracle
from tests.oracle import needs_oracle
from tests.strategies import DIGEST, environment, load

SWEEP = {"sweep": {"grid": {"lr": [0.1, 0.01], "note": ["$x", "$(date)"]}}, "run": "true", "out": {"auc": "metric"}}
LISTS = {"run": "true", "out": {"list": "json", "more": "json"}}


def plan_of(**tasks: Any) -> Plan:
    named = {name.replace("_", "-"): task for name, task in tasks.items()}
    return load({"version": 1, "name": "demo", "defaults": {"image": f"img@{DIGEST}"}, "tasks": named})


def entries_of(plan: Plan) -> dict[str, Any]:
    """The Pipeline's tasks, by name."""
    spec: Any = manifests(plan, environment())[0].data["spec"]
    return {entry["name"]: entry for entry in (*spec["tasks"], *spec["finally"])}


def indexes(entry: Any) -> list[str]:
    return [param["value"] for item in entry["matrix"]["include"] for param in item["params"][:1]]


def test_all_at_once_up_to_what_a_matrix_takes() -> None:
    entries = entries_of(
        plan_of(train={**SWEEP, "sweep": {"grid": {"k": {"range": 600}}}}, use={"run": "true", "after": ["train"]})
    )
    assert list(entries) == ["train", "train-c1", "train-c2", "use", "record"]
    assert [len(entries[name]["matrix"]["include"]) for name in ("train", "train-c1", "train-c2")] == [256, 256, 88]
    assert "runAfter" not in entries["train-c2"]
    assert entries["use"]["runAfter"] == ["train", "train-c1", "train-c2"]


def test_no_more_at_once_than_parallel_says() -> None:
    entries = entries_of(plan_of(train={**SWEEP, "parallel": 3}, use={"run": "true", "in": {"auc": "train.auc"}}))
    assert (indexes(entries["train"]), indexes(entries["train-c1"])) == (["0", "1", "2"], ["3"])
    assert entries["train-c1"]["runAfter"] == ["train"]
    assert entries["use"]["runAfter"] == ["train-c1"]
    assert "auc" not in {param["name"] for param in entries["use"]["params"]}


def test_a_large_parallel_is_several_pieces_at_a_time() -> None:
    pieces = Pieces(plan_of(train={**SWEEP, "sweep": {"grid": {"k": {"range": 1600}}}, "parallel": 600}))
    assert [piece.after for piece in pieces.of("train")] == [
        (), (), ("train", "train-c1"), ("train", "train-c1"), ("train-c2", "train-c3"), ("train-c2", "train-c3"),
        ("train-c4", "train-c5"),
    ]  # fmt: skip
    assert (pieces.ends("train"), pieces.waves("train")) == (["train-c6"], 4)


def test_names_that_are_tasks_are_left_alone() -> None:
    entries = entries_of(plan_of(train={**SWEEP, "parallel": 2}, train_c1={"run": "true"}))
    assert [name for name in entries if "matrix" in entries[name]] == ["train", "train-cc1"]


def test_what_tekton_would_take_for_a_variable_is_coded() -> None:
    plan = plan_of(train=SWEEP)
    (first, second, *_) = entries_of(plan)["train"]["matrix"]["include"]
    texts = [{p["name"]: p["value"] for p in item["params"]} for item in (first, second)]
    assert [text["lr"] for text in texts] == ["0.1", "0.1"]
    assert [text["note"] for text in texts] == ['"\\u0024x"', '"\\u0024(date)"']
    plain = plan_of(train={**SWEEP, "sweep": {"grid": {"note": ["a $5 'q'\n"]}}})
    assert entries_of(plain)["train"]["matrix"]["include"][0]["params"][1]["value"] == "a $$5 'q'\n"


def test_a_reader_needs_what_the_fan_needs() -> None:
    """Tekton would run it otherwise, for it skips what reads a result of a skipped task, and there is none."""
    plan = plan_of(
        first={"run": "true", "out": {"n": "integer"}},
        train={**SWEEP, "if": "first.n > 1"},
        use={"run": "true", "in": {"auc": "train.auc"}, "out": ["f"]},
        later={"run": "true", "after": ["use"]},
        beside={"run": "true", "after": ["train"]},
    )
    entries = entries_of(plan)
    needed = [{"input": "$(tasks.first.results.if-0)", "operator": "in", "values": ["true"]}]
    assert entries["train"]["when"] == entries["use"]["when"] == entries["later"]["when"] == needed
    assert "when" not in entries["beside"]


def test_a_gate_on_a_winner_is_decided_by_a_pod_that_looks_into_the_bucket() -> None:
    plan = plan_of(train={**SWEEP, "pick": "max auc"}, use={"run": "true", "if": "train.auc > 0.5"})
    entry = entries_of(plan)["if-use"]
    assert (entry["runAfter"], [p["name"] for p in entry["params"]]) == (["train"], ["mlgen-run-uid", "mlgen-values"])


@pytest.mark.parametrize(
    ("fan", "names"),
    [
        ({"for": {"x": "split.list", "y": [1, 2]}}, ["each", "each-c1"]),
        (
            {"for": {"x": "split.list", "y": "split.more"}, "parallel": 40},
            ["each", *(f"each-c{n}" for n in range(1, 17))],
        ),
        ({"for": {"x": "split.list"}, "parallel": 1}, ["each", *(f"each-c{n}" for n in range(1, 256))]),
        ({"for": {"x": "split.list", "y": "other.list"}}, ["for-each", "each", "each-c1"]),
    ],
)
def test_a_list_of_the_run(fan: Any, names: list[str]) -> None:
    plan = plan_of(split=LISTS, other=LISTS, each={**fan, "run": "true", "out": ["f"]})
    entries = entries_of(plan)
    assert [name for name in entries if "each" in name] == names
    assert check_limits(plan, environment()) == []
    assert list(check_objects(plan, manifests(plan, environment()))) == []


def test_the_waves_of_a_list_have_their_time() -> None:
    """Twice as many pieces one after the other, twice as long."""

    def seconds(parallel: int) -> int:
        return of_run(plan_of(train={**SWEEP, "parallel": parallel, "timeout": "1h"}), environment()).tasks

    assert seconds(2) == 2 * seconds(4)


def test_a_sweep_of_a_thousand_trials() -> None:
    start = time.process_time()
    plan = plan_of(train={**SWEEP, "sweep": {"grid": {"a": {"range": 40}, "b": {"range": 25}}}})
    for manifest in manifests(plan, environment()):
        assert manifest.bytes
    assert time.process_time() - start < 1


def everything() -> list[Plan]:
    picked = {**SWEEP, "pick": "max auc", "parallel": 2, "failures": 1, "gpu": 1}
    return [
        plan_of(train=picked, use={"run": "true", "in": {"auc": "train.auc", "lr": "train.lr"}, "if": "train.auc > 0"}),
        plan_of(split=LISTS, each={"for": {"x": "split.list", "y": {"range": 3}}, "run": "true", "out": ["f"]},
                all={"run": "true", "in": {"fs": "each.f"}}),
        plan_of(split=LISTS, other=LISTS, each={"for": {"x": "split.list", "y": "other.list"}, "parallel": 5,
                                                 "run": "true"}),
    ]  # fmt: skip


@needs_oracle
@pytest.mark.parametrize("at", range(3))
def test_what_is_rendered_is_admitted_as_it_stands(at: int) -> None:
    with oracle.running() as admission:
        for manifest in manifests(everything()[at], environment(gpus=(("default", GpuPool("nvidia.com/gpu")),))):
            admission.insist(yaml.load(manifest.bytes, Loader=yaml.CSafeLoader))


def test_its_pods_are_those_that_policies_see() -> None:
    """No variable is left in them but those of results."""
    found: list[Any] = [m.data for m in manifests(everything()[1], environment())]
    pipeline, run = found[0], found[-1]
    seen = {p.task: p.pod for p in pods(pipeline, [m for m in found if m["kind"] == "Task"], run)}
    main = next(c for c in seen["each"]["spec"]["containers"] if c["name"] == "step-stage-in")
    env = {v["name"]: v.get("value") for v in main["env"]}
    assert (env["MLGEN_INDEX"], env["MLGEN_ROW"]) == ("0", "$(tasks.split.results.for-0-rows[*])")
    assert seen["each"]["metadata"]["labels"]["mlgen.dev/task"] == "each"
