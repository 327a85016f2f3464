"""Attempts that follow one another in Tekton: which are tried, from where they continue, and what is told of them."""

from __future__ import annotations

import pytest

from tests.e2e.cluster import kubectl
from tests.e2e.fates import single
from tests.e2e.lab import Lab
from tests.e2e.run import start

pytestmark = pytest.mark.together

TWO_ENDS = """
tasks:
  wrong:
    run: exit 2
    retries: {count: 2, on: [infrastructure, 75]}
  busy:
    run: |
      test -e "$state/tried" || { : > "$state/tried"; exit 75; }
    retries: {count: 2, backoff: 1s, on: [75]}
    checkpoint: state
"""
TRAIN = """run: |
  n=$(cat "$state/step" 2>/dev/null || echo 0)
  echo "$n" > "$began"
  while [ "$n" -lt 24 ]; do
    n=$((n + 1)); echo "$n" > "$state/step.tmp"; mv "$state/step.tmp" "$state/step"; echo "step $n"; sleep 1
  done
out: {began: integer}
retries: {count: 3, on: [infrastructure]}
checkpoint: {name: state, every: 2s}"""
ONCE = """run: echo charged; sleep 600
retries: 2
idempotent: false"""


def test_exit_code_2_is_not_tried_again_and_75_is(lab: Lab) -> None:
    project = lab.project("two-ends")
    project.pipeline("ends", TWO_ENDS)
    run = start(project, "ends")
    assert run.settled() == "Failed"
    told = run.told()
    wrong, busy = told.of("wrong"), told.of("busy")
    assert [r["attempt"] for r in wrong] == [0, 1, 2]
    assert {(r["state"], r["reason"], r["exitCode"], r["cause"]) for r in wrong} == {
        ("FAIL", "StepFailed", 2, "program")
    }
    assert all(r["error"].endswith("not tried again: `on` lists only exit code 75 and infrastructure") for r in wrong)
    assert [(r["attempt"], r["state"], r["exitCode"]) for r in busy] == [(0, "FAIL", 75), (1, "COMPLETE", 0)]
    assert told.statuses() == ("FAIL", {"wrong": "Failed", "busy": "Succeeded"})
    log = run.pods("wrong")[-1]
    ended = {s["name"]: s["state"]["terminated"]["exitCode"] for s in log["status"]["containerStatuses"]}
    assert ended["step-stage-in"] == 2
    assert not [key for key in project.keys("_attempts") if "/0/" in key]


def test_a_training_whose_pod_is_deleted_continues(lab: Lab) -> None:
    run = single(lab, "preempted", TRAIN)
    name = run.says("it", "step 8\n")["metadata"]["name"]
    kubectl("delete", "pod", "-n", run.project.name, name, "--wait=false")
    assert run.settled() in ("Completed", "Succeeded")
    told = run.told().of("it")
    assert told[0]["state"] in ("ABORT", "FAIL")
    assert told[-1]["state"] == "COMPLETE"
    assert told[-1]["values"]["began"] >= 6
    assert not [key for key in run.project.keys("_attempts") if "/0/" in key]


def test_what_is_not_idempotent_is_not_run_by_the_pod_that_follows(lab: Lab) -> None:
    run = single(lab, "once", ONCE)
    name = run.says("it", "charged")["metadata"]["name"]
    kubectl("delete", "pod", "-n", run.project.name, name, "--grace-period=0", "--force")
    assert run.settled() == "Failed"
    told = run.told().of("it")
    assert {r["state"] for r in told} <= {"ABORT", "FAIL"}
    assert "not idempotent" in told[-1]["error"]
