"""What is rendered is judged offline as the API server has it when it asks its policies."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from mlgen.policy.containers import RANDOM
from mlgen.policy.filled import UID
from mlgen.policy.stored import stored
from tests.e2e.cluster import kubectl, needs_cluster

pytestmark = needs_cluster
TEKTON = Path(__file__).parents[2] / "tekton"
FILES = sorted(file for folder in ("manifests", "runs") for file in (TEKTON / "prod" / folder).glob("*.yaml"))
MADE = ("uid", "creationTimestamp", "generation", "managedFields")  # what the engine holds for unknown


@pytest.fixture(scope="module")
def namespace() -> Iterator[str]:
    name = f"mlgen-e2e-stored-{uuid.uuid4().hex[:6]}"
    kubectl("create", "namespace", name)
    try:
        yield name
    finally:
        kubectl("delete", "namespace", name, "--wait=false")


def test_what_is_rendered_is_stored_as_it_is_judged(namespace: str) -> None:
    kinds = set()
    for file in FILES:
        data = yaml.safe_load(file.read_text())
        data["metadata"]["namespace"] = namespace
        told = kubectl("create", "--dry-run=server", "-o", "json", "-f", "-", given=data)
        assert _alike(json.loads(told), data) == stored(data), file
        kinds.add(data["kind"])
    assert {"CronJob", "Job", "Pipeline", "PipelineRun", "Task"} <= kinds


def _alike(answer: dict[str, Any], sent: dict[str, Any]) -> dict[str, Any]:
    """The API server's answer without what nobody knows before it, and with the stand-ins for what is random."""
    metadata = answer["metadata"]
    text = json.dumps(answer).replace(metadata["uid"], UID)
    if "name" not in sent["metadata"]:
        text = text.replace(metadata["name"], metadata["generateName"] + RANDOM)
    found: dict[str, Any] = json.loads(text)
    found["metadata"] = {key: value for key, value in found["metadata"].items() if key not in MADE}
    return found
