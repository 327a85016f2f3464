"""A run is created, once, however often the request is sent."""

from __future__ import annotations

from collections.abc import Callable

from mlgen.cluster.api import PIPELINE_RUNS, Api, ApiError, Object, Unreachable
from mlgen.cluster.applied import digest_of
from mlgen.cluster.refusals import fault_of
from mlgen.diagnostic import CannotAnswer, Misuse

TRIES, PAUSE_SECONDS = 4, 1.0


_INLINE = "must not set the field(s): spec.pipelineSpec"  # with disable-inline-spec: pipelinerun
PENDING = "PipelineRunPending"  # spec.status of a run that Tekton is to leave alone until it is taken away
RELEASE = {"spec": {"status": None}}


def create(api: Api, run: Object, *, pause: Callable[[float], object]) -> Object:
    """The PipelineRun, as stored. Its name is given, so that it is one run, however often the request is sent.

    One that is pending is the same where an earlier command left it so: that one was killed before it released it.

    pause: sleeps for so many seconds. Raises Misuse "run-exists", and all of `fault_of`.
    """
    namespace, name = run["metadata"]["namespace"], run["metadata"]["name"]
    for left in reversed(range(TRIES)):
        try:
            return api.create(PIPELINE_RUNS, namespace, run)
        except Unreachable as error:
            if not left:
                raise fault_of(error, api.server) from None
            pause(PAUSE_SECONDS)
        except ApiError as error:
            if "pipelineSpec" in run["spec"] and _INLINE in error.message:
                raise CannotAnswer(
                    "cluster-refused",
                    "the cluster takes no PipelineRun that carries its tasks in itself, as one that resumes another",
                    why=error.message,
                    fix="take `pipelinerun` out of disable-inline-spec in the ConfigMap feature-flags of Tekton's "
                    "namespace; or run the pipeline whole",
                ) from None
            if error.status != 409:
                raise fault_of(error, api.server) from None
            stored = _stored(api, namespace, name) if left < TRIES - 1 else None
            if stored is not None and _is_ours(stored, run):  # the answer to a try before this one was lost
                return stored
            if (left_pending := _pending(api, namespace, name)) is not None and _is_ours(left_pending, run):
                return left_pending
            raise Misuse(
                "run-exists", f'there is a run "{name}" already', fix="choose another name, or leave --name out"
            ) from None
    raise AssertionError("the last try returns or raises")


def _stored(api: Api, namespace: str, name: str) -> Object | None:
    try:
        return api.get(PIPELINE_RUNS, namespace, name)
    except (ApiError, Unreachable):
        return None


def release(api: Api, stored: Object, *, pause: Callable[[float], object]) -> None:
    """Let a pending run begin; of one that has begun, nothing comes of it. Raises as `fault_of`."""
    namespace, name = stored["metadata"]["namespace"], stored["metadata"]["name"]
    for left in reversed(range(TRIES)):
        try:
            api.patch(PIPELINE_RUNS, namespace, name, RELEASE)
        except Unreachable as error:
            if not left:
                raise fault_of(error, api.server) from None
            pause(PAUSE_SECONDS)
        except ApiError as error:
            raise fault_of(error, api.server) from None
        else:
            return


def _pending(api: Api, namespace: str, name: str) -> Object | None:
    stored = _stored(api, namespace, name)
    return stored if stored is not None and stored["spec"].get("status") == PENDING else None


def _is_ours(stored: Object, run: Object) -> bool:
    same_params = stored["spec"].get("params") == run["spec"].get("params")
    same_tasks = _tasks(stored) == _tasks(run)
    return same_params and same_tasks and digest_of(stored) == digest_of(run)


def _tasks(run: Object) -> object:
    """What a run carries in itself, where it resumes another: its tasks with what they are given."""
    return (run["spec"].get("pipelineSpec") or {}).get("tasks")
