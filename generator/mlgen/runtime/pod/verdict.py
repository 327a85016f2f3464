"""How an execution ended that its stage-out cannot tell of: judged by the sidecar from what it sees of the pod."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from mlgen.ledger.records.task import State
from mlgen.runtime.attempts.retrying import Cause
from mlgen.runtime.ending import (
    CANCELLED,
    POD_STOPPED,
    SIGNALLED,
    STEP_FAILED,
    STEP_OOM,
    TIMED_OUT,
    Ending,
    not_ended_after,
)

if TYPE_CHECKING:  # of tasks with a policy of retries; of several nodes
    from mlgen.runtime.attempts.notes import Refused
    from mlgen.runtime.nodes.model import End

# Kubernetes tells all containers of a pod to end at about the same time, and each dies when it will. What died only
# so long before the sidecar was told to end did so for the same reason: the pod was stopped, and no task failed.
# When Tekton stops a pod because a step died, a second and more passes in between: kubelet looks once a second.
TOGETHER_SECONDS = 0.7
# Tekton's entrypoint writes the end of a step some time after the step's processes are gone.
ENTRYPOINT_SECONDS = 5.0
STAYS_SECONDS = 60.0  # for a program that ends with the other nodes: it is killed after ten
STAGE_OUT_SECONDS = 120.0  # its container runs already: it waits for main's end, and looks once a second


@dataclass(frozen=True, slots=True)
class Sight:
    """What is seen of a pod. The times are seconds since it was first seen, None where it is not so.

    failure: what stage-in says that it failed of. called_off: why it says that the program is not to run.
    refused: why this attempt must not run. exit_code: of main, as far as it is written.
    """

    failure: str | None = None
    called_off: str | None = None
    refused: Refused | None = None
    stage_in_began: bool = False
    staged: float | None = None  # stage-in has brought everything
    stage_in_gone: float | None = None  # its process is no more, and it had neither finished nor failed
    main_skipped: float | None = None  # Tekton says that main did not run, or not to its end
    main_gone: float | None = None  # its script began, and its container is no more; never seen of the exec form
    main_ended: float | None = None  # Tekton says that main ended, whatever its exit code
    stage_out_began: bool = False
    stage_out_gone: float | None = None  # its process is no more
    stopping: float | None = None  # the sidecar was told to end
    group: End | None = None  # how the attempt of several nodes ended, as far as this pod has heard
    grouped: float | None = None  # that has been heard
    out_of_memory: bool = False  # the kernel has ended processes meanwhile
    exit_code: int | None = None


@dataclass(frozen=True, slots=True)
class Verdict:
    """reason, error, exit_code, cause: as in `Ending`. release: a step that died with its
    entrypoint, so that the steps after it must be told not to wait for it.
    """

    state: State
    reason: str
    error: str
    exit_code: int | None = None
    release: str | None = None
    cause: Cause | None = None

    def ending(self, started_at: str, ended_at: str) -> Ending:
        return Ending(self.state, self.reason, self.exit_code, self.error, started_at, ended_at, self.cause)


def judge(sight: Sight, timeout_seconds: int, *, rank: int = 0, count: int = 1) -> Verdict | None:
    """How the execution ended; None while stage-out may still tell, or nothing has ended. timeout_seconds: main's.

    rank, count: of a task on several nodes.
    """
    if (refused := sight.refused) is not None:
        return Verdict(State.FAIL, refused.reason, refused.error, refused.exit_code, cause=refused.cause)
    if (end := sight.group) is not None and not end.well and (sight.failure is not None or _stays(sight)):
        cause = Cause(end.cause) if end.cause else None
        error = end.error if end.rank == rank else end.sentence(count)
        return Verdict(State.FAIL, end.reason or STEP_FAILED, error, end.exit_code, cause=cause)
    if sight.failure is not None:
        return Verdict(State.FAIL, STEP_FAILED, sight.failure)
    if sight.called_off is not None:
        return Verdict(State.ABORT, CANCELLED, sight.called_off)
    died = _died(sight, timeout_seconds)
    if died is not None:
        return died
    if sight.stopping is not None and sight.stage_in_began:
        error = "the pod was told to end: the run was cancelled or timed out, or the pod was evicted or deleted"
        return Verdict(State.ABORT, POD_STOPPED, error, sight.exit_code)
    return None


def _stays(sight: Sight) -> bool:
    """Whether main goes on, though its attempt has ended and it was told and made to end."""
    running = sight.staged is not None and sight.main_ended is None and sight.main_gone is None
    return running and sight.grouped is not None and sight.grouped >= STAYS_SECONDS


def _died(sight: Sight, timeout_seconds: int) -> Verdict | None:
    stopping = sight.stopping

    def over(seconds: float | None, patience: float) -> bool:
        """Whether something lasts for so long, or did for long enough when the pod was told to end."""
        if seconds is None:
            return False
        return seconds >= patience if stopping is None else seconds - stopping >= TOGETHER_SECONDS

    if over(sight.main_skipped, TOGETHER_SECONDS):
        return _skipped(sight, timeout_seconds)
    if over(sight.stage_in_gone, ENTRYPOINT_SECONDS):
        return _stage_in_died(release="stage-in")
    if sight.main_ended is None and over(sight.main_gone, ENTRYPOINT_SECONDS):
        return _killed(sight)
    if over(sight.stage_out_gone, TOGETHER_SECONDS):
        return Verdict(State.FAIL, STEP_FAILED, "stage-out was killed before it was done", sight.exit_code)
    if not sight.stage_out_began and sight.main_ended is not None and sight.main_ended >= STAGE_OUT_SECONDS:
        return Verdict(State.FAIL, STEP_FAILED, "stage-out did not begin after the program ended", sight.exit_code)
    return None


def _skipped(sight: Sight, timeout_seconds: int) -> Verdict:
    if sight.staged is None:
        return _stage_in_died()
    assert sight.main_skipped is not None
    if sight.main_gone is not None or sight.staged - sight.main_skipped >= timeout_seconds:
        return Verdict(State.FAIL, TIMED_OUT, not_ended_after(timeout_seconds), SIGNALLED)
    error = "the program cannot be started: the image has no such command, or it cannot be executed"
    return Verdict(State.FAIL, STEP_FAILED, error, cause=Cause.PROGRAM)


def _killed(sight: Sight) -> Verdict:
    error = "the program was killed together with its step"
    if not sight.out_of_memory:
        return Verdict(State.FAIL, STEP_FAILED, error, SIGNALLED, release="main")
    error += ", most likely out of memory: raise its `memory`"
    return Verdict(State.FAIL, STEP_OOM, error, SIGNALLED, release="main")


def _stage_in_died(*, release: str | None = None) -> Verdict:
    return Verdict(State.FAIL, STEP_FAILED, "stage-in was killed before it was done", release=release)
