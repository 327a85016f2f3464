"""What no pod could tell is told from outside; logs outlive their pods; the rendered CronJob does both, and folds."""

from __future__ import annotations

import json
import time
from datetime import datetime
from typing import Any

import pytest
import yaml

from tests.e2e import node
from tests.e2e.cluster import kubectl
from tests.e2e.lab import ENV, Lab, Project
from tests.e2e.run import MAIN, SIDECAR, Run, start, wait_for

together = pytest.mark.together
NO_NODE = 'cpu: "4000"'  # no node has so many: its pod never starts


def single(lab: Lab, name: str, task: str, **settings: Any) -> Project:
    """A project with a pipeline `die` of one task `it`."""
    project = lab.project(name, **settings)
    lines = "\n".join(f"    {line}" for line in task.splitlines())
    project.pipeline("die", f"tasks:\n  it:\n{lines}\n")
    return project


def reconcile(project: Project) -> dict[str, Any]:
    """A pass that waits for nobody."""
    found: dict[str, Any] = json.loads(
        project.mlgen("ledger", "reconcile", "--env", ENV, "--grace", "0s", "--format", "json")
    )
    assert found["unfit"] == []
    return found


def check_told_once(run: Run) -> None:
    """What is told is on the branch, and another pass adds nothing but what pods told while they went."""
    assert reconcile(run.project)["records"] == []
    before = run.project.landed()
    again = reconcile(run.project)
    assert (again["records"], again["folded"]["landed"]) == ([], [])
    assert run.project.landed() == before
    assert run.project.spooled() == []


@together
def test_a_run_cancelled_before_its_pod_had_a_node(lab: Lab) -> None:
    run = start(single(lab, "no-node", f"run: sleep 1\n{NO_NODE}"), "die")
    run.pod("it")
    run.stop("Cancelled")
    assert run.settled() == "Cancelled"
    done = reconcile(run.project)
    assert len(done["records"]) == 2
    told = run.told()
    record = told.only("it")
    assert (record["state"], record["reason"], record["exitCode"]) == ("ABORT", "TaskRunCancelled", None)
    assert record["reconciled"] is True
    assert told.run is None
    assert told.reconciled is not None
    assert (told.reconciled["state"], told.reconciled["tasks"]["it"]["status"]) == ("ABORT", "Failed")
    check_told_once(run)
    shown = json.loads(run.project.mlgen("runs", "show", run.name, "--env", ENV, "--format", "json"))
    assert shown["state"] == "ABORT"


@together
def test_a_run_out_of_time_before_its_pod_had_a_node(lab: Lab) -> None:
    run = start(single(lab, "late", f"run: sleep 1\n{NO_NODE}"), "die", timeouts={"pipeline": "8s"})
    assert run.settled() == "PipelineRunTimeout"
    reconcile(run.project)
    told = run.told()
    assert told.only("it")["state"] == "ABORT"
    assert told.reconciled is not None
    check_told_once(run)


@together
def test_an_image_that_cannot_be_pulled(lab: Lab) -> None:
    """Its sidecar may or may not have had the time: either way one record counts, and it is no success."""
    run = start(single(lab, "no-image", "run: sleep 1\nimage: localhost:1/no/such:1"), "die")
    assert run.settled() == "Failed"
    reconcile(run.project)
    told = run.told()
    assert {record["state"] for record in told.of("it")} <= {"FAIL", "ABORT"}
    assert told.statuses()[1] == {"it": "Failed"}
    assert told.reconciled is None, "the finally task told of the run"
    check_told_once(run)


@together
def test_a_pipeline_that_is_not_there(lab: Lab) -> None:
    project = single(lab, "no-pipeline", "run: sleep 1")
    kubectl("delete", "pipeline", "die", "-n", project.name)
    run = start(project, "die")
    wait_for("Tekton to give the run up", lambda: run.status().get("completionTime"))
    reconcile(project)
    told = run.told()
    assert told.executions == []
    assert told.reconciled is not None
    assert (told.reconciled["state"], told.reconciled["tasks"]) == ("FAIL", {})
    check_told_once(run)


@together
def test_a_node_that_is_lost(lab: Lab) -> None:
    """Nothing of the pod ends in peace: its sidecar and its program are killed, and the pod is no more."""
    run = start(single(lab, "lost", "run: echo begun; sleep 600"), "die")
    pod = run.says("it", "begun")
    node.kill_container(pod, SIDECAR)
    run.stop("Cancelled")
    at = ("-n", run.project.name, "--force", "--grace-period=0", "--ignore-not-found")
    kubectl("delete", "pod", pod["metadata"]["name"], *at)
    run.settled()
    # Tekton may end the run before its task.
    wait_for("a pass that tells of the task", lambda: reconcile(run.project) and run.told().of("it"))
    record = run.told().only("it")
    assert (record["state"], record["attempt"], record["exitCode"]) == ("ABORT", 0, None)
    assert record["params"] == {}
    check_told_once(run)


@together
def test_a_pod_that_holds_on_after_a_retry(lab: Lab) -> None:
    """In exec form no sidecar notices that the kernel took a program with its entrypoint; Tekton does, and goes on."""
    script = "case $(hostname) in *-retry1) ;; *) tail /dev/zero;; esac"
    run = start(single(lab, "holds-on", f'run: [sh, -c, "{script}"]\nretries: 1'), "die")
    assert run.done() == "Succeeded"
    reconcile(run.project)
    run.settled()
    check_retried(run)


