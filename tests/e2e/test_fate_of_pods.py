"""What is done to a run or its pods from outside leaves one true record of each execution as well."""

from __future__ import annotations

import pytest

from mlgen import git
from mlgen.ledger.index.history import read
from tests.e2e import node
from tests.e2e.cluster import kubectl
from tests.e2e.fates import failed, single
from tests.e2e.lab import ENV, Lab
from tests.e2e.proxy import Verdict
from tests.e2e.run import SIDECAR, Run, start, wait_for
from tests.e2e.settings import need

pytestmark = pytest.mark.together

LEAVES = 'run: |\n  echo begun\n  sleep 15\n  hostname > "$x"\nout: [x]'
TWO_TASKS = """
tasks:
  it: {run: "echo begun; sleep 600; echo x > $x", out: [x], timeout: 15m}
  later: {run: cat $x, in: [it.x]}
finally:
  tell: {run: echo bye}
"""


def test_cancelled(lab: Lab) -> None:
    """Nobody of the run is left to write run.json: that is for `ledger reconcile`."""
    run = stopped(lab, "cancelled", "Cancelled")
    assert run.settled() == "Cancelled"
    told = run.told()
    assert told.only("it")["state"] == "ABORT"
    assert told.of("later") == told.of("tell") == []
    assert told.run is None
    run.reconcile()
    again = run.told()
    assert again.executions == told.executions
    assert again.reconciled is not None
    assert again.reconciled["state"] == "ABORT"


def test_cancelled_with_finally(lab: Lab) -> None:
    run = stopped(lab, "cancelled-finally", "CancelledRunFinally")
    assert run.settled() == "Cancelled"
    told = run.told()
    assert told.only("it")["state"] == "ABORT"
    assert told.of("later") == []
    assert told.only("tell")["state"] == "COMPLETE"
    assert told.statuses() == ("ABORT", {"it": "Failed", "later": "None"})


def test_stopped_with_finally(lab: Lab) -> None:
    """What runs may end by itself; what has not begun does not begin."""
    run = stopped(lab, "stopped-finally", "StoppedRunFinally", seconds=25)
    assert run.settled() == "Cancelled"
    told = run.told()
    assert told.only("it")["state"] == "COMPLETE"
    assert told.of("later") == []
    assert told.only("tell")["state"] == "COMPLETE"
    assert told.statuses()[1] == {"it": "Succeeded", "later": "None"}


def test_a_pipeline_that_takes_too_long(lab: Lab) -> None:
    project = lab.project("run-timeout")
    project.pipeline("die", TWO_TASKS)
    run = start(project, "die", timeouts={"pipeline": "90s"})
    assert run.settled() == "PipelineRunTimeout"
    run.reconcile()
    told = run.told()
    assert told.only("it")["state"] == "ABORT"
    assert told.run is None
    assert told.reconciled is not None


def test_tasks_that_take_too_long_leave_time_for_finally(lab: Lab) -> None:
    project = lab.project("tasks-timeout")
    project.pipeline("die", TWO_TASKS)
    run = start(project, "die", timeouts={"pipeline": "5m", "tasks": "90s", "finally": "3m30s"})
    run.says("it", "begun")
    run.settled()
    told = run.told()
    assert told.only("it")["state"] == "ABORT"
    assert told.only("tell")["state"] == "COMPLETE"
    state, tasks = told.statuses()
    assert state in ("FAIL", "ABORT")
    assert tasks == {"it": "Failed", "later": "None"}


def test_a_pod_that_is_deleted_starts_again(lab: Lab) -> None:
    """Two executions of one TaskRun and attempt, so two records, of which the last counts."""
    run = single(lab, "deleted", LEAVES)
    delete(run, "--grace-period=0", "--force")  # otherwise Tekton may see the pod fail before it is gone
    assert run.settled() == "Succeeded"
    told = run.told()
    first, second = told.of("it")
    assert (first["state"], second["state"]) == ("ABORT", "COMPLETE")
    assert first["attempt"] == second["attempt"] == 0
    assert first["tekton"]["taskRunUid"] == second["tekton"]["taskRunUid"]
    assert first["tekton"]["podUid"] != second["tekton"]["podUid"]
    run.bytes_of(second["outputs"]["x"])
    assert told.statuses() == ("COMPLETE", {"it": "Succeeded"})

    project = run.project
    project.mlgen("ledger", "fold", "--env", ENV)
    project.landed()
    [seen] = read(git.discover(project.root), project.name).runs
    assert [e.record.run_id for e in seen.outcomes] == [second["runId"]]


