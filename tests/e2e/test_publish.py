"""Code and files of a repository in pods: told how to be had where they were not published, there where they were."""

from __future__ import annotations

import json

import pytest

from tests.e2e.lab import ENV, Lab
from tests.e2e.run import start

pytestmark = pytest.mark.together


def test_what_is_not_published_says_how_and_then_is(lab: Lab) -> None:
    project = lab.project("publish")
    for name, text in {"src/greet.sh": 'echo "hello, $(cat "$whom")"\n', "data/whom.txt": "you\n"}.items():
        (project.root / name).parent.mkdir(parents=True)
        (project.root / name).write_text(text)
    tasks = "tasks: {greet: {run: 'sh greet.sh > $said', code: src, in: [inputs.whom], out: [said]}}\n"
    project.pipeline("greet", "inputs: {whom: data/whom.txt}\n" + tasks)

    run = start(project, "greet")
    assert run.settled() == "Failed"
    record = run.told().only("greet")
    assert record["state"] == "FAIL"
    assert f"mlgen publish --env {ENV}" in record["error"]
    assert f"{project.artifacts}/_code/" in record["error"]

    published = json.loads(project.mlgen("publish", "--env", ENV, "--format", "json"))
    assert [item["kind"] for item in published["uploaded"]] == ["code", "input"]
    run = start(project, "greet")
    assert run.settled() == "Succeeded"
    assert run.bytes_of(run.told().only("greet")["outputs"]["said"]) == b"hello, you\n"
