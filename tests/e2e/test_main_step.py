"""Step main as we render it, in a real pod: the prelude runs there, text and values of the author arrive unchanged."""

from __future__ import annotations

import base64
import json
from pathlib import Path

import pytest

from tests.e2e.cluster import BUSYBOX, ROOT, Manifest, kubectl, needs_cluster, render

pytestmark = needs_cluster

NASTY = "$(params.whom) $$HOME ${whom} `id` 'single' \"double\" \\n | & ; é 漢"


@pytest.fixture
def greet(tmp_path: Path) -> Manifest:
    """The Task that is made from task `greet` of pipelines/hello.yaml."""
    manifests, _ = render(ROOT, "dev", tmp_path)
    [task] = [m for m in manifests if m["kind"] == "Task" and m["metadata"]["name"].startswith("hello-greet-")]
    return task


def test_values_arrive_unchanged_in_a_pod(greet: Manifest, namespace: str) -> None:
    spec = greet["spec"]
    main = next(step for step in spec["steps"] if step["name"] == "main")
    expected = base64.b64encode(f"Hello, {NASTY}!\n".encode()).decode()
    mounts = main["volumeMounts"]
    before = "mkdir -p /mlgen/in /mlgen/out /mlgen/work /mlgen/home /mlgen/tmp; mkfifo /mlgen/alive"
    after = f"base64 /mlgen/out/greeting | tr -d '\\n' | grep -Fx '{expected}'"
    task_spec = {
        "params": [p for p in spec["params"] if p["name"] == "whom"],
        "stepTemplate": spec["stepTemplate"],
        "volumes": spec["volumes"],
        "steps": [
            {"name": "before", "image": BUSYBOX, "script": f"#!/bin/sh\n{before}\n", "volumeMounts": mounts},
            {**main, "image": BUSYBOX},
            {"name": "after", "image": BUSYBOX, "script": f"#!/bin/sh\n{after}\n", "volumeMounts": mounts},
        ],
    }
    run = {
        "apiVersion": "tekton.dev/v1",
        "kind": "TaskRun",
        "metadata": {"generateName": "main-step-", "namespace": namespace},
        "spec": {
            # Kubernetes takes every second $ away from the values of environment variables.
            "params": [{"name": "whom", "value": NASTY.replace("$", "$$")}],
            "podTemplate": {"securityContext": {"runAsNonRoot": True, "runAsUser": 1000, "fsGroup": 1000}},
            "taskSpec": task_spec,
        },
    }
    name = json.loads(kubectl("create", "-o", "json", "-f", "-", given=run))["metadata"]["name"]
    kubectl("wait", "-n", namespace, f"taskrun/{name}", "--for=jsonpath={.status.completionTime}", "--timeout=90s")
    status = json.loads(kubectl("get", "taskrun", name, "-n", namespace, "-o", "json"))["status"]
    logs = kubectl("logs", "-n", namespace, status["podName"], "--all-containers", "--ignore-errors")
    assert status["conditions"][0]["reason"] == "Succeeded", f"{status['conditions'][0]['message']}\n{logs}"
