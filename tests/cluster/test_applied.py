"""A cluster has a pipeline as it is rendered, or what differs is told in the author's words."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from mlgen.cluster.applied import Difference, difference
from mlgen.diagnostic import CannotAnswer, Fault
from tests.cluster.scripted import Answer, Asked, Json, serving, status

DIGEST = {"annotations": {"mlgen.dev/plan-digest": "sha256:1"}}
PIPELINE: Json = {
    "metadata": {"name": "demo", "namespace": "ml", **DIGEST},
    "spec": {
        "params": [{"name": "n", "type": "string", "default": "3"}],
        "tasks": [{"name": "a", "taskRef": {"kind": "Task", "name": "demo-a-1"}, "timeout": "1h0m0s"}],
        "finally": [{"name": "record", "taskRef": {"kind": "Task", "name": "demo-record-1"}}],
    },
}
[TASK, *_] = Path(__file__).parents[1].glob("examples/churn/expected/prod/manifests/task-churn-train-*.yaml")
A: Json = {**yaml.safe_load(TASK.read_text()), "metadata": {"name": "demo-a-1"}}
TASKS = (A, {"metadata": {"name": "demo-record-1"}})
NAMES = ("demo-a-1", "demo-record-1")


def applied(folder: Path, answer: Callable[[Asked], Answer]) -> Difference | Fault | None:
    with serving(answer) as server:
        try:
            return difference(server.api(folder), PIPELINE, TASKS, "prod")
        except Fault as fault:
            return fault


def cluster(
    pipeline: Json | None, tasks: tuple[str, ...] = NAMES, namespace: Answer | None = None, older: Json | None = None
) -> Callable[[Asked], Answer]:
    """older: the Task that the Pipeline there has for `a`."""

    def answer(asked: Asked) -> Answer:
        if asked.path == "/api/v1/namespaces/ml":
            return namespace or Answer(body={})
        if asked.path.endswith("/tasks"):
            assert asked.query["labelSelector"] == "mlgen.dev/pipeline=demo,mlgen.dev/env=prod"
            items = [{"metadata": {"name": name}} for name in tasks]
            return Answer(body={"items": items or None, "metadata": {}})  # as an API server has an empty list
        if "/tasks/" in asked.path:
            return Answer(body=older) if older else status(404, "tasks.tekton.dev not found")
        return Answer(body=pipeline) if pipeline else status(404, 'pipelines.tekton.dev "demo" not found')

    return answer


def changed(**spec: object) -> Json:
    return {**PIPELINE, "spec": {**PIPELINE["spec"], **spec}}


def with_a(**entry: object) -> Json:
    return changed(tasks=[{**PIPELINE["spec"]["tasks"][0], **entry}])


OTHER = with_a(taskRef={"kind": "Task", "name": "demo-a-0"})


def test_a_cluster_with_just_this_pipeline(tmp_path: Path) -> None:
    assert applied(tmp_path, cluster(PIPELINE, (*NAMES, "demo-a-0"))) is None


def test_a_later_tekton_may_store_more(tmp_path: Path) -> None:
    assert applied(tmp_path, cluster(changed(tasks=with_a(displayName="")["spec"]["tasks"], results=[]))) is None


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (cluster(None), 'no Pipeline "demo" in namespace ml'),
        (cluster(None, namespace=status(403, "forbidden")), 'no Pipeline "demo"'),
        (cluster(PIPELINE, ()), 'lacks the Task "demo-a-1" and 1 more'),
        (cluster(PIPELINE, NAMES[:1]), 'lacks the Task "demo-record-1"'),
        (cluster(OTHER), "it has another task a"),
        (cluster(OTHER, older={"metadata": {"name": "demo-a-0"}, "spec": {"steps": [7]}}), "it has another task a"),
        (cluster(changed(tasks=[])), "it has no task a"),
        (
            cluster(changed(tasks=[*PIPELINE["spec"]["tasks"], {"name": "b", "taskRef": {"name": "x"}}])),
            "it still has the task b",
        ),
        (cluster(with_a(timeout="2h0m0s")), "not the same: timeout of a"),
        (cluster(with_a(when=[{"cel": "'a' == 'b'"}])), "not the same: gate of a"),
        (cluster(changed(params=[])), "it has no param n"),
        (cluster(changed(params=[*PIPELINE["spec"]["params"], {"name": "m"}])), "it still has the param m"),
        (cluster(changed(params=[{"name": "n", "type": "string", "default": "4"}])), "it has another param n"),
        (cluster({**PIPELINE, "metadata": {"name": "demo"}}), "differ"),
    ],
)
def test_a_cluster_with_something_else(tmp_path: Path, answer: Callable[[Asked], Answer], said: str) -> None:
    found = applied(tmp_path, answer)
    assert isinstance(found, Difference)
    assert said in f"{found.what} {found.why}"


def steps(task: Json) -> dict[str, Any]:
    return {step["name"]: step for step in task["spec"]["steps"]}


def _code(task: Json) -> None:
    [variable] = [one for one in steps(task)["stage-in"]["env"] if one["name"] == "MLGEN_TASK"]
    variable["value"] = json.dumps({**json.loads(variable["value"]), "codeDigest": "sha256:0"})


def _script(task: Json) -> None:
    steps(task)["main"]["script"] += "echo\n"


def _env(task: Json) -> None:
    steps(task)["main"]["env"].append({"name": "OTHER", "value": "1"})


def _memory(task: Json) -> None:
    steps(task)["main"]["computeResources"]["limits"]["memory"] = "1Gi"


@pytest.mark.parametrize(
    ("edits", "said"),
    [
        ([_code], "not the same: code of a"),
        ([_script, _code], "not the same: code, script of a"),
        ([_env, _memory], "not the same: env, resources of a"),
    ],
)
def test_what_changed_in_a_task_is_told(tmp_path: Path, edits: list[Callable[[Json], None]], said: str) -> None:
    older = copy.deepcopy(A)
    for edit in edits:
        edit(older)
    found = applied(tmp_path, cluster(OTHER, older=older))
    assert isinstance(found, Difference)
    assert found.why == said


@pytest.mark.parametrize(
    ("answer", "code", "said"),
    [
        (cluster(None, namespace=status(404, "not found")), "no-namespace", "no namespace ml"),
        (lambda _asked: Answer(404, "404 page not found"), "no-tekton", "Tekton"),
    ],
)
def test_a_cluster_that_is_another(tmp_path: Path, answer: Callable[[Asked], Answer], code: str, said: str) -> None:
    fault = applied(tmp_path, answer)
    assert isinstance(fault, CannotAnswer)
    assert fault.code == code
    assert said in fault.message
