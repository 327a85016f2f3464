"""The CronJob of a schedule on a real cluster: a time's run is made once, by a pod that may do no more than that."""

from __future__ import annotations

import json
from typing import Any

import pytest
import yaml

from tests.e2e.cluster import kubectl
from tests.e2e.lab import ENV, Lab
from tests.e2e.run import wait_for

pytestmark = pytest.mark.together

SPEC = """
schedule:
  - {cron: "0 3 1 1 *", zone: Europe/Berlin, params: {since: {scheduled: date}, word: 'a $b'}}
  - {cron: "30 4 1 1 *", concurrency: allow, catch_up: 2h, params: {since: {scheduled: time}}}
params: {since: {type: string}, word: none}
tasks:
  tell: {run: 'echo "$since $word"; echo "$since" > "$day"', in: [params.since, params.word], out: {day: string}}
"""


def test_a_time_is_one_run_by_a_pod_that_may_do_no_more(lab: Lab) -> None:
    project = lab.project("schedule")
    project.pipeline("early", SPEC)
    files = sorted((project.root / "tekton" / ENV / "manifests").glob("cronjob-early-*.yaml"))
    crons = [yaml.safe_load(file.read_text()) for file in files]
    kubectl("apply", "-f", "-", given={"apiVersion": "v1", "kind": "List", "items": crons})
    for cron in crons:  # as the cluster stores it: nothing was dropped or written otherwise
        name = cron["metadata"]["name"]
        stored = json.loads(kubectl("get", "cronjob", name, "-n", project.name, "-o", "json"))
        assert cron["spec"].items() <= {**stored["spec"], "jobTemplate": cron["spec"]["jobTemplate"]}.items()
    forbid = next(cron for cron in crons if cron["spec"]["concurrencyPolicy"] == "Forbid")["metadata"]["name"]
    allow = next(cron for cron in crons if cron["spec"]["concurrencyPolicy"] == "Allow")["metadata"]["name"]

    said = [_job(project.name, forbid, f"by-hand-{at}") for at in range(2)]
    _job(project.name, allow, "another")

    runs = {one["metadata"]["name"]: one for one in _runs(project.name)}
    assert len(runs) == 2
    [dated] = [name for name in runs if name.endswith("-01-01")]
    assert f"{dated} is started, for " in said[0]
    assert f"{dated} is there already, for " in said[1]
    given = {param["name"]: param["value"] for param in runs[dated]["spec"]["params"]}
    assert given == {"since": dated[-10:], "word": "a $$b"}
    assert runs[dated]["metadata"]["labels"]["mlgen.dev/schedule"] == forbid
    assert runs[dated]["metadata"]["annotations"]["mlgen.dev/scheduled-for"].endswith("-01-01T02:00:00Z")

    account = f"mlgen-start-early-{ENV}"
    assert _may(project.name, account) == {"create", "list"}
    assert _allowed(project.name, account, "get", "secrets") is False
    assert _allowed(project.name, account, "create", "pods") is False

    wait_for("the end of the run", lambda: _ended(project.name, dated))
    project.mlgen("ledger", "reconcile", "--env", ENV)
    shown = json.loads(project.mlgen("runs", "show", dated, "--env", ENV, "--format", "json"))
    assert shown["state"] == "COMPLETE"
    assert shown["params"] == {"since": dated[-10:], "word": "a $b"}
    # By the same names: what the cluster has started, nobody starts again.
    again = json.loads(project.mlgen("run", "--due", "--env", ENV, "--since", _new_year(dated), "--format", "json"))
    assert {(one["run"], one["did"]) for one in again["due"]} == {(name, "known") for name in runs}


def _job(namespace: str, cron: str, name: str) -> str:
    """What the pod of a Job said that was made from a CronJob."""
    kubectl("create", "job", f"--from=cronjob/{cron}", name, "-n", namespace)
    kubectl("wait", f"job/{name}", "-n", namespace, "--for=condition=Complete", "--timeout=240s", timeout_seconds=260)
    return kubectl("logs", f"job/{name}", "-n", namespace)


def _runs(namespace: str) -> list[Any]:
    found: list[Any] = json.loads(kubectl("get", "pipelineruns", "-n", namespace, "-o", "json"))["items"]
    return found


def _ended(namespace: str, run: str) -> bool:
    return any(one["metadata"]["name"] == run and one["status"].get("completionTime") for one in _runs(namespace))


def _new_year(run: str) -> str:
    return f"{run[-10:-6]}-01-01"


def _may(namespace: str, account: str) -> set[str]:
    verbs = ("get", "list", "watch", "create", "update", "patch", "delete", "deletecollection")
    return {verb for verb in verbs if _allowed(namespace, account, verb, "pipelineruns.tekton.dev")}


def _allowed(namespace: str, account: str, verb: str, kind: str) -> bool:
    """Asked of the server, which answers for others to whoever may ask."""
    group = "tekton.dev" if "." in kind else ""
    review = {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SubjectAccessReview",
        "spec": {
            "user": f"system:serviceaccount:{namespace}:{account}",
            "groups": ["system:serviceaccounts", f"system:serviceaccounts:{namespace}", "system:authenticated"],
            "resourceAttributes": {
                "namespace": namespace,
                "verb": verb,
                "group": group,
                "resource": kind.partition(".")[0],
            },
        },
    }
    answer = kubectl("create", "-f", "-", "-o", "json", given=review)
    return bool(json.loads(answer)["status"]["allowed"])
