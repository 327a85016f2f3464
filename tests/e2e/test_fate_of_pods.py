"""What is done to a run or its pods from outside leaves one true record of each execution as well."""

from __future__ import annotations

import pytest

from mlgen import git
from mlgen.ledger.read import read
from tests.e2e import node
from tests.e2e.cluster import kubectl
from tests.e2e.fates import failed, single
from tests.e2e.lab import Lab
from tests.e2e.run import SIDECAR, Run, start

pytestmark = pytest.mark.together

WAITS = 'run: |\n  echo begun\n  sleep 600\n  echo x > "$x"\nout: [x]'
TWO_TASKS = """
tasks:
  it: {run: "echo begun; sleep 20; echo x > $x", out: [x]}
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
    run = stopped(lab, "stopped-finally", "StoppedRunFinally")
    assert run.settled() == "Cancelled"
    told = run.told()
    assert told.only("it")["state"] == "COMPLETE"
    assert told.of("later") == []
    assert told.only("tell")["state"] == "COMPLETE"
    assert told.statuses() == ("ABORT", {"it": "Succeeded", "later": "None"})


def test_a_pipeline_that_takes_too_long(lab: Lab) -> None:
    project = lab.project("run-timeout")
    project.pipeline("die", TWO_TASKS.replace("sleep 20", "sleep 600"))
    run = start(project, "die", timeouts={"pipeline": "25s"})
    assert run.settled() == "PipelineRunTimeout"
    told = run.told()
    assert told.only("it")["state"] == "ABORT"
    assert told.run is None


def test_tasks_that_take_too_long_leave_time_for_finally(lab: Lab) -> None:
    project = lab.project("tasks-timeout")
    project.pipeline("die", TWO_TASKS.replace("sleep 20", "sleep 600"))
    run = start(project, "die", timeouts={"pipeline": "5m", "tasks": "25s", "finally": "4m"})
    run.settled()
    told = run.told()
    assert told.only("it")["state"] == "ABORT"
    assert told.only("tell")["state"] == "COMPLETE"
    state, tasks = told.statuses()
    assert state in ("FAIL", "ABORT")
    assert tasks == {"it": "Failed", "later": "None"}


def test_a_pod_that_is_deleted_starts_again(lab: Lab) -> None:
    """Two executions of one TaskRun and attempt, so two records, of which the last counts."""
    run = single(lab, "deleted", 'run: |\n  echo begun\n  sleep 15\n  hostname > "$x"\nout: [x]')
    pod = run.says("it", "begun")
    delete(run, pod["metadata"]["name"])
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
    project.landed()
    [seen] = read(git.discover(project.root), project.name).runs
    assert [e.record.run_id for e in seen.outcomes] == [second["runId"]]


def test_a_pod_that_is_gone_at_once_starts_again(lab: Lab) -> None:
    """The first execution had no time to say a word."""
    run = single(lab, "gone", 'run: |\n  echo begun\n  sleep 15\n  hostname > "$x"\nout: [x]')
    pod = run.says("it", "begun")
    delete(run, pod["metadata"]["name"], "--grace-period=0", "--force")
    assert run.settled() == "Succeeded"
    last = run.told().of("it")[-1]
    assert last["state"] == "COMPLETE"
    run.bytes_of(last["outputs"]["x"])


def test_a_pod_that_is_evicted_by_request(lab: Lab) -> None:
    run = single(lab, "evicted", 'run: |\n  echo begun\n  sleep 15\n  hostname > "$x"\nout: [x]')
    pod = run.says("it", "begun")["metadata"]
    eviction = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {k: pod[k] for k in ("name", "namespace")}}
    path = f"/api/v1/namespaces/{pod['namespace']}/pods/{pod['name']}/eviction"
    kubectl("create", "--raw", path, "-f", "-", given=eviction)
    assert run.settled() == "Succeeded"
    first, second = run.told().of("it")
    assert (first["state"], second["state"]) == ("ABORT", "COMPLETE")


def test_a_pod_that_fills_its_disk_is_evicted(lab: Lab) -> None:
    """The kubelet looks each ten seconds, and gives such a pod one second."""
    run = single(lab, "full-disk", "run: |\n  head -c 60m /dev/zero > $x\n  sleep 600\nout: [x]\ndisk: 20Mi")
    assert run.settled() == "Failed"
    told = run.told()
    assert len(told.of("it")) <= 1
    assert [e["state"] for e in told.of("it")] in ([], ["ABORT"], ["FAIL"])
    assert told.statuses() == ("FAIL", {"it": "Failed"})


def test_a_sidecar_that_is_killed(lab: Lab) -> None:
    """stage-out does its work, and never waits for ever."""
    run = single(lab, "sidecar", 'run: |\n  echo begun\n  sleep 10\n  echo x > "$x"\nout: [x]')
    node.kill_container(run.says("it", "begun"), SIDECAR)
    run.settled()
    record = run.told().only("it")
    assert record["state"] == "COMPLETE"
    assert run.bytes_of(record["outputs"]["x"]) == b"x\n"


def test_a_sidecar_that_is_killed_where_the_program_fails(lab: Lab) -> None:
    run = single(lab, "sidecar-fail", "run: |\n  echo begun\n  sleep 10\n  exit 7\nout: [x]")
    node.kill_container(run.says("it", "begun"), SIDECAR)
    run.settled()
    assert failed(run)["exitCode"] == 7


def stopped(lab: Lab, name: str, how: str) -> Run:
    """A run of two tasks that is asked to stop while the first runs."""
    project = lab.project(name)
    project.pipeline("die", TWO_TASKS)
    run = start(project, "die")
    run.says("it", "begun")
    run.stop(how)
    return run


def delete(run: Run, pod: str, *how: str) -> None:
    kubectl("delete", "pod", pod, "-n", run.project.name, "--wait=false", *how)
