"""What a policy of attempts, a checkpoint and spot nodes change in manifests; and that nothing else does."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, cast

import pytest

from mlgen.plan import pod as amounts
from mlgen.plan.model import Plan
from mlgen.plan.show import to_text
from mlgen.render import timeouts
from mlgen.render.manifests import manifests
from mlgen.render.pipelinerun import pipeline_run
from mlgen.spec.project import Environment, GpuPool, Spot
from tests import oracle
from tests.oracle import Oracle, needs_oracle
from tests.strategies import environment, load

IMAGE = "python@sha256:" + "0" * 64
POOL = GpuPool("nvidia.com/gpu", (("pool", "a100"),), ({"key": "nvidia.com/gpu", "operator": "Exists"},))
SPOT = Spot(
    (("kubernetes.azure.com/scalesetpriority", "spot"),),
    ({"key": "kubernetes.azure.com/scalesetpriority", "operator": "Equal", "value": "spot", "effect": "NoSchedule"},),
)
TRAIN = {
    "run": 'train --state "$state"',
    "image": IMAGE,
    "timeout": "20m",
    "retries": {"count": 3, "backoff": "30s", "on": ["infrastructure", 75]},
    "checkpoint": {"name": "state", "every": "10m"},
    "gpu": "a100:1",
    "memory": "8Gi",
}
ONCE = {"run": "charge", "image": IMAGE, "idempotent": False}


def plan(**tasks: dict[str, Any]) -> Plan:
    return load({"version": 1, "name": "p", "tasks": {name.replace("_", "-"): task for name, task in tasks.items()}})


def prod(**changes: Any) -> Environment:
    return environment(queue_seconds=60, staging_seconds=10, gpus=(("a100", POOL),), **changes)


def task_of(made: Plan, name: str) -> dict[str, Any]:
    (found,) = [m.data for m in manifests(made, prod()) if m.data["kind"] == "Task" and m.task == name]
    return cast("dict[str, Any]", found["spec"])


def document(spec: dict[str, Any]) -> dict[str, Any]:
    (text,) = [v["value"] for v in spec["steps"][0]["env"] if v["name"] == "MLGEN_TASK"]
    found: dict[str, Any] = json.loads(text.replace("$$", "$"))
    return found


def test_a_pod_is_told_of_policy_and_checkpoint() -> None:
    spec = task_of(plan(train=TRAIN), "train")
    assert document(spec)["retry"] == {"count": 3, "backoffSeconds": 30, "infrastructure": True, "codes": [75]}
    assert document(spec)["checkpoint"] == {"name": "state", "everySeconds": 600}
    assert {"name": "state", "value": "/mlgen/checkpoint"} in spec["steps"][1]["env"]
    assert spec["sidecars"][0]["computeResources"]["limits"]["memory"] == "256Mi"
    assert document(task_of(plan(once=ONCE), "once"))["retry"] == {"count": 0, "idempotent": False}


def test_a_number_of_retries_changes_no_task() -> None:
    plain = {"run": "train", "image": IMAGE}
    assert task_of(plan(a=plain), "a") == task_of(plan(a={**plain, "retries": 3}), "a")
    assert plan(a={**plain, "retries": 3}).digest == plan(a={**plain, "retries": {"count": 3}}).digest
    assert "retry" not in document(task_of(plan(a=plain), "a"))
    assert amounts.total(plan(a=plain).task("a"))[1] == (1 << 30) + (256 + 256 + 128) * amounts.MEBI


def test_the_backoff_is_on_top_of_an_attempts_timeout() -> None:
    assert timeouts.of_task(plan(train=TRAIN).task("train"), prod()) == 20 * 60 + 60 + 10 + 120


def test_where_a_task_on_spot_nodes_runs() -> None:
    made = plan(
        train={**TRAIN, "spot": True}, small={"run": "x", "image": IMAGE, "retries": 1, "spot": True, "timeout": "5m"}
    )
    specs = cast("dict[str, Any]", pipeline_run(made, prod(spot=SPOT), {})["spec"])["taskRunSpecs"]
    placed = {one["pipelineTaskName"]: one["podTemplate"] for one in specs}
    assert placed["train"]["nodeSelector"] == {"kubernetes.azure.com/scalesetpriority": "spot", "pool": "a100"}
    assert placed["train"]["tolerations"] == [*POOL.tolerations, *SPOT.tolerations]
    assert placed["small"]["nodeSelector"] == dict(SPOT.node_selector)
    without = cast("dict[str, Any]", pipeline_run(made, prod(), {})["spec"])["taskRunSpecs"]
    assert [one["pipelineTaskName"] for one in without] == ["train"]
    assert without[0]["podTemplate"]["nodeSelector"] == {"pool": "a100"}


def test_a_plan_says_when_a_task_is_tried_again() -> None:
    text = to_text(plan(train={**TRAIN, "spot": True}, once=ONCE))
    assert "1 GPU of a100, on spot nodes" in text
    assert "again    after failures of the infrastructure and exit code 75 only, 30s later, then twice as long" in text
    assert "keeps    state, the folder that survives attempts, saved every 10m0s" in text
    assert "again    never once its program has begun: it is not idempotent" in text


@pytest.fixture(scope="module")
def admission() -> Iterator[Oracle]:
    with oracle.running() as found:
        yield found


@needs_oracle
def test_tekton_stores_them_as_they_are_written(admission: Oracle) -> None:
    made = plan(train={**TRAIN, "spot": True}, once=ONCE)
    for manifest in manifests(made, prod(spot=SPOT)):
        if manifest.data["apiVersion"] == "tekton.dev/v1":
            admission.insist(manifest.data)
    admission.insist(pipeline_run(made, prod(spot=SPOT), {"mlgen.dev/source": "pipelines/p.yaml"}))
