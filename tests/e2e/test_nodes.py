"""Tasks on several nodes in a cluster: pods that meet, end together, and leave one record."""

from __future__ import annotations

import json
import re
import subprocess
import sys

import pytest

from tests.e2e.cluster import ROOT, kubectl
from tests.e2e.lab import ENV, Lab
from tests.e2e.run import MAIN, Run, start
from tests.e2e.settings import need

pytestmark = pytest.mark.together

FAILS = """
tasks:
  train:
    nodes: 3
    run: |
      echo "rank $MLGEN_NODE_RANK begins"
      if [ "$MLGEN_NODE_RANK" = 2 ]; then sleep 3; exit 7; fi
      exec sleep 600
"""
AGAIN = """
tasks:
  train:
    nodes: 2
    run: 'echo "begins"; sleep 15; echo "$MLGEN_NODE_RANK" > "$rank"'
    out: {rank: integer}
    retries: 2
  after:
    run: 'echo "rank $rank"'
    in: [train.rank]
"""
STAYS = """
tasks:
  train:
    nodes: 2
    run: 'echo begins; exec sleep 600'
"""


def block(language: str) -> str:
    guide = (ROOT / "generator/guides/nodes.md").read_text()
    found = re.search(rf"^```{language}\n(.*?)^```$", guide, re.DOTALL | re.MULTILINE)
    assert found is not None
    return found[1]


def others(run: Run) -> list[str]:
    """The names of the pods of other ranks than 0 that there are."""
    return [pod["metadata"]["name"] for pod in run.pods("train-n")]


def test_the_guides_sum_is_the_same_record_as_here(lab: Lab) -> None:
    project = lab.project("sum", fold="task")
    (project.root / "code").mkdir()
    (project.root / "code" / "add.py").write_text(block("python"))
    image = f"    image: {need('MLGEN_E2E_PYTHON_IMAGE')}\n    cpu: 10m\n    memory: 64Mi\n"
    project.pipeline("sum", block("yaml").partition("name: sum\n")[2] + image)
    found = {}
    for name, where in (("here", []), ("there", ["--env", ENV])):
        done = subprocess.run(
            [sys.executable, "-m", "mlgen", "run", "pipelines/sum.yaml", "--name", name, *where],
            cwd=project.root, env=project.environ(), capture_output=True, text=True, timeout=400, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        told = json.loads(project.mlgen("runs", "show", name, *where, "--format", "json"))
        (record,) = told["records"]
        facet = record["run"]["facets"]["mlgen_task"]
        found[name] = {
            key: facet[key] for key in ("task", "attempt", "state", "exitCode", "reason", "values", "params")
        }
        assert {task["status"] for task in told["tasks"].values()} == {"Succeeded"}
    assert found["there"] == found["here"]
    assert found["there"]["values"] == {"total": 30}
    logs = project.mlgen("logs", "there", "add", "--env", ENV)
    for rank, node in enumerate(("add", "add[1]", "add[2]")):
        assert f"== {node}, attempt 1 ==\nrank {rank} of 3 is done" in logs
    assert "is done" in project.mlgen("logs", "there", "add[2]", "--env", ENV)
    pods = json.loads(kubectl("get", "pods", "-n", project.name, "-o", "json"))["items"]
    assert len([p for p in pods if p["metadata"]["labels"].get("mlgen.dev/task") == "add"]) == 3
    project.mlgen("ledger", "reconcile", "--env", ENV, "--grace", "1s")
    project.mlgen("ledger", "verify", "--env", ENV, "--cluster")


def test_the_first_that_fails_ends_all(lab: Lab) -> None:
    project = lab.project("node-fails")
    project.pipeline("group", FAILS)
    run = start(project, "group")
    assert run.settled() == "Failed"
    told = run.told()
    record = told.only("train")
    assert (record["state"], record["reason"], record["exitCode"]) == ("FAIL", "StepFailed", 7)
    assert record["error"] == "node 2 of 3: the program ended with exit code 7; the others were ended"
    assert told.statuses() == ("FAIL", {"train": "Failed"})
    logs = project.mlgen("logs", run.name, "--env", ENV)
    assert "rank 0 begins" in logs
    assert "rank 2 begins" in logs
    assert "node 2 of 3: the program ended with exit code 7" in logs


@pytest.mark.parametrize("rank", [0, 1])
def test_a_pod_that_is_deleted_ends_all_and_all_go_again(lab: Lab, rank: int) -> None:
    project = lab.project(f"node-gone-{rank}")
    project.pipeline("group", AGAIN)
    run = start(project, "group")
    pod = run.says("train-n" if rank else "train", "begins")
    kubectl("delete", "pod", "-n", project.name, pod["metadata"]["name"], "--wait=false")
    assert run.settled() in ("Completed", "Succeeded")
    told = run.told().of("train")
    assert [record["state"] for record in told[:-1]] in (["FAIL"], ["ABORT"], ["ABORT", "FAIL"], ["FAIL", "FAIL"])
    assert (told[-1]["state"], told[-1]["values"]) == ("COMPLETE", {"rank": 0})
    assert any("pod was" in record["error"] for record in told[:-1])
    assert "rank 0" in run.log(run.pod("after"), MAIN)


def test_a_run_that_is_cancelled_leaves_no_pod(lab: Lab) -> None:
    project = lab.project("node-cancel")
    project.pipeline("group", STAYS)
    run = start(project, "group")
    run.says("train", "begins")
    run.says("train-n", "begins")
    run.stop("CancelledRunFinally")
    assert run.settled() == "Cancelled"
    assert run.told().only("train")["state"] == "ABORT"
    assert others(run) == [] or all(pod["status"]["phase"] != "Running" for pod in run.pods("train-n"))
