"""What concerns the whole node: these run alone, after all others."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from tests.e2e import node
from tests.e2e.api import Json
from tests.e2e.cluster import kubectl
from tests.e2e.fates import single
from tests.e2e.lab import Lab, Project
from tests.e2e.run import start, wait_for

GPU = "nvidia.com/gpu"
POOL = "mlgen.dev/e2e-gpu"


def test_a_kubelet_that_is_restarted(lab: Lab) -> None:
    """While a program runs, and once more while what it left is staged out."""
    run = single(lab, "kubelet", 'run: |\n  echo begun\n  sleep 20\n  hostname > "$x"\nout: [x]')
    run.says("it", "begun")
    node.restart_kubelet()
    assert run.settled() == "Succeeded"
    record = run.told().only("it")
    assert record["state"] == "COMPLETE"
    run.bytes_of(record["outputs"]["x"])


@pytest.fixture(scope="module")
def gpu_node() -> Iterator[str]:
    """A node that says it has GPUs, and takes no pod that does not tolerate that."""
    name: str = json.loads(kubectl("get", "nodes", "-o", "json"))["items"][0]["metadata"]["name"]
    amounts = {"status": {kind: {GPU: "4"} for kind in ("capacity", "allocatable")}}
    kubectl("patch", "node", name, "--subresource=status", "--type=merge", "-p", json.dumps(amounts))
    kubectl("label", "node", name, f"{POOL}=yes")
    kubectl("taint", "node", name, f"{GPU}=here:NoSchedule")
    yield name
    kubectl("taint", "node", name, f"{GPU}-")
    kubectl("label", "node", name, f"{POOL}-")
    none = {"status": {kind: {GPU: None} for kind in ("capacity", "allocatable")}}
    kubectl("patch", "node", name, "--subresource=status", "--type=merge", "-p", json.dumps(none))


def gpu_project(lab: Lab, name: str, *, tolerates: bool) -> Project:
    pool: Json = {"resource": GPU, "node_selector": {POOL: "yes"}}
    if tolerates:
        pool["tolerations"] = [{"key": GPU, "operator": "Exists", "effect": "NoSchedule"}]
    project = lab.project(name, settings={"gpus": {"default": pool}})
    project.pipeline("train", 'tasks: {it: {run: "echo begun; sleep 5; echo x > $x", out: [x], gpu: 2}}')
    return project


def test_a_gpu_is_main_s_alone(lab: Lab, gpu_node: str) -> None:
    """The finally task, which wants no GPU, has no toleration: it waits until the taint is gone."""
    run = start(gpu_project(lab, "gpu", tolerates=True), "train")
    pod = run.says("it", "begun")
    assert pod["spec"]["nodeName"] == gpu_node
    limits = {c["name"]: c["resources"].get("limits", {}).get(GPU) for c in pod["spec"]["containers"]}
    assert limits.pop("step-main") == "2"
    assert set(limits.values()) == {None}
    wait_for("the task's end", lambda: run.task_reason("it") == "Succeeded")
    assert run.told().only("it")["state"] == "COMPLETE"


def test_a_gpu_pool_without_its_toleration_is_not_reached(lab: Lab, gpu_node: str) -> None:
    run = start(gpu_project(lab, "no-gpu", tolerates=False), "train")

    def unscheduled() -> str | None:
        conditions = run.pod("it")["status"].get("conditions", [])
        return next((c["message"] for c in conditions if c.get("reason") == "Unschedulable"), None)

    assert "untolerated taint" in wait_for("the scheduler's word", unscheduled)
    run.stop("Cancelled")
    assert run.settled() == "Cancelled"
    assert run.told().of("it") == []
