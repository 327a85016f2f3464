"""Every way to die leaves one true record of each execution, no half artifact, and no pod that stays up."""

from __future__ import annotations

import pytest

from tests.e2e.lab import Lab
from tests.e2e.run import start

pytestmark = pytest.mark.together


def test_success(lab: Lab) -> None:
    project = lab.project("success")
    project.pipeline(
        "ok",
        """
params: {rows: 3}
tasks:
  make:
    run: |
      seq "$rows" > "$data"
      wc -l < "$data" > "$count"
    in: [params.rows]
    out: {data: dataset, count: integer}
  sum:
    run: awk '{s += $1} END {print s}' "$data" > "$total"
    in: [make.data]
    out: {total: metric}
""",
    )
    run = start(project, "ok", rows="4")
    assert run.settled() == "Succeeded"
    told = run.told()
    made = told.only("make")
    assert (made["state"], made["exitCode"], made["attempt"]) == ("COMPLETE", 0, 0)
    assert made["values"] == {"count": 4}
    assert run.bytes_of(made["outputs"]["data"]) == b"1\n2\n3\n4\n"
    assert told.only("sum")["metrics"] == {"total": 10}
    assert told.run is not None
    assert told.run["state"] == "COMPLETE"
    assert {name: task["status"] for name, task in told.run["tasks"].items()} == {
        "make": "Succeeded",
        "sum": "Succeeded",
    }