def test_a_pod_that_is_deleted_in_good_time(lab: Lab) -> None:
    """Tekton starts it again, or sees it fail first."""
    run = single(lab, "deleted-softly", LEAVES)
    delete(run)
    ended_or_started_again(run)


def test_a_pod_that_is_evicted_by_request(lab: Lab) -> None:
    run = single(lab, "evicted", LEAVES)
    pod = run.says("it", "begun")["metadata"]
    eviction = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {k: pod[k] for k in ("name", "namespace")}}
    path = f"/api/v1/namespaces/{pod['namespace']}/pods/{pod['name']}/eviction"
    kubectl("create", "--raw", path, "-f", "-", given=eviction)
    ended_or_started_again(run)


def test_a_pod_that_fills_its_disk_is_evicted(lab: Lab) -> None:
    """The kubelet looks each ten seconds, and gives such a pod one second."""
    run = single(lab, "full-disk", "run: |\n  head -c 60m /dev/zero > $x\n  sleep 600\nout: [x]\ndisk: 20Mi")
    assert run.settled() == "Failed"
    run.reconcile()
    told = run.told()
    record = told.only("it")
    assert record["state"] in ("ABORT", "FAIL")
    assert record["outputs"] == {}
    assert told.statuses() == ("FAIL", {"it": "Failed"})


def test_a_sidecar_that_is_killed(lab: Lab) -> None:
    """Tekton fails such a task, and so does the record that stage-out makes in its place."""
    run = single(lab, "sidecar", 'run: |\n  echo begun\n  sleep 10\n  echo x > "$x"\nout: [x]')
    node.kill_container(run.says("it", "begun"), SIDECAR)
    assert run.settled() == "Failed"
    record = failed(run)
    assert (record["exitCode"], record["reason"]) == (0, "SidecarFailed")


def test_a_sidecar_that_is_killed_where_the_program_fails(lab: Lab) -> None:
    run = single(lab, "sidecar-fail", "run: |\n  echo begun\n  sleep 10\n  exit 7\nout: [x]")
    node.kill_container(run.says("it", "begun"), SIDECAR)
    run.settled()
    assert failed(run)["exitCode"] == 7


@pytest.mark.parametrize("step", ["stage-in", "stage-out"])
def test_a_step_of_ours_that_is_killed(lab: Lab, step: str) -> None:
    """In the middle of its work, which a bucket that hangs makes long."""
    proxy = lab.proxy(need("MLGEN_E2E_S3_ENDPOINT"))
    proxy.fault = lambda method, path: Verdict.HANG if path.endswith(("/x", "/raw")) else Verdict.PASS
    project = lab.project(f"killed-{step}", s3=proxy.url)
    project.pipeline(
        "die",
        f"inputs: {{raw: {project.artifacts}/raw}}\ntasks: {{it: {{run: cp $raw $x, in: [inputs.raw], out: [x]}}}}"
        if step == "stage-in"
        else "tasks: {it: {run: echo 1 > $x, out: [x]}}",
    )
    run = start(project, "die")
    wait_for("the step's request", lambda: Verdict.HANG in [verdict for _, _, verdict in proxy.seen])
    node.kill_container(run.pod("it"), f"step-{step}")
    assert run.settled() == "Failed"
    proxy.heal()
    assert step in failed(run)["error"]


def stopped(lab: Lab, name: str, how: str, *, seconds: int = 600) -> Run:
    """A run of two tasks that is asked to stop while the first runs, which takes so many seconds."""
    project = lab.project(name)
    project.pipeline("die", TWO_TASKS.replace("600", str(seconds)))
    run = start(project, "die")
    run.says("it", "begun")
    run.stop(how)
    return run


def delete(run: Run, *how: str) -> None:
    """Delete the pod, once its program runs."""
    pod = run.says("it", "begun")["metadata"]["name"]
    kubectl("delete", "pod", pod, "-n", run.project.name, "--wait=false", *how)


def ended_or_started_again(run: Run) -> None:
    """One record for each execution, as many as there were; the last says what Tekton says."""
    reason = run.settled()
    first, *others = run.told().of("it")
    assert first["state"] == "ABORT"
    assert [e["state"] for e in others] == (["COMPLETE"] if reason == "Succeeded" else [])
    state, _ = run.told().statuses()
    assert state == ("COMPLETE" if reason == "Succeeded" else "FAIL")
