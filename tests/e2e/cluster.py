"""A cluster to test on: any that KUBECONFIG names, reached by the kubectl on PATH."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[2]
Manifest = dict[str, Any]

needs_cluster = pytest.mark.skipif(
    not os.environ.get("KUBECONFIG") or shutil.which("kubectl") is None,
    reason="needs a cluster: KUBECONFIG and kubectl (`just cluster` makes one)",
)
# Where the cluster pulls from a registry of its own; else the well-known one.
BUSYBOX = f"{os.environ['MLGEN_E2E_REGISTRY']}/busybox:1" if "MLGEN_E2E_REGISTRY" in os.environ else "busybox:1.37"


def kubectl(*args: str, given: object = None, timeout_seconds: int = 120) -> str:
    """What kubectl answers. given: JSON for its standard input. Fails with what it said."""
    text = "" if given is None else json.dumps(given)
    done = subprocess.run(
        ["kubectl", *args], input=text, capture_output=True, text=True, timeout=timeout_seconds, check=False
    )
    assert done.returncode == 0, f"kubectl {' '.join(args)}: {done.stderr}"
    return done.stdout


def render(repository: Path, environment: str, out: Path) -> tuple[list[Manifest], list[Manifest]]:
    """What Argo CD would sync, and the runs, from a fresh rendering of all the pipelines of a repository."""
    command = [sys.executable, "-m", "mlgen", "render", "--env", environment, "--out", str(out)]
    env = {**os.environ, "PYTHONPATH": str(ROOT / "generator")}
    done = subprocess.run(command, cwd=repository, env=env, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    files = sorted(out.rglob("*.yaml"))
    assert files, f"nothing was rendered from {repository}"
    read = [(file.parent.name, yaml.safe_load(file.read_text())) for file in files]
    return [data for of, data in read if of == "manifests"], [data for of, data in read if of == "runs"]


def moved(manifests: list[Manifest], namespace: str) -> Manifest:
    """The manifests as one list in another namespace."""
    items = [{**m, "metadata": {**m["metadata"], "namespace": namespace}} for m in manifests]
    return {"apiVersion": "v1", "kind": "List", "items": items}