@together
def test_a_pod_that_waits_for_a_step_that_was_killed(lab: Lab) -> None:
    """In exec form, and by somebody else than the kernel: Tekton waits as long as the task may take."""
    run = start(single(lab, "stuck", 'run: [sh, -c, "echo begun; sleep 600"]'), "die")
    first = run.says("it", "begun")
    node.kill_container(first, MAIN)
    uid = first["metadata"]["uid"]
    wait_for("the pod to be deleted", lambda: reconcile(run.project)["deleted"], seconds=120)
    # Tekton fails the task, or executes it anew: that of a pod that was lost.
    wait_for("the end of the pod", lambda: uid not in {pod["metadata"]["uid"] for pod in run.pods()})
    run.stop("Cancelled")
    run.settled()
    reconcile(run.project)
    states = {record["tekton"]["podUid"]: record["state"] for record in run.told().of("it")}
    assert states[uid] in ("ABORT", "FAIL")
    check_told_once(run)


def check_retried(run: Run) -> None:
    told = run.told()
    assert [(r["attempt"], r["state"]) for r in told.of("it")][-1] == (1, "COMPLETE")
    first = [r for r in told.of("it") if r["attempt"] == 0]
    assert first
    assert {r["state"] for r in first} <= {"FAIL", "ABORT"}
    check_told_once(run)


@together
def test_logs_outlive_their_pods(lab: Lab) -> None:
    # A while before its end: a busy node may lose what a program prints with its last breath.
    project = single(lab, "logs", "run: echo said; echo aside >&2; seq 20000; sleep 3; exit 7\nout: {x: model}")
    run = start(project, "die")
    assert run.settled() == "Failed"
    pod = run.pod("it")
    printed = run.log(pod)
    assert {"said", "aside"} <= set(printed.splitlines()), "wherever they came: the node reads two pipes"
    done = reconcile(project)
    key = f"_logs/{run.uid}/it-0.{pod['metadata']['uid'][:8]}.log"
    assert key in done["logs"]
    kubectl("delete", "pods", "--all", "-n", project.name)
    assert project.mlgen("logs", run.name, "it", "--env", ENV).startswith(printed)
    kubectl("delete", "pipelinerun", run.name, "-n", project.name)
    assert project.mlgen("logs", run.name, "it", "--env", ENV).startswith(printed)
    assert reconcile(project)["runs"] == 0
    assert project.keys("_ledger/settled") == [], "marks go with their runs"


@together
def test_the_rendered_account_may_do_no_more(lab: Lab) -> None:
    project = single(lab, "rights", "run: sleep 1")
    who = f"system:serviceaccount:{project.name}:mlgen-ledger-{ENV}"
    allowed = {
        ("list", "pipelineruns.tekton.dev"), ("list", "taskruns.tekton.dev"), ("list", "pods"), ("delete", "pods"),
        ("get", "pods/log"),
    }  # fmt: skip
    kinds = ("pipelineruns.tekton.dev", "taskruns.tekton.dev", "pods", "pods/log", "pods/exec", "secrets", "configmaps")
    asked = [(verb, kind) for kind in kinds for verb in ("get", "list", "create", "patch", "delete")]
    found = {(verb, kind) for verb, kind in asked if can(verb, kind, project.name, who)}
    assert found == allowed
    assert not can("list", "pods", "default", who)


def can(verb: str, kind: str, namespace: str, who: str) -> bool:
    resource, _, sub = kind.partition("/")
    given = {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SubjectAccessReview",
        "spec": {
            "user": who,
            "resourceAttributes": {
                "verb": verb,
                "namespace": namespace,
                "group": resource.partition(".")[2],
                "resource": resource.partition(".")[0],
                "subresource": sub,
            },
        },
    }
    answer = json.loads(kubectl("create", "-o", "json", "-f", "-", given=given))
    return bool(answer["status"]["allowed"])


@pytest.mark.parametrize(("fold", "count", "seconds"), [("cron", 10, 90), ("run", 10, 90), ("task", 30, 30)])
def test_a_run_of_many_tasks_is_on_the_branch_soon(lab: Lab, fold: str, count: int, seconds: int) -> None:
    project = lab.project(f"many-{fold}", fold=fold)
    tasks = "\n".join(f"  t{n}: {{run: 'echo {n} > \"$x\"', out: {{x: integer}}}}" for n in range(count))
    project.pipeline("many", f"tasks:\n{tasks}\n")
    file = project.root / "tekton" / ENV / "manifests" / f"cronjob-mlgen-ledger-{ENV}.yaml"
    kubectl("apply", "-f", "-", given=yaml.safe_load(file.read_text()))
    run = start(project, "many")
    # Many pods at once on few cores.
    ended = wait_for("the end of the run", lambda: run.status().get("completionTime"), seconds=900)
    wait_for("its records and run.json", lambda: len(project.landed()) == count + 1, seconds=seconds)
    assert time.time() - datetime.fromisoformat(ended).timestamp() <= seconds + 10  # of looking
    told = run.told()
    assert len({record["task"] for record in told.executions}) == len(told.executions) == count
    assert told.statuses()[0] == "COMPLETE"
    assert not [record for record in told.executions if record.get("reconciled")]
