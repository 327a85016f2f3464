"""What pods write into a real ledger: no secret that a program let slip, and the labels that people gave the run."""

from __future__ import annotations

import json

import pytest

from tests.e2e.lab import ENV, Lab

pytestmark = pytest.mark.together

TOKEN = "gl" + "pat-" + "A1b2C3d4E5f6G7h8I9j0"
SPEC = """
owner: risk-team
labels: {cost-center: cc-4411, acme.example/team: risk}
tasks:
  slip:
    run: printf '%s%s' gl pat-A1b2C3d4E5f6G7h8I9j0 > "$said"
    out: {said: string}
  read:
    run: test "$said" = "$(printf '%s%s' gl pat-A1b2C3d4E5f6G7h8I9j0)"
    in: [slip.said]
"""


def test_a_secret_is_handed_on_and_not_recorded(lab: Lab) -> None:
    project = lab.project("secrets")
    project.pipeline("demo", SPEC)
    answer = json.loads(project.mlgen("run", "pipelines/demo.yaml", "--env", ENV, "--format", "json"))
    assert answer["state"] == "COMPLETE"
    landed = project.landed()
    [run] = [data for path, data in landed.items() if path.endswith("/run.json")]
    assert (run["owner"], run["labels"]) == ("risk-team", {"cost-center": "cc-4411", "acme.example/team": "risk"})
    facets = [data["run"]["facets"]["mlgen_task"] for data in landed.values() if "eventType" in data]
    assert {facet["task"]: facet["values"] for facet in facets} == {"slip": {"said": "***"}, "read": {}}
    assert TOKEN not in json.dumps(landed)
    assert project.keys("_ledger/dead") == []
    assert project.spooled() == []


def test_an_edited_label_changes_no_task(lab: Lab) -> None:
    project = lab.project("labels")
    project.pipeline("demo", SPEC)
    folder = project.root / "tekton" / ENV / "manifests"
    before = {file.name: file.read_bytes() for file in folder.glob("task-*.yaml")}
    spec = project.root / "pipelines" / "demo.yaml"
    spec.write_text(spec.read_text().replace("cc-4411", "cc-7").replace("risk-team", "fraud-team"))
    project.apply()
    assert {file.name: file.read_bytes() for file in folder.glob("task-*.yaml")} == before
    answer = json.loads(project.mlgen("run", "pipelines/demo.yaml", "--env", ENV, "--format", "json"))
    [run] = [data for path, data in project.landed().items() if path.endswith("/run.json")]
    assert answer["state"] == "COMPLETE"
    assert (run["owner"], run["labels"]["cost-center"]) == ("fraud-team", "cc-7")
