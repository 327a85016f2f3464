"""Events on a real cluster with Tekton Triggers: each is one run, its sender knows the secret, its values are texts."""

from __future__ import annotations

import hashlib
import hmac
import json
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import yaml

from tests.e2e.cluster import kubectl
from tests.e2e.lab import ENV, Lab, Project
from tests.e2e.run import wait_for

pytestmark = pytest.mark.together

SECRET = "knows-it"
QUIET_SECONDS = 5  # in which what should start nothing has had its time
Before = tuple[set[str], set[str]]  # names of Jobs and of runs
SPEC = """
on:
  - {event: dev.x, source: /a, params: {word: {data: word}, rows: {data: rows}}}
  - webhook: github
    secret: hooks/github
    events: [push]
    where: {body.ref: refs/heads/main}
    params: {word: {body: after}}
  - {webhook: bearer, secret: hooks/bearer, params: {word: {body: word}}}
  - {object: "s3://ml-data/in/*.csv", params: {word: {object: uri}}}
params: {word: {type: string}, rows: {type: integer, default: 3, maximum: 10}}
tasks:
  tell: {run: 'echo "$rows"; echo "$word" > "$said"', in: [params.word, params.rows], out: {said: string}}
"""
HOSTILE = "$( x) $HOME '\"\\ \u00fc\U0001f600 $$ {}\n]"


def test_events_start_runs(lab: Lab) -> None:
    """One listener for all: it takes half a minute to be there."""
    with _listening(lab) as (project, address):
        _an_object_is_a_param(project, address)
        _who_sends_must_know_the_secret(project, address)
        _an_event_is_one_run(project, address)


def _an_event_is_one_run(project: Project, address: str) -> None:
    before = set(_names(project)), {run["metadata"]["name"] for run in _runs(project)}
    event = {"specversion": "1.0", "id": "1", "source": "/a", "type": "dev.x", "data": {"word": "one", "rows": 4}}
    for _ in range(2):  # told twice
        assert _post(address, event, {"Content-Type": "application/cloudevents+json"}) == 202
    [job, again] = _jobs(project, before, 2)
    said = sorted((_said(project, job), _said(project, again)))
    assert [text.partition(" is ")[2] for text in said] == ["started, for /a 1\n", "there already, for /a 1\n"]
    [run] = _new(project, before)
    given = {param["name"]: param["value"] for param in run["spec"]["params"]}
    assert given == {"word": "one", "rows": "4"}
    name = run["metadata"]["name"]
    wait_for("the end of the run", lambda: _ended(project, name))
    project.mlgen("ledger", "reconcile", "--env", ENV)
    shown = json.loads(project.mlgen("runs", "show", name, "--env", ENV, "--format", "json"))
    assert (shown["state"], shown["params"]) == ("COMPLETE", {"word": "one", "rows": 4})
    # By the same name: what the listener has started, nobody starts again.
    (project.root / "event.json").write_text(json.dumps(event))
    told = json.loads(project.mlgen("run", "--event", "event.json", "--env", ENV, "--format", "json"))
    assert [(one["run"], one["did"]) for one in told["started"]] == [(name, "known")]

    # In binary mode, and as hostile as can be: a value is itself, or starts nothing.
    binary = {"Ce-Specversion": "1.0", "Ce-Type": "dev.x", "Ce-Source": "/a"}
    refused = {"word": {",": 1, ":": "spec"}}, {"word": "$(params.rows)"}, {"word": "x", "rows": 11}, {"word": "\0"}
    for number, data in enumerate(({"word": HOSTILE}, *refused, {"word": "x" * 300_000})):
        assert _post(address, data, {**binary, "Ce-Id": f"b{number}"}) == 202
    jobs = _jobs(project, before, 2 + 1 + len(refused))  # the one of 300 KB is none: the API server refuses it
    texts = [_said(project, job) for job in jobs]
    assert sum("error[bad-event]" in text for text in texts) == len(refused)
    assert {_word(run) for run in _new(project, before)} == {"one", HOSTILE.replace("$", "$$")}
    [hostile] = [run["metadata"]["name"] for run in _new(project, before) if run["metadata"]["name"] != name]
    wait_for("the end of the run", lambda: _ended(project, hostile))
    project.mlgen("ledger", "reconcile", "--env", ENV)
    shown = json.loads(project.mlgen("runs", "show", hostile, "--env", ENV, "--format", "json"))
    assert (shown["state"], shown["params"]["word"]) == ("COMPLETE", HOSTILE)
    [value] = [record["run"]["facets"]["mlgen_task"]["values"] for record in shown["records"]]
    assert value == {"said": HOSTILE}


def _who_sends_must_know_the_secret(project: Project, address: str) -> None:
    before = set(_names(project)), {run["metadata"]["name"] for run in _runs(project)}
    push = {"ref": "refs/heads/main", "after": "c0ffee"}
    key = {"Idempotency-Key": "k1"}
    for wrong in ("", "wrong", SECRET + "x"):
        _post(address, push, _signed(push, wrong, "d0"))
        _post(address, {"word": "w"}, {**key, "Authorization": f"Bearer {wrong}"})
    _post(address, {"word": "w"}, key)
    _post(address, push | {"ref": "refs/heads/other"}, _signed(push | {"ref": "refs/heads/other"}, SECRET, "d1"))
    _post(address, {"word": "w"}, {"Authorization": f"Bearer {SECRET}"})  # and does not say which event it is
    _post(address, push, _signed(push, SECRET, "d2"))
    _post(address, {"word": "w"}, {**key, "Authorization": f"Bearer {SECRET}"})
    for job in _jobs(project, before, 2):
        _said(project, job)
    assert sorted(_word(run) for run in _new(project, before)) == ["c0ffee", "w"]


