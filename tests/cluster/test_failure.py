"""Why an attempt failed, in a line for people."""

from __future__ import annotations

import pytest

from mlgen.cluster.failure import explain
from mlgen.cluster.view import Attempt

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
