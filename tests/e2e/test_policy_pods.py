"""The pods that policies judge offline are those that Tekton makes."""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from mlgen.policy.filled import UID
from mlgen.policy.pods import Projected, pods
from tests.e2e import api
from tests.e2e.cluster import BUSYBOX, kubectl, needs_cluster, render
from tests.e2e.run import wait_for

pytestmark = needs_cluster

PROJECT = """\
version: 1
environments:
  e2e:
    namespace: {namespace}
    artifacts: s3://bucket/prefix
    s3: {{endpoint: "http://s3.example:8333", secret: s3-credentials}}
    ledger: {{url: "https://git.example/ledger.git", secret: ledger-token}}
    runtime_image: {image}
    image_pull_secrets: [ghcr]
    user: 1234
    gpus:
      a100:
        resource: nvidia.com/gpu
        node_selector: {{pool: a100}}
        tolerations: [{{key: nvidia.com/gpu, operator: Exists, effect: NoSchedule}}]
    labels: {{team: ml, cost-center: cc-1}}
"""
SPEC = """\
version: 1
name: shapes
owner: risk
labels: {{project: x}}
params: {{rate: 0.1, text: "a $ b"}}
defaults: {{image: "{image}", cpu: 10m, memory: 32Mi, timeout: 3m}}
tasks:
  script:
    run: echo "$rate" > "$made"
    in: [params.rate, params.text]
    out: {{made: file}}
    retries: 1
  command:
    run: [sh, -c, "echo $HOME"]
    env: {{MODE: "a$b"}}
    secrets: {{TOKEN: hf/token}}
    disk: 1Gi
    timeout: 1h30m
  trains:
    run: "true"
    gpu: a100:1
    shm: 64Mi
finally:
  tell: {{run: "true"}}
"""
# What differs, and why no policy should rest on it: the cluster's own, five random letters, and what an installation
# of Tekton says of itself.
RANDOM = re.compile(r"script-(\d+)-[a-z0-9]{5}")
UIDS = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
OF_THE_CLUSTER = ("creationTimestamp", "generation", "resourceVersion", "uid", "managedFields")
TEKTONS_IMAGES = ("prepare", "place-scripts")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[list[Projected], dict[str, Any]]]:
    """The pods that are projected of a run, and those of the cluster by task; all but the run is removed."""
    namespace = f"mlgen-e2e-policy-pods-{uuid.uuid4().hex[:6]}"
    folder = tmp_path_factory.mktemp("shapes")
    (folder / "pipelines").mkdir()
    (folder / "mlgen.yaml").write_text(PROJECT.format(namespace=namespace, image=BUSYBOX))
    (folder / "pipelines" / "shapes.yaml").write_text(SPEC.format(image=BUSYBOX))
    manifests, (run,) = render(folder, "e2e", folder / "out")
    kubectl("create", "namespace", namespace)
    try:
        items = [m for m in manifests if m["kind"] in ("Task", "Pipeline")]
        kubectl("wait", "-n", namespace, "--for=create", "serviceaccount/default", "--timeout=60s")
        kubectl("apply", "-f", "-", given={"apiVersion": "v1", "kind": "List", "items": items})
        name = json.loads(kubectl("create", "-o", "json", "-f", "-", given=run))["metadata"]["name"]
        wanted = {"script", "command", "trains"}

        def look() -> dict[str, Any] | None:
            found = api.get(f"/api/v1/namespaces/{namespace}/pods")["items"]
            of_task = {pod["metadata"]["labels"]["tekton.dev/pipelineTask"]: pod for pod in found}
            return of_task if wanted <= of_task.keys() else None

        real = wait_for("three pods", look)
        (pipeline,) = [m for m in items if m["kind"] == "Pipeline"]
        tasks = [m for m in items if m["kind"] == "Task"]
        named = {**run, "metadata": {**run["metadata"], "name": name}}
        yield list(pods(pipeline, tasks, named)), real
    finally:
        kubectl("delete", "namespace", namespace, "--wait=false")


@pytest.mark.parametrize("task", ["script", "command", "trains"])
def test_a_projected_pod_is_the_real_one(made: tuple[list[Projected], dict[str, Any]], task: str) -> None:
    projected, real = made
    (mine,) = [one.pod for one in projected if one.task == task and one.attempt == 0]
    assert yaml.safe_dump(comparable(mine)) == yaml.safe_dump(comparable(real[task]))


def test_a_retry_has_the_pods_name_and_the_number(made: tuple[list[Projected], dict[str, Any]]) -> None:
    projected, real = made
    (again,) = [one.pod for one in projected if one.task == "script" and one.attempt]
    assert again["metadata"]["name"] == f"{real['script']['metadata']['name']}-retry1"


def comparable(pod: dict[str, Any]) -> dict[str, Any]:
    text = UIDS.sub(UID, RANDOM.sub(r"script-\1-xxxxx", json.dumps({key: pod[key] for key in ("metadata", "spec")})))
    found: dict[str, Any] = json.loads(text)
    for key in OF_THE_CLUSTER:
        found["metadata"].pop(key, None)
    found["metadata"]["annotations"].pop("pipeline.tekton.dev/release")
    found["metadata"]["annotations"].pop("tekton.dev/ready", None)  # added when the sidecar runs
    found["spec"].pop("nodeName", None)  # after admission
    for container in found["spec"]["initContainers"]:
        if container["name"] in TEKTONS_IMAGES:
            container["image"] = "Tekton's"
    return found
