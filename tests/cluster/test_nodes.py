"""Pods of the other ranks of a task on several nodes: shown below their task with their rank, told of in no record."""

from __future__ import annotations

from typing import Any

import pytest

from mlgen.cluster import podlogs, view
from mlgen.cluster.belonging import gather
from mlgen.cluster.events import Failure
from mlgen.cluster.failure import explain, is_echo
from mlgen.cluster.logs import logs_of
from mlgen.cluster.shape import read
from mlgen.cluster.view import Attempt, Step

UID = "aaaaaaaa-0000-0000-0000-00000000000{}"
TASKS = {"train": "c-train-1", "train-n": "c-train-2"}


def thing(kind: str, name: str, entry: str, rank: int | None = None, **more: Any) -> Any:
    labels = {
        "tekton.dev/pipelineTask": entry,
        "mlgen.dev/task": "train",
        "app.kubernetes.io/managed-by": "tekton-pipelines",
    }
    owner = {
        "kind": "PipelineRun",
        "name": "r",
        "uid": UID.format(0),
        "controller": True,
        "apiVersion": "tekton.dev/v1",
    }
    spec: dict[str, Any] = {
        "taskRef": {"kind": "Task", "name": TASKS[entry]},
        "params": [{"name": "mlgen-run", "value": "r"}],
    }
    if rank is not None:
        spec["params"] = [{"name": "mlgen-rank", "value": str(rank)}]
    if kind == "Pod":
        env = [{"name": "MLGEN_RANK", "value": str(rank)}] if rank is not None else []
        spec = {"containers": [{"name": "step-main", "env": env}]}
    metadata = {
        "name": name,
        "namespace": "n",
        "uid": UID.format((rank or 0) + 1),
        "labels": labels,
        "ownerReferences": [owner],
    }
    return read({"metadata": metadata, "spec": spec, **more})


def test_a_rank_is_shown_with_its_number() -> None:
    assert view.node_of(thing("TaskRun", "r-train", "train")) == "train"
    for kind in ("TaskRun", "Pod"):
        assert view.node_of(thing(kind, "r-train-n-1", "train-n", 2)) == "train[2]"
        assert view.task_of(thing(kind, "r-train-n-1", "train-n", 2)) == "train"


@pytest.mark.parametrize("rank", ["-1", "x", "$(params.mlgen-rank)", "999999999"])
def test_what_is_no_rank_is_a_task_of_its_own(rank: str) -> None:
    task_run = thing("TaskRun", "r-train-n-0", "train-n", 1)
    task_run["spec"]["params"] = [{"name": "mlgen-rank", "value": rank}]
    assert view.node_of(task_run) == "train-n"


def test_their_logs_are_the_tasks() -> None:
    pods = [thing("Pod", "r-train-pod", "train"), thing("Pod", "r-train-n-1-pod-retry2", "train-n", 2)]
    assert [(log.task, log.attempt) for log in logs_of(pods, (), task="train")] == [("train", 0), ("train[2]", 2)]
    assert [log.task for log in logs_of(pods, (), task="train[2]")] == ["train[2]"]
    key = podlogs.log_key("u", pods[1])
    assert podlogs.read_log_key(key) == ("train[2]", 2, "aaaaaaaa")


def test_they_belong_to_their_run() -> None:
    entries = [{"name": name, "taskRef": {"name": task}} for name, task in TASKS.items()]
    children = [("r-train", "train"), ("r-train-n-0", "train-n"), ("r-train-n-1", "train-n")]
    status = {
        "pipelineSpec": {"tasks": entries},
        "childReferences": [{"name": name, "pipelineTaskName": task} for name, task in children],
        "conditions": [{"type": "Succeeded", "status": "True", "reason": "Succeeded"}],
    }
    run = read({"metadata": {"name": "r", "namespace": "n", "uid": UID.format(0)}, "status": status})
    task_runs = [
        thing("TaskRun", "r-train", "train"),
        thing("TaskRun", "r-train-n-0", "train-n", 1),
        thing("TaskRun", "r-train-n-1", "train-n", 2),
        thing("TaskRun", "r-other", "train-n", 1),
    ]
    found = gather(run, task_runs, ())
    assert [one["metadata"]["name"] for one in found.objects.task_runs] == [name for name, _ in children]
    assert [one.name for one in found.foreign] == ["r-other"]


SAID = "mlgen-runtime: error[node-failed]: node 2 of 3: the program ended with exit code 7; the others were ended"


@pytest.mark.parametrize("code", [-1, 9])
def test_a_failure_names_the_node_that_was_the_reason(code: int) -> None:
    steps = (Step("stage-in", 0, "Completed"), Step("main", code, "Continued"), Step("stage-out", 3, "Error"))
    attempt = Attempt("train", 0, "r-train-pod", False, "StepFailed", "", "", "", steps)
    found = explain(attempt, lambda name: [SAID] if name == "step-stage-out" else ())
    assert (found.code, found.message) == ("node-failed", SAID.partition("]: ")[2])


def test_a_program_that_itself_ends_with_3_is_told_so() -> None:
    steps = (Step("stage-in", 0, "Completed"), Step("main", 3, "Continued"), Step("stage-out", 3, "Error"))
    attempt = Attempt("train", 0, "r-train-pod", False, "StepFailed", "", "", "", steps)
    assert explain(attempt, lambda _container: ()).message == "the program ended with exit code 3"


def test_the_others_that_end_with_it_are_told_once_for_all() -> None:
    ended = Failure("node 2 of 3: ...", code="node-failed")
    assert is_echo("train[1]", ended)
    assert not is_echo("train", ended)
    assert not is_echo("train[2]", Failure("the program ended with exit code 7", exit_code=7))
    assert not is_echo("train[1]", None)
