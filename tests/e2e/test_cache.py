"""Tasks that are taken from the cache, on a real cluster: what runs, what does not, and what is recorded."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.request import Request, urlopen

import obstore
import pytest

from tests.e2e.cluster import BUSYBOX, kubectl
from tests.e2e.lab import ENV, Lab, Project

pytestmark = pytest.mark.together
RESOURCE = "nvidia.com/gpu"

SPEC = """
params: {epochs: 20}
inputs: {raw: data.txt}
tasks:
  prepare:
    run: |
      echo "prepare ran"
      cat "$raw" > "$copy"
      wc -l < "$raw" | tr -d ' ' > "$rows"
    in: [inputs.raw]
    out: {copy: file, rows: integer}
    cache: true
  train:
    run: [sh, -c, 'echo "train ran"; cat "$copy" > "$model"; echo "$epochs" > "$score"']
    in: [prepare.copy, prepare.rows, params.epochs]
    out: {model: model, score: metric}
    cache: {max_age: 24h}
  show:
    if: train.score > 1
    run: 'echo "rows $rows"; cat "$model"'
    in: [train.model, prepare.rows]
"""


def pinned() -> str:
    """The image of all tasks, by its digest: by a tag alone nothing is cached."""
    registry, _, name = BUSYBOX.rpartition("/")
    if not registry:
        pytest.skip("MLGEN_E2E_REGISTRY is not set: the digest of the image is not known")
    repository, _, tag = name.partition(":")
    kinds = "application/vnd.oci.image.index.v1+json, application/vnd.docker.distribution.manifest.list.v2+json, "
    kinds += "application/vnd.oci.image.manifest.v1+json, application/vnd.docker.distribution.manifest.v2+json"
    asked = Request(f"http://{registry}/v2/{repository}/manifests/{tag}", headers={"Accept": kinds})
    with urlopen(asked, timeout=30) as answer:
        return f"{registry}/{repository}@{answer.headers['Docker-Content-Digest']}"


def run(project: Project, name: str, *arguments: str) -> dict[str, Any]:
    """The facets of a run's records by task, each with its runId and outputs beside them."""
    asked = ["run", "pipelines/demo.yaml", "--env", ENV, "--name", name, *arguments]
    done = subprocess.run(
        [sys.executable, "-m", "mlgen", *asked],
        cwd=project.root, env=project.environ(), capture_output=True, text=True, timeout=1200, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    told = json.loads(project.mlgen("runs", "show", name, "--env", ENV, "--format", "json"))
    assert told["state"] == "COMPLETE"
    assert {task["status"] for task in told["tasks"].values()} == {"Succeeded"}
    found = {}
    for record in told["records"]:
        facet = record["run"]["facets"]["mlgen_task"]
        found[facet["task"]] = facet | {"runId": record["run"]["runId"], "outputs": record["outputs"]}
    return found


def explained(project: Project, *arguments: str) -> dict[str, Any]:
    asked = ("run", "--explain-cache", "pipelines/demo.yaml", "--env", ENV, "--format", "json", *arguments)
    return {task["task"]: task for task in json.loads(project.mlgen(*asked))["tasks"]}


def printed(project: Project, run_name: str, task: str) -> str:
    return kubectl(
        "logs", "-n", project.name, "-l", f"tekton.dev/pipelineRun={run_name},tekton.dev/pipelineTask={task}",
        "-c", "step-main", "--tail=-1",
    )  # fmt: skip


def test_what_was_made_is_taken_and_what_changed_runs(lab: Lab) -> None:
    project = lab.project("cache")
    (project.root / "data.txt").write_text("a\nb\n")
    project.pipeline("demo", SPEC.replace("    out:", f"    image: {pinned()}\n    out:"))
    first = run(project, "first")
    assert "prepare ran" in printed(project, "first", "prepare")
    assert all(first[task]["cacheKey"] for task in ("prepare", "train"))
    assert "cached" not in first["train"]
    hits = explained(project)
    assert {task: one["answer"] for task, one in hits.items()} == {"prepare": "hit", "train": "hit", "show": "runs"}
    assert hits["train"]["key"] == first["train"]["cacheKey"], "both engines' commands make one key"

    second = run(project, "second")
    for task in ("prepare", "train"):
        assert (second[task]["cached"], second[task]["originalRunId"]) == (True, first[task]["runId"])
        assert (second[task]["outputs"], second[task]["cacheKey"]) == (first[task]["outputs"], first[task]["cacheKey"])
        assert second[task]["exitCode"] is None
        assert "ran" not in printed(project, "second", task)
    assert printed(project, "second", "show") == "rows 2\na\nb\n"
    assert project.keys("_cache/_claims") == []

    changes = explained(project, "-p", "epochs=30")["train"]
    assert [change["part"] for change in changes["changes"]] == ["in epochs"]
    third = run(project, "third", "-p", "epochs=30")
    assert (third["prepare"]["cached"], third["train"].get("cached")) == (True, None)

    key = first["prepare"]["outputs"][0]["name"].removeprefix(f"{project.name}/")
    obstore.delete(project.bucket(), key)
    fourth = run(project, "fourth")
    assert fourth["prepare"].get("cached") is None
    assert fourth["train"]["originalRunId"] == first["train"]["runId"], "the same bytes came of it"


GPU = """
params: {epochs: 2}
tasks:
  train:
    run: 'echo "train ran"; echo "$epochs" > "$model"; echo 0.5 > "$auc"'
    in: [params.epochs]
    out: {model: model, auc: metric}
    gpu: 1
    cache: true
  show: {run: 'cat "$model"', in: [train.model, train.auc]}
"""


@contextmanager
def a_gpu() -> Iterator[None]:
    """A GPU that is none: a number by which the scheduler places pods."""
    node = json.loads(kubectl("get", "nodes", "-o", "json"))["items"][0]["metadata"]["name"]

    def have(count: str | None) -> None:
        patch = {"status": {"capacity": {RESOURCE: count}, "allocatable": {RESOURCE: count}}}
        kubectl("patch", "node", node, "--subresource=status", "--type=merge", "-p", json.dumps(patch))

    have("1")
    try:
        yield
    finally:
        have(None)


def pods(project: Project, name: str) -> dict[str, Any]:
    found = json.loads(kubectl("get", "pods", "-n", project.name, "-l", f"tekton.dev/pipelineRun={name}", "-o", "json"))
    return {pod["metadata"]["labels"]["tekton.dev/pipelineTask"]: pod for pod in found["items"]}


def asks_for_a_gpu(pod: dict[str, Any]) -> bool:
    return any(RESOURCE in one["resources"].get("limits", {}) for one in pod["spec"]["containers"])


def test_a_hit_asks_for_no_gpu(lab: Lab) -> None:
    project = lab.project("cache-gpu", settings={"gpus": {"default": {"resource": RESOURCE}}})
    project.pipeline("demo", GPU.replace("    run: 'echo \"train", f"    image: {pinned()}\n    run: 'echo \"train"))
    with a_gpu():
        first = run(project, "first")
        made = pods(project, "first")
        assert made.keys() == {"cache-train", "train", "show", "record"}
        assert {task: asks_for_a_gpu(pod) for task, pod in made.items()} == {task: task == "train" for task in made}
        assert "train ran" in printed(project, "first", "train")

        second = run(project, "second")
        made = pods(project, "second")
        assert made.keys() == {"cache-train", "show", "record"}
        assert not any(map(asks_for_a_gpu, made.values()))
        assert (second["train"]["cached"], second["train"]["originalRunId"]) == (True, first["train"]["runId"])
        assert second["train"]["outputs"] == first["train"]["outputs"]
        assert printed(project, "second", "show") == "2\n"

        third = run(project, "third", "-p", "epochs=3")
        assert "train" in pods(project, "third")
        assert third["train"].get("cached") is None
        assert printed(project, "third", "show") == "3\n"
