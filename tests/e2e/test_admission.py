"""A real API server with Tekton's own webhook takes what we render, and stores what we wrote."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

import pytest
import yaml

from tests.e2e.cluster import ROOT, Manifest, kubectl, moved, needs_cluster, render

pytestmark = needs_cluster


def rendered_environments() -> list[tuple[Path, str]]:
    """Every environment that has manifests: of our own repository, and of every example."""
    repositories = [ROOT, *sorted(f.parent for f in (ROOT / "tests" / "examples").glob("*/mlgen.yaml"))]
    return [
        (repository, name)
        for repository in repositories
        for name, environment in yaml.safe_load((repository / "mlgen.yaml").read_text())["environments"].items()
        if "namespace" in environment
    ]


@pytest.mark.parametrize(("repository", "environment"), rendered_environments(), ids=lambda v: getattr(v, "name", v))
def test_the_cluster_stores_what_we_wrote(repository: Path, environment: str, tmp_path: Path, namespace: str) -> None:
    manifests, runs = render(repository, environment, tmp_path)
    tekton = [m for m in manifests if m["apiVersion"] == "tekton.dev/v1"]
    # Not made for good: a CronJob would start at the next minute.
    for ours in moved([m for m in manifests if m not in tekton], namespace)["items"]:
        asked = ("create", "--validate=strict", "--dry-run=server", "-o", "json", "-f", "-")
        assert kept(ours, json.loads(kubectl(*asked, given=ours))), ours["kind"]
    kubectl("create", "--validate=strict", "-f", "-", given=moved(tekton, namespace))
    try:
        stored = json.loads(kubectl("get", "tasks.tekton.dev,pipelines.tekton.dev", "-n", namespace, "-o", "json"))
        assert essence(stored["items"]) == essence(tekton)
        for run in moved(runs, namespace)["items"]:
            asked = ("create", "--validate=strict", "--dry-run=server", "-o", "json", "-f", "-")
            assert essence([json.loads(kubectl(*asked, given=run))]) == essence([run])
    finally:
        kubectl("delete", "--ignore-not-found", "-f", "-", given=moved(tekton, namespace))


def kept(written: object, stored: object) -> bool:
    """Whether all that was written is stored; the server's defaults may stand beside it."""
    if isinstance(written, dict) and isinstance(stored, dict):
        return all(key in stored and kept(value, stored[key]) for key, value in written.items())
    if isinstance(written, list) and isinstance(stored, list):
        return len(written) == len(stored) and all(map(kept, written, stored))
    return written == stored


def essence(manifests: Iterable[Manifest]) -> dict[tuple[str, str], Manifest]:
    """What we wrote of each object, by kind and name: not what the server makes up, like uid and generation."""
    return {
        (m["kind"], m["metadata"].get("generateName") or m["metadata"]["name"]): {
            "spec": m["spec"],
            "labels": m["metadata"].get("labels"),
            "annotations": m["metadata"].get("annotations"),
        }
        for m in manifests
    }
