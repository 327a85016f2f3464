"""Volumes, priorities and queues: what a task names, as pods of each environment have it."""

from __future__ import annotations

from typing import Any

import pytest

from mlgen.plan.model import Plan
from mlgen.render.limits import check_limits
from mlgen.render.manifests import manifests
from mlgen.spec.project import Environment, GpuPool, Spot
from tests.strategies import environment, load

PROD = environment(
    gpus=(("a100", GpuPool("nvidia.com/gpu", (("pool", "a100"),), ({"key": "gpu", "operator": "Exists"},))),),
    spot=Spot((("spot", "true"),), ({"key": "spot", "operator": "Exists"},)),
    workspaces=(("fast", "premium-rwo"),),
    priorities=(("high", "ml-prod"),),
    queues=(("research", "ml-research"),),
)
KNOWN = environment(
    workspaces=(("slow", "standard"),), priorities=(("low", "ml-low"),), queues=(("batch", "ml-batch"),)
)


def plan(**train: Any) -> Plan:
    tasks = {
        "train": {"run": "true", "image": "python:3.11", **train},
        "other": {"run": "true", "image": "python:3.11"},
    }
    return load({"version": 1, "name": "churn", "tasks": tasks}, None, PROD, KNOWN)


def rendered(of: Plan, where: Environment) -> tuple[dict[str, Any], dict[str, Any]]:
    """The PipelineRun's settings by task, and the Tasks' volumes of that name by task."""
    found: list[Any] = [m.data for m in manifests(of, where)]
    run = next(data for data in found if data["kind"] == "PipelineRun")
    volumes = {
        m.task: next(v for v in data["spec"]["volumes"] if v["name"] == "mlgen")
        for m, data in zip(manifests(of, where), found, strict=True)
        if m.task in ("train", "other")
    }
    return {spec["pipelineTaskName"]: spec for spec in run["spec"].get("taskRunSpecs", [])}, volumes


def test_a_workspace_is_a_claim_of_the_pods_own() -> None:
    _, volumes = rendered(plan(workspace="fast:500Gi", disk="10Gi"), PROD)
    claim = volumes["train"]["ephemeral"]["volumeClaimTemplate"]["spec"]
    assert claim == {
        "accessModes": ["ReadWriteOnce"],
        "resources": {"requests": {"storage": "500Gi"}},
        "storageClassName": "premium-rwo",
    }
    assert volumes["other"] == {"name": "mlgen", "emptyDir": {}}


def test_without_a_kind_the_cluster_chooses() -> None:
    _, volumes = rendered(plan(workspace="500Gi"), PROD)
    assert "storageClassName" not in volumes["train"]["ephemeral"]["volumeClaimTemplate"]["spec"]


def test_one_entry_says_all_of_a_task() -> None:
    specs, _ = rendered(plan(gpu="a100:2", spot=True, retries=1, priority="high", queue="research"), PROD)
    template = specs["train"]["podTemplate"]
    assert template["nodeSelector"] == {"pool": "a100", "spot": "true"}
    assert [t["key"] for t in template["tolerations"]] == ["gpu", "spot"]
    assert template["priorityClassName"] == "ml-prod"
    assert template["automountServiceAccountToken"] is False  # repeated in full: Tekton merges none of it
    assert specs["train"]["metadata"] == {"labels": {"kueue.x-k8s.io/queue-name": "ml-research"}}
    assert set(specs) == {"train"}


def test_a_queue_for_all_that_name_none() -> None:
    both = environment(queues=(("default", "ml-batch"), ("research", "ml-research")))
    specs, _ = rendered(plan(queue="research"), both)
    assert {name: spec["metadata"]["labels"]["kueue.x-k8s.io/queue-name"] for name, spec in specs.items()} == {
        "train": "ml-research",
        "other": "ml-batch",
    }


def test_an_environment_that_knows_no_such_thing_ignores_it() -> None:
    assert rendered(plan(priority="high", queue="research"), environment())[0] == {}
    assert check_limits(plan(priority="high", queue="research"), environment()) == []


@pytest.mark.parametrize(("key", "text"), [("workspace", "slow:1Gi"), ("priority", "low"), ("queue", "batch")])
def test_a_name_that_the_environment_does_not_have(key: str, text: str) -> None:
    (problem,) = check_limits(plan(**{key: text}), PROD)
    assert (problem.code, problem.route) == (f"unknown-{key}", ("tasks", "train", key))


def test_what_places_a_task_changes_no_task_but_its_volume() -> None:
    def task(**train: Any) -> str:
        return next(m.path for m in manifests(plan(**train), PROD) if m.task == "train")

    assert task(priority="high", queue="research") == task()
    assert task(workspace="1Gi") != task()
