"""A volume of a task's own, its priority and its queue, on real pods."""

from __future__ import annotations

import json
import uuid
from typing import Any

import pytest

from tests.e2e.cluster import kubectl
from tests.e2e.fates import single
from tests.e2e.lab import Lab
from tests.e2e.run import wait_for

pytestmark = pytest.mark.together

TASK = """\
run: |
  echo begun
  df -P /mlgen/work | tail -1
  sleep 3
  head -c 1m /dev/urandom > "$x"
out: [x]
workspace: own:64Mi
priority: high
queue: research
"""


def test_a_volume_a_priority_and_a_queue(lab: Lab) -> None:
    storage = json.loads(kubectl("get", "storageclasses", "-o", "json"))["items"]
    if not storage:
        pytest.skip("the cluster has no StorageClass")
    name = f"mlgen-e2e-{uuid.uuid4().hex[:6]}"
    kubectl(
        "create",
        "-f",
        "-",
        given={
            "apiVersion": "scheduling.k8s.io/v1",
            "kind": "PriorityClass",
            "metadata": {"name": name},
            "value": 1000,
        },
    )
    try:
        settings = {
            "workspaces": {"own": {"storage_class": storage[0]["metadata"]["name"]}},
            "priorities": {"high": name},
            "kueue": {"queues": {"research": "ml-research"}},
        }
        run = single(lab, "placement", TASK, settings=settings)
        pod = run.says("it", "begun")
        assert pod["spec"]["priorityClassName"] == name
        assert pod["metadata"]["labels"]["kueue.x-k8s.io/queue-name"] == "ml-research"
        namespace = pod["metadata"]["namespace"]
        (claim,) = _claims(namespace)
        assert claim["status"]["phase"] == "Bound"
        assert claim["metadata"]["ownerReferences"][0]["name"] == pod["metadata"]["name"]
        assert run.settled() == "Succeeded"
        assert len(run.bytes_of(run.told().only("it")["outputs"]["x"])) == 1 << 20
        kubectl("delete", "pod", "-n", namespace, pod["metadata"]["name"], "--wait=false")
        wait_for("the claim to go with its pod", lambda: not _claims(namespace) or None)
    finally:
        kubectl("delete", "priorityclass", name, "--wait=false")


def _claims(namespace: str) -> list[Any]:
    found: list[Any] = json.loads(kubectl("get", "pvc", "-n", namespace, "-o", "json"))["items"]
    return found
