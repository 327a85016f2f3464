"""A run is created: on a cluster that has what it needs, once however often the request is sent."""

from __future__ import annotations

from collections.abc import Callable, Collection

from mlgen.canonical import Json
from mlgen.cluster.api import NAMESPACES, PIPELINE_RUNS, PIPELINES, TASKS, Api, ApiError, Object, Unreachable
from mlgen.cluster.refusals import fault_of
from mlgen.diagnostic import CannotAnswer, Misuse

PLAN_DIGEST = "mlgen.dev/plan-digest"
TRIES, PAUSE_SECONDS = 4, 1.0


def check_applied(api: Api, pipeline: Object, tasks: Collection[str], env: str) -> None:
    """Whether the cluster has a Pipeline and Tasks just as they are rendered.

    tasks: names of the Tasks, which say what is in them. Raises CannotAnswer "not-applied", and all of `fault_of`.
    """
    namespace, name = pipeline["metadata"]["namespace"], pipeline["metadata"]["name"]
    try:
        stored = _pipeline(api, namespace, name, env)
        if stored is None:
            raise _not_applied(f'the cluster has no Pipeline "{name}" in namespace {namespace}', "", env)
        labels = f"mlgen.dev/pipeline={name},mlgen.dev/env={env}"
        found = {one["metadata"]["name"] for one in api.list(TASKS, namespace, labels=labels, partial=True)["items"]}
    except (ApiError, Unreachable) as error:
        raise fault_of(error, api.server) from None
    if why := _difference(pipeline, stored):
        raise _not_applied(f'the cluster has another version of the Pipeline "{name}"', why, env)
    if missing := sorted(set(tasks) - found):
        more = f" and {len(missing) - 1} more" if missing[1:] else ""
        raise _not_applied(f'the cluster lacks the Task "{missing[0]}"{more}', "", env)


def _pipeline(api: Api, namespace: str, name: str, env: str) -> Object | None:
    try:
        return api.get(PIPELINES, namespace, name)
    except ApiError as error:
        if error.status != 404 or not error.typed:
            raise
    try:
        api.get(NAMESPACES, None, namespace)
    except ApiError as error:
        if error.status == 404:
            raise CannotAnswer(
                "no-namespace",
                f"the cluster has no namespace {namespace}",
                why=f"mlgen.yaml gives it to the environment {env}; asked was {api.server}",
                fix="is that the right cluster (`kubectl config current-context`)? then make the namespace",
            ) from None
        # Who may run need not be one who may read namespaces.
    return None


def _difference(pipeline: Object, stored: Object) -> str:
    """What is not the same, in a sentence; "" where all is."""
    wanted, found = (_refs(one) for one in (pipeline, stored))
    changed = sorted(name for name in wanted.keys() & found.keys() if wanted[name] != found[name])
    parts = [
        (changed, "has another task"),
        (sorted(wanted.keys() - found.keys()), "has no task"),
        (sorted(found.keys() - wanted.keys()), "still has the task"),
    ]
    said = [f"it {words} {', '.join(names[:5])}{', …' if names[5:] else ''}" for names, words in parts if names]
    if said:
        return "; ".join(said)
    if _digest(pipeline) != _digest(stored) or not _within(pipeline["spec"], stored["spec"]):
        return "its params, gates, order or timeouts differ"
    return ""


def _within(wanted: Json, found: Json) -> bool:
    """Whether all of `wanted` is in `found`: Tekton 1.15 stores just what we render, and a later one may add to it."""
    if isinstance(wanted, dict) and isinstance(found, dict):
        return all(key in found and _within(value, found[key]) for key, value in wanted.items())
    if isinstance(wanted, list) and isinstance(found, list):
        return len(wanted) == len(found) and all(map(_within, wanted, found))
    return wanted == found


def _digest(thing: Object) -> object:
    return (thing["metadata"].get("annotations") or {}).get(PLAN_DIGEST)


def _refs(pipeline: Object) -> dict[str, str]:
    """Task of the pipeline -> the Task it is made of."""
    spec = pipeline["spec"]
    entries = [*(spec.get("tasks") or ()), *(spec.get("finally") or ())]
    return {one["name"]: (one.get("taskRef") or {}).get("name", "") for one in entries}


def _not_applied(what: str, why: str, env: str) -> CannotAnswer:
    fix = f"`mlgen render --env {env}` and merge what it writes, for Argo CD to sync\nor, to try it: "
    return CannotAnswer("not-applied", what, why=why, fix=f"{fix}kubectl apply -f tekton/{env}/manifests")


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
    return same_params and _digest(stored) == _digest(run)
