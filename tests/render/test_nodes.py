"""A task on several nodes: rank 0 is its pod as ever, the others are one matrix of one Task (decision 0041)."""

from __future__ import annotations

from typing import Any

import pytest

from mlgen.plan.model import Plan
from mlgen.render.fans import Pieces
from mlgen.render.manifests import manifests
from mlgen.render.resumed import Reduced, resumed
from mlgen.render.timeouts import of_task
from mlgen.runtime.protocol import TaskDocument
from mlgen.spec.project import Environment, GpuPool
from tests.strategies import environment, load

PROD = environment(
    gpus=(("a100", GpuPool("nvidia.com/gpu", (("pool", "a100"),), ())),), queues=(("research", "ml-research"),)
)


def plan(more: dict[str, Any] | None = None, **train: Any) -> Plan:
    tasks = {
        "prepare": {"run": "x", "image": "python:3.11", "out": {"rows": "integer", "data": "file"}},
        "train": {
            "run": "python train.py",
            "image": "python:3.11",
            "in": ["prepare.data"],
            "out": {"model": "model"},
            "nodes": 3,
            **train,
        },
        **(more or {}),
    }
    return load({"version": 1, "name": "churn", "tasks": tasks}, None, PROD)


def objects(of: Plan, where: Environment = PROD) -> dict[str, list[Any]]:
    found: dict[str, list[Any]] = {}
    for manifest in manifests(of, where):
        found.setdefault(str(manifest.data["kind"]), []).append(manifest.data)
    return found


def entry(of: Plan, name: str) -> Any:
    (pipeline,) = objects(of)["Pipeline"]
    return next(one for one in pipeline["spec"]["tasks"] if one["name"] == name)


def task(of: Plan, name: str) -> Any:
    return next(t for t in objects(of)["Task"] if t["metadata"]["name"] == entry(of, name)["taskRef"]["name"])


def test_the_other_ranks_begin_with_rank_0_and_are_tried_again_with_it() -> None:
    gated: dict[str, Any] = {"if": "prepare.rows > 3", "retries": 2}
    found = plan(None, **gated)
    train, others = entry(found, "train"), entry(found, "train-n")
    for key in ("when", "runAfter", "retries", "timeout"):
        assert others.get(key) == train.get(key), key
    assert others["matrix"] == {"params": [{"name": "mlgen-rank", "value": ["1", "2"]}]}
    assert {p["name"] for p in others["params"]} == {"data", "mlgen-run-uid"}, (
        "none by which one knows what is recorded"
    )


def test_one_task_more_however_many_nodes() -> None:
    assert len(objects(plan(nodes=200))["Task"]) == len(objects(plan(nodes=2))["Task"])
    one = plan()
    assert task(one, "train")["metadata"]["labels"] == task(one, "train-n")["metadata"]["labels"]
    assert {m.task for m in manifests(one, PROD) if m.data["kind"] == "Task"} == {"prepare", "train", "record"}


def test_the_same_program_of_which_nothing_is_kept() -> None:
    found = plan(gpu="a100:8", shm="1Gi", env={"X": "1"}, secrets={"TOKEN": "hf/token"})
    train, others = task(found, "train"), task(found, "train-n")
    (_, main, _), (_, other, _) = train["spec"]["steps"], others["spec"]["steps"]
    for key in ("image", "script", "computeResources", "timeout", "volumeMounts", "onError"):
        assert other[key] == main[key], key
    differ = {name for name, value in env(other).items() if env(main)[name] != value}
    assert differ == {"MLGEN_NODE_RANK", "RANK"}
    assert "results" not in others["spec"]
    document = TaskDocument.loads(env(others["spec"]["steps"][0])["MLGEN_TASK"].replace("$$", "$"))
    assert (document.outs, document.nodes and document.nodes.count) == ((), 3)
    assert document.platform is not None
    assert document.platform.fold is None


def env(container: Any) -> dict[str, Any]:
    return {one["name"]: one.get("value", one.get("valueFrom")) for one in container["env"]}


def test_its_place_queue_and_gpus_are_those_of_the_task() -> None:
    found = objects(plan(gpu="a100:8", queue="research"))
    (run,), (pipeline,) = found["PipelineRun"], found["Pipeline"]
    first, second = run["spec"]["taskRunSpecs"]
    assert [first["pipelineTaskName"], second["pipelineTaskName"]] == ["train", "train-n"]
    assert {**first, "pipelineTaskName": ""} == {**second, "pipelineTaskName": ""}
    assert pipeline["metadata"]["annotations"]["mlgen.dev/gpu-tasks"] == "train,train-n"


@pytest.mark.parametrize(("taken", "name"), [("train-n", "train-nn"), ("train-nn", "train-n")])
def test_a_name_that_a_task_has_is_not_taken(taken: str, name: str) -> None:
    found = plan({taken: {"run": "x", "image": "python:3.11"}})
    assert Pieces(found).others == {"train": name}
    assert entry(found, name)["matrix"]


def test_there_is_time_to_meet() -> None:
    one, three = (
        plan(nodes=2).task("train"),
        load({"version": 1, "name": "churn", "tasks": {"train": {"run": "x", "image": "python:3.11"}}}).task("train"),
    )
    more = of_task(one, PROD) - of_task(three, PROD)
    assert more == PROD.queue_seconds + PROD.staging_seconds
    document = TaskDocument.loads(env(task(plan(nodes=2), "train")["spec"]["steps"][0])["MLGEN_TASK"])
    assert document.nodes is not None
    assert document.nodes.wait_seconds == more


def test_a_resumed_run_has_none_of_a_task_that_is_reused() -> None:
    found = plan({"judge": {"run": "x", "image": "python:3.11", "in": ["train.model"]}})
    made = objects(found)
    (run,), (pipeline,) = made["PipelineRun"], made["Pipeline"]
    known = {"prepare": {"rows": "4", "data": "k@sha256:1"}, "train": {"model": "m@sha256:1"}}
    spec = resumed(run, pipeline, found, Reduced(known, frozenset(), "0" * 8))["spec"]["pipelineSpec"]
    assert [one["name"] for one in spec["tasks"]] == ["judge"]
    spec = resumed(run, pipeline, found, Reduced({"prepare": known["prepare"]}, frozenset(), "0" * 8))["spec"]
    assert [one["name"] for one in spec["pipelineSpec"]["tasks"]] == ["train", "train-n", "judge"]
    assert "k@sha256:1" in str(spec["pipelineSpec"]["tasks"][1])
