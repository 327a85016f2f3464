"""Runs never touch each other's bytes, and pods are no one in particular."""

from __future__ import annotations

import json
import subprocess

import obstore
import pytest

from tests.e2e.cluster import BUSYBOX
from tests.e2e.fates import pipeline
from tests.e2e.lab import Lab, Project
from tests.e2e.run import start

pytestmark = pytest.mark.together

FOLDER_AND_FILE = """
tasks:
  it:
    run: |
      hostname > "$x"
      mkdir -p "$all/deep"
      hostname > "$all/deep/name"
      echo same > "$all/same"
    out: {x: file, all: dataset}
  copy:
    run: cat "$all/deep/name" > "$y"
    in: [it.all]
    out: {y: file}
"""


def test_runs_at_once_and_again_never_touch_each_other_s_bytes(lab: Lab) -> None:
    project = lab.project("two-runs")
    project.pipeline("twice", FOLDER_AND_FILE)
    first, second = start(project, "twice"), start(project, "twice")
    for run in (first, second):
        assert run.settled() == "Succeeded"
    before = artifacts(project)
    again = start(project, "twice")
    assert again.settled() == "Succeeded"
    after = artifacts(project)
    assert before.items() <= after.items()
    assert len(after) == len(before) * 3 // 2

    for run in (first, second, again):
        told = run.told()
        made = told.only("it")["outputs"]
        assert made["x"]["uri"].startswith(f"{project.artifacts}/twice/{run.name}/it.")
        assert run.bytes_of(told.only("copy")["outputs"]["y"]) == run.bytes_of(made["x"])
        assert run.name.encode() in run.bytes_of(made["x"])


def artifacts(project: Project) -> dict[str, tuple[str, bytes]]:
    """Key -> when it was written, and the bytes, of every artifact of the project."""
    return {
        key: (
            str(obstore.head(project.bucket(), key)["last_modified"]),
            bytes(obstore.get(project.bucket(), key).bytes()),
        )
        for key in project.keys("twice")
    }


@pytest.mark.parametrize("form", ["script", "exec"])
def test_an_image_that_knows_no_such_user(lab: Lab, form: str) -> None:
    """Its program has a home and a place for temporary files, and may write to the working directory."""
    project = lab.project(f"user-{form}", settings={"user": 12345})
    script = 'id -u > "$x"; touch "$HOME/a" "$TMPDIR/b" && ls "$HOME" "$TMPDIR" >> "$x"'
    command = script if form == "script" else ["sh", "-c", script]
    pipeline(project, f"run: {json.dumps(command)}\nout: [x]")
    run = start(project, "die")
    assert run.settled() == "Succeeded"
    text = run.bytes_of(run.told().only("it")["outputs"]["x"]).decode()
    assert text.splitlines()[0] == "12345"
    assert {"a", "b"} <= set(text.split())


def test_the_namespaces_of_these_tests_take_no_other_pods(lab: Lab) -> None:
    """What runs in them obeys Pod Security `restricted`: a pod that does not is refused."""
    project = lab.project("restricted")
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "free", "namespace": project.name},
        "spec": {"containers": [{"name": "free", "image": BUSYBOX}]},
    }
    done = subprocess.run(
        ["kubectl", "create", "-f", "-"], input=json.dumps(pod), capture_output=True, text=True, timeout=60, check=False
    )
    assert "violates PodSecurity" in done.stderr
