"""Why an attempt failed, in a line for people."""

from __future__ import annotations

import pytest

from mlgen.cluster.failure import explain
from mlgen.cluster.shape import read
from mlgen.cluster.view import Attempt, Step, attempts

LATE = 'TaskRun "r-gpu" failed to finish within "2h0m0s"'
FULL = "0/1 nodes are available: 1 Insufficient nvidia.com/gpu"
UNREADY = "containers with unready status: [step-main]"


@pytest.mark.parametrize(
    ("reason", "message", "why"),
    [
        ("TaskRunTimeout", LATE, LATE),
        (
            "TaskRunTimeout",
            f'{LATE}\nPrevious status: [Pending] pod status "PodScheduled":"False"; message: "{FULL}."',
            f"{LATE}; before that: {FULL}",
        ),
        (
            "TaskRunCancelled",
            f'It has timed out.\nPrevious status: [Pending] pod status "Ready":"False"; message: "{UNREADY}"',
            f"It has timed out; before that: {UNREADY}",
        ),
        (
            "TaskRunTimeout",
            f"{LATE}\nPrevious status: Not all Steps in the Task have finished executing",
            f"{LATE}; before that: Not all Steps in the Task have finished executing",
        ),
        ("PodCreationFailed", "no:\n  quota", "no: quota"),
    ],
)
def test_what_tekton_says_is_one_line(reason: str, message: str, why: str) -> None:
    attempt = Attempt("gpu", 0, "r-gpu-pod", False, reason, message, "", "", ())
    assert explain(attempt, lambda _container: ()).why == why


PULL = (
    'the step "main" in TaskRun "w-it" failed to pull the image "". The pod errored with the message: "Back-off '
    'pulling image "h:5000/no": ErrImagePull: rpc error: code = NotFound desc = failed to resolve reference '
    '"h:5000/no": h:5000/no: not found."'
)


def test_of_an_image_what_its_registry_said() -> None:
    attempt = Attempt("it", 0, "w-it-pod", False, "TaskRunImagePullFailed", PULL, "", "", ())
    found = explain(attempt, lambda _container: ())
    assert (found.message, found.why) == ("its image cannot be pulled", "h:5000/no: not found")


NOT_KEPT = 'mlgen-runtime: error[not-kept]: out "model" was not written\n   fix  write to "$model"\n'


@pytest.mark.parametrize(("reason", "log"), [("Completed", "main"), ("Skipped", None)])
def test_where_the_program_ran_its_log_may_say_why_we_could_not_go_on(reason: str, log: str | None) -> None:
    steps = (Step("stage-in", 0, "Completed"), Step("main", 0, reason), Step("stage-out", 1, "Error"))
    attempt = Attempt("it", 0, "r-it-pod", False, "StepFailed", "", "", "", steps)
    found = explain(attempt, lambda name: NOT_KEPT.splitlines() if name == "step-stage-out" else ())
    assert (found.message, found.fix, found.log) == ('out "model" was not written', 'write to "$model"', log)


def test_between_two_attempts_a_task_run_has_an_empty_pod_name() -> None:
    metadata = {"name": "r-it", "namespace": "n", "uid": "u", "labels": {"tekton.dev/pipelineTask": "it"}}
    condition = {"type": "Succeeded", "status": "Unknown", "reason": "ToBeRetried", "message": ""}
    retried = {"podName": "r-it-pod", "conditions": [{**condition, "status": "False"}]}
    status = {"podName": "", "conditions": [condition], "retriesStatus": [retried]}
    assert [one.pod for one in attempts(read({"metadata": metadata, "status": status}))] == ["r-it-pod"]
