"""`mlgen ledger verify` of what pods, a bucket, a Git server and Tekton left: no false alarm, and a true one."""

from __future__ import annotations

import json
from typing import Any

import obstore
import pytest

from tests.e2e.lab import ENV, Lab, Project
from tests.e2e.run import start

SPEC = """\
tasks:
  make:
    run: echo bytes > "$one" && mkdir -p "$many/sub" && echo a > "$many/a" && echo b > "$many/sub/b"
    out: {one: dataset, many: directory}
  use:
    run: test "$(cat "$one")" = bytes && cat "$many/sub/b" > "$copy"
    in: [make.one, make.many]
    out: {copy: file}
  fail:
    run: exit 7
    retries: 1
finally:
  tell: {run: "true"}
"""


def verify(project: Project, *options: str, exit_code: int = 0) -> Any:
    return json.loads(
        project.mlgen("ledger", "verify", "--env", ENV, *options, "--format", "json", exit_code=exit_code)
    )


@pytest.mark.together
def test_a_run_of_pods_is_right_until_somebody_alters_its_bytes(lab: Lab) -> None:
    project = lab.project("verify")
    project.pipeline("mixed", SPEC)
    run = start(project, "mixed")
    run.settled()
    project.mlgen("ledger", "reconcile", "--env", ENV, "--grace", "0s")
    found = verify(project, "--artifacts", "--cluster", "--grace", "0s")
    assert found["findings"] == []
    assert found["cluster"] == {"runs": 1, "executions": 5, "gone": 0, "unfit": []}
    assert (found["artifacts"]["right"], found["artifacts"]["elsewhere"]) == (3, 0)
    assert found["records"] == 6  # make, use, fail twice, tell, run.json
    [key] = [key for key in project.keys("mixed") if key.endswith("/many/sub/b")]
    obstore.put(project.bucket(), key, b"other\n")
    again = verify(project, "--artifacts", exit_code=1)
    assert [one["code"] for one in again["findings"]] == ["artifact-altered"]
    assert again["chain"] == found["chain"]
