"""A run is created, once, however often the request is sent."""

from __future__ import annotations

from collections.abc import Callable

from mlgen.cluster.api import PIPELINE_RUNS, Api, ApiError, Object, Unreachable
from mlgen.cluster.applied import digest_of
from mlgen.cluster.refusals import fault_of
from mlgen.diagnostic import Misuse

TRIES, PAUSE_SECONDS = 4, 1.0


def create(api: Api, run: Object, *, pause: Callable[[float], object]) -> Object:
    """The PipelineRun, as stored. Its name is given, so that it is one run, however often the request is sent.

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
            if error.status != 409:
                raise fault_of(error, api.server) from None
            stored = _stored(api, namespace, name) if left < TRIES - 1 else None
            if stored is not None and _is_ours(stored, run):  # the answer to a try before this one was lost
                return stored
            raise Misuse(
                "run-exists", f'there is a run "{name}" already', fix="choose another name, or leave --name out"
            ) from None
    raise AssertionError("the last try returns or raises")


def _stored(api: Api, namespace: str, name: str) -> Object | None:
    try:
        return api.get(PIPELINE_RUNS, namespace, name)
    except (ApiError, Unreachable):
        return None


def _is_ours(stored: Object, run: Object) -> bool:
    same_params = stored["spec"].get("params") == run["spec"].get("params")
    return same_params and digest_of(stored) == digest_of(run)