def _an_object_is_a_param(project: Project, address: str) -> None:
    before: Before = (set(), set())
    keys = ["in/a%20b.csv", "in/c.csv", "in/deep/d.csv", "out/e.csv", "in/%zz.csv"]
    records: list[Any] = [
        {
            "eventName": "s3:ObjectCreated:Put",
            "s3": {"bucket": {"name": "ml-data"}, "object": {"key": key, "eTag": "e"}},
        }
        for key in keys
    ]
    removed = {**records[1], "eventName": "s3:ObjectRemoved:Delete"}
    _post(address, {"Records": [removed]}, {})
    _post(address, {"Records": [*records, 3, {"s3": None}]}, {})
    [job] = _jobs(project, before, 1)
    assert _said(project, job).count(" is started, for ml-data in/") == 2
    assert {_word(run) for run in _new(project, before)} == {"s3://ml-data/in/a b.csv", "s3://ml-data/in/c.csv"}


@contextmanager
def _listening(lab: Lab) -> Iterator[tuple[Project, str]]:
    """A project whose listener answers, and its address. Skips where the cluster has no Tekton Triggers."""
    if "eventlisteners.triggers.tekton.dev" not in kubectl("get", "crds", "-o", "name"):
        pytest.skip("needs Tekton Triggers in the cluster: there is no kind EventListener")
    project = lab.project("events", settings={"triggers": {}})
    literals = [f"--from-literal={key}={SECRET}" for key in ("github", "bearer")]
    kubectl("create", "secret", "generic", "hooks", "-n", project.name, *literals)
    project.pipeline("told", SPEC)
    files = sorted((project.root / "tekton" / ENV / "cluster").glob("*.yaml"))
    items = [yaml.safe_load(file.read_text()) for file in files]
    kubectl("apply", "-f", "-", given={"apiVersion": "v1", "kind": "List", "items": items})
    try:
        for kind in ("eventlistener", "trigger"):  # as the cluster stores it: nothing was dropped or written otherwise
            for file in (project.root / "tekton" / ENV / "manifests").glob(f"{kind}-*.yaml"):
                made = yaml.safe_load(file.read_text())
                name = f"{kind}s.triggers.tekton.dev/{made['metadata']['name']}"
                stored = json.loads(kubectl("get", name, "-n", project.name, "-o", "json"))
                assert stored["spec"] == made["spec"]
        listener = f"el-mlgen-{ENV}"
        wait_for("the listener", lambda: listener in kubectl("get", "deployments", "-n", project.name, "-o", "name"))
        rollout = ("rollout", "status", f"deployment/{listener}", "-n", project.name, "--timeout=240s")
        kubectl(*rollout, timeout_seconds=260)
        service = json.loads(kubectl("get", "service", listener, "-n", project.name, "-o", "json"))
        yield project, f"http://{service['spec']['clusterIP']}:8080/"
    finally:
        for item in items:
            kubectl("delete", item["kind"], item["metadata"]["name"], "--ignore-not-found")


def _post(address: str, body: Any, headers: dict[str, str]) -> int:
    request = urllib.request.Request(
        address, json.dumps(body).encode(), {"Content-Type": "application/json", **headers}, method="POST"
    )
    with urllib.request.urlopen(request, timeout=60) as answer:
        status: int = answer.status
    return status


def _signed(body: Any, secret: str, delivery: str) -> dict[str, str]:
    signature = hmac.new(secret.encode(), json.dumps(body).encode(), hashlib.sha256).hexdigest()
    return {"X-GitHub-Event": "push", "X-GitHub-Delivery": delivery, "X-Hub-Signature-256": f"sha256={signature}"}


def _names(project: Project) -> list[str]:
    selector = f"triggers.tekton.dev/eventlistener=mlgen-{ENV}"
    found = json.loads(kubectl("get", "jobs", "-n", project.name, "-l", selector, "-o", "json"))["items"]
    return [job["metadata"]["name"] for job in found]


def _jobs(project: Project, before: Before, count: int) -> list[str]:
    """The Jobs since then, once they are so many; and a while later they are no more."""
    wait_for(f"{count} Jobs", lambda: len(set(_names(project)) - before[0]) >= count)
    time.sleep(QUIET_SECONDS)
    found = sorted(set(_names(project)) - before[0])
    assert len(found) == count
    return found


def _said(project: Project, job: str) -> str:
    """What the pod of a Job said, when that has ended."""

    def has_ended() -> bool:
        status = json.loads(kubectl("get", "job", job, "-n", project.name, "-o", "json"))["status"]
        return any(one["type"] in ("Complete", "Failed") for one in status.get("conditions", ()))

    wait_for(f"the end of {job}", has_ended)
    return kubectl("logs", f"job/{job}", "-n", project.name)


def _runs(project: Project) -> list[Any]:
    found: list[Any] = json.loads(kubectl("get", "pipelineruns", "-n", project.name, "-o", "json"))["items"]
    return found


def _new(project: Project, before: Before) -> list[Any]:
    return [run for run in _runs(project) if run["metadata"]["name"] not in before[1]]


def _word(run: Any) -> str:
    return next(str(param["value"]) for param in run["spec"]["params"] if param["name"] == "word")


def _ended(project: Project, name: str) -> bool:
    return any(one["metadata"]["name"] == name and one["status"].get("completionTime") for one in _runs(project))
