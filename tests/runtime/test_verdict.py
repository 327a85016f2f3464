"""The judge of what stage-out cannot tell: what is seen of a pod, and for how long it has been so."""

from __future__ import annotations

from dataclasses import replace

import pytest

from mlgen.ledger.records.task import State
from mlgen.runtime.pod.verdict import Sight, judge

RUNNING = Sight(stage_in_began=True, staged=30.0)
ENDED = replace(RUNNING, main_gone=2.0, main_ended=2.0, exit_code=0, stage_out_began=True)


@pytest.mark.parametrize("sight", [
    Sight(),
    Sight(stage_in_began=True),
    RUNNING,
    replace(RUNNING, staged=36_000.0),
    ENDED,
    replace(ENDED, main_gone=3_000.0, main_ended=3_000.0),  # a large upload
    Sight(stopping=0.0),  # nothing has begun: reconcile knows why
    replace(RUNNING, main_gone=1.0),  # its entrypoint may tell yet
    replace(RUNNING, main_skipped=0.1),  # the pod may be being stopped
    replace(ENDED, stage_out_gone=0.1),
    Sight(stage_in_began=True, stage_in_gone=1.0),
])  # fmt: skip
def test_who_can_still_tell_is_waited_for(sight: Sight) -> None:
    assert judge(sight, 60) is None


@pytest.mark.parametrize(("sight", "reason", "exit_code", "release"), [
    (Sight(stage_in_began=True, failure="no such in"), "StepFailed", None, None),
    (Sight(stage_in_began=True, failure="no such in", stopping=0.0), "StepFailed", None, None),
    (Sight(main_skipped=1.0), "StepFailed", None, None),
    (Sight(stage_in_began=True, stage_in_gone=6.0), "StepFailed", None, "stage-in"),
    (replace(RUNNING, main_skipped=1.0), "StepFailed", None, None),  # after 29 of 60 seconds: never started
    (replace(RUNNING, staged=61.5, main_skipped=1.0), "TaskRunTimeout", -1, None),
    (replace(RUNNING, main_gone=1.5, main_skipped=1.0), "TaskRunTimeout", -1, None),
    (replace(RUNNING, main_gone=6.0), "StepFailed", -1, "main"),
    (replace(RUNNING, main_gone=6.0, out_of_memory=True), "StepOOM", -1, "main"),
    (replace(ENDED, exit_code=4, stage_out_gone=1.0), "StepFailed", 4, None),
    (replace(ENDED, stage_out_began=False, main_ended=121.0), "StepFailed", 0, None),
    # Tekton stops a pod some time after a step of it died.
    (replace(RUNNING, main_gone=2.0, stopping=1.0), "StepFailed", -1, "main"),
    (replace(ENDED, stage_out_gone=2.0, stopping=1.0), "StepFailed", 0, None),
])  # fmt: skip
def test_a_death_that_nobody_tells(sight: Sight, reason: str, exit_code: int | None, release: str | None) -> None:
    verdict = judge(sight, 60)
    assert verdict is not None
    assert (verdict.state, verdict.reason, verdict.exit_code) == (State.FAIL, reason, exit_code)
    assert verdict.release == release


@pytest.mark.parametrize("sight", [
    Sight(stage_in_began=True),
    RUNNING,
    replace(RUNNING, main_gone=0.0),
    replace(RUNNING, main_gone=20.0),  # main took its time to end
    replace(RUNNING, main_gone=20.3),  # told to end a moment before the sidecar
    replace(RUNNING, main_skipped=20.3),
    Sight(stage_in_began=True, stage_in_gone=20.3),
    replace(ENDED, stage_out_gone=20.3, main_gone=40.0, main_ended=40.0),
])  # fmt: skip
def test_what_dies_with_its_pod_did_not_fail(sight: Sight) -> None:
    verdict = judge(replace(sight, stopping=20.0), 60)
    assert verdict is not None
    assert (verdict.state, verdict.reason) == (State.ABORT, "PodStopped")
    assert verdict.exit_code == sight.exit_code
