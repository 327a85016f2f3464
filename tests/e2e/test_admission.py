"""A real API server with Tekton's own webhook takes what we render, and stores what we wrote."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[2]
Manifest = dict[str, Any]

pytestmark = pytest.mark.skipif(
    not os.environ.get("KUBECONFIG") or shutil.which("kubectl") is None,
    reason="needs a cluster: KUBECONFIG and kubectl (`just cluster` makes one)",
)


def kubectl(*args: str, given: object = None) -> str:
    """What kubectl answers. given: JSON for its standard input. Raises with what it said when it fails."""
    text = "" if given is None else json.dumps(given)
    done = subprocess.run(["kubectl", *args], input=text, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, f"kubectl {' '.join(args)}: {done.stderr}"
    return done.stdout


@pytest.fixture(scope="module")
def namespace() -> Iterator[str]:
    name = f"mlgen-e2e-{uuid.uuid4().hex[:8]}"
    kubectl("create", "namespace", name)
    yield name
    kubectl("delete", "namespace", name, "--wait=false")


def repositories() -> list[Path]:
    """Folders with specs and an mlgen.yaml: our own, and every example."""
    return [ROOT, *sorted(f.parent for f in (ROOT / "tests" / "examples").glob("*/mlgen.yaml"))]


def render(repository: Path, out: Path) -> tuple[list[Manifest], list[Manifest]]:
    """All that an Argo CD would sync and all runs, of every environment, from a fresh rendering."""
    environments = yaml.safe_load((repository / "mlgen.yaml").read_text())["environments"]
    for name, environment in environments.items():
        if "namespace" in environment:
            command = [sys.executable, "-m", "mlgen", "render", "--env", name, "--out", str(out / name)]
            env = {**os.environ, "PYTHONPATH": str(ROOT / "generator")}
            subprocess.run(command, cwd=repository, env=env, check=True, timeout=120)
    files = sorted(out.rglob("*.yaml"))
    assert files, f"nothing was rendered from {repository}"
    read = [(file, yaml.safe_load(file.read_text())) for file in files]
    runs = [data for file, data in read if file.parent.name == "runs"]
    return [data for file, data in read if file.parent.name != "runs"], runs


def moved(manifests: list[Manifest], namespace: str) -> Manifest:
    """The manifests as one list in another namespace."""
    items = [{**m, "metadata": {**m["metadata"], "namespace": namespace}} for m in manifests]
    return {"apiVersion": "v1", "kind": "List", "items": items}


@pytest.mark.parametrize("repository", repositories(), ids=lambda path: path.name)
def test_the_cluster_stores_what_we_wrote(repository: Path, tmp_path: Path, namespace: str) -> None:
    manifests, runs = render(repository, tmp_path)
    # Environments differ in namespace only in name; here they share one, so each is asked for by itself.
    for environment in {m["metadata"]["namespace"] for m in manifests}:
        ours = [m for m in manifests if m["metadata"]["namespace"] == environment]
        kubectl("create", "--validate=strict", "-f", "-", given=moved(ours, namespace))
        try:
            stored = json.loads(kubectl("get", "tasks.tekton.dev,pipelines.tekton.dev", "-n", namespace, "-o", "json"))
            assert essence(stored["items"]) == essence(m for m in ours if m["apiVersion"] == "tekton.dev/v1")
        finally:
            kubectl("delete", "-f", "-", "--ignore-not-found", given=moved(ours, namespace))
    answer = kubectl(
        "create", "--validate=strict", "--dry-run=server", "-f", "-", "-o", "json", given=moved(runs, namespace)
    )
    accepted = json.loads(answer)
    assert essence(accepted.get("items", [accepted])) == essence(runs)


def essence(manifests: Any) -> dict[tuple[str, str], Manifest]:
    """What we wrote of each object, by kind and name: not what the server makes up, like uid and generation."""
    kept = ("labels", "annotations", "generateName")
    return {
        (m["kind"], m["metadata"].get("generateName") or m["metadata"]["name"]): {
            "spec": m["spec"],
            **{key: m["metadata"].get(key) for key in kept},
        }
        for m in manifests
    }
