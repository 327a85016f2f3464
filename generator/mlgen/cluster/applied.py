"""What the cluster has of a pipeline, against what its spec renders to: the same, or what differs, in words."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mlgen.canonical import Json
from mlgen.cluster.api import NAMESPACES, PIPELINES, TASKS, Api, ApiError, Object, Unreachable
from mlgen.cluster.refusals import fault_of
from mlgen.cluster.view import MAIN
from mlgen.diagnostic import CannotAnswer
from mlgen.runtime.pod import contract as pod
from mlgen.values import parse_json

PLAN_DIGEST = "mlgen.dev/plan-digest"
SHOWN = 5  # names of a kind; of as many Tasks it is looked up what changed in them

# What of a pipeline's task is no part of its Task -> what its author calls it.
_ENTRY = {"params": "ins", "when": "gate", "runAfter": "`after`", "timeout": "timeout", "retries": "retries"}


@dataclass(frozen=True, slots=True)
class Difference:
    """what: in a sentence. why: what is not the same; "" where `what` says all."""

    what: str
    why: str = ""


def difference(api: Api, pipeline: Object, tasks: Sequence[Object], env: str) -> Difference | None:
    """What the cluster has not as it is rendered; None where it has a Pipeline and Tasks just like these.

    A Task's name says what is in it. Raises CannotAnswer "no-namespace", and all of `fault_of`.
    """
    namespace, name = pipeline["metadata"]["namespace"], pipeline["metadata"]["name"]
    try:
        stored = _pipeline(api, namespace, name, env)
        if stored is None:
            return Difference(f'the cluster has no Pipeline "{name}" in namespace {namespace}')
        labels = f"mlgen.dev/pipeline={name},mlgen.dev/env={env}"
        found = {one["metadata"]["name"] for one in api.items(TASKS, namespace, labels=labels, partial=True)}
        if said := [*_other_tasks(api, pipeline, stored, tasks), *_other_params(pipeline, stored)]:
            return Difference(f'the cluster has another version of the Pipeline "{name}"', "; ".join(said))
    except (ApiError, Unreachable) as error:
        raise fault_of(error, api.server) from None
    if digest_of(pipeline) != digest_of(stored) or not _within(pipeline["spec"], stored["spec"]):
        why = "the order of its tasks, its description or its timeouts differ"
        return Difference(f'the cluster has another version of the Pipeline "{name}"', why)
    if missing := sorted({one["metadata"]["name"] for one in tasks} - found):
        more = f" and {len(missing) - 1} more" if missing[1:] else ""
        return Difference(f'the cluster lacks the Task "{missing[0]}"{more}')
    return None


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


def _other_tasks(api: Api, pipeline: Object, stored: Object, tasks: Sequence[Object]) -> Iterator[str]:
    wanted, found = (_entries(one) for one in (pipeline, stored))
    yield from _named("it has no task", wanted.keys() - found.keys())
    yield from _named("it still has the task", found.keys() - wanted.keys())
    ours = {one["metadata"]["name"]: one for one in tasks}
    changed = sorted(name for name in wanted.keys() & found.keys() if _ref(wanted[name]) != _ref(found[name]))
    other: dict[str, list[str]] = {}  # parts -> the tasks in which just these differ
    for name in changed[:SHOWN]:
        theirs = _task(api, pipeline["metadata"]["namespace"], _ref(found[name]))
        parts = _other_parts(ours.get(_ref(wanted[name])), theirs)
        other.setdefault(", ".join(parts), []).append(name)
    for name in sorted(wanted.keys() & found.keys() - set(changed)):
        mine, their = wanted[name], found[name]
        parts = [word for key, word in _ENTRY.items() if not _within(mine.get(key) or None, their.get(key) or None)]
        if parts:
            other.setdefault(", ".join(parts), []).append(name)
    for words, names in other.items():
        yield from _named(f"not the same: {words} of" if words else "it has another task", set(names))
    if changed[SHOWN:]:
        yield f"{len(changed) - SHOWN} more tasks differ"


def _other_params(pipeline: Object, stored: Object) -> Iterator[str]:
    wanted, found = ({p["name"]: p for p in one["spec"].get("params") or ()} for one in (pipeline, stored))
    yield from _named("it has no param", wanted.keys() - found.keys())
    yield from _named("it still has the param", found.keys() - wanted.keys())
    shared = wanted.keys() & found.keys()
    yield from _named("it has another param", {name for name in shared if not _within(wanted[name], found[name])})


def _named(words: str, names: set[str]) -> Iterator[str]:
    if names:
        yield f"{words} {', '.join(sorted(names)[:SHOWN])}{', …' if len(names) > SHOWN else ''}"


def _task(api: Api, namespace: str, name: str) -> Object | None:
    """The Task of an older version; None where it is no more, or may not be read."""
    try:
        return api.get(TASKS, namespace, name) if name else None
    except ApiError:
        return None


def _other_parts(wanted: Object | None, found: Object | None) -> list[str]:
    """In which parts, as its author calls them, two Tasks differ; none where that cannot be said."""
    if wanted is None or found is None:
        return []
    try:
        ours, theirs = _parts(wanted), _parts(found)
    except (AttributeError, KeyError, StopIteration, TypeError, ValueError):  # no Task of ours, or of another mlgen
        return []
    return [part for part in ours if ours[part] != theirs[part]]


def _parts(task: Object) -> dict[str, Json]:
    steps: dict[str, Any] = {step["name"]: step for step in task["spec"]["steps"]}
    main, stage_in = steps[MAIN], steps["stage-in"]
    about: Any = parse_json(pod.unescape(next(v["value"] for v in stage_in["env"] if v["name"] == "MLGEN_TASK")))
    wired = {one["name"] for one in (*about["in"], *about["out"])}
    return {
        "code": about.get("codeDigest"),
        "script": [main.get("script"), main.get("command"), main.get("args")],
        "image": main.get("image"),
        "ins": about["in"],
        "outs": about["out"],
        "env": [one for one in main.get("env") or () if one["name"] not in wired],
        "gates": about.get("evaluates"),
        "resources": main.get("computeResources"),
        "timeout": main.get("timeout"),
        "runtime image": stage_in.get("image"),
        "bucket or ledger": [about.get("artifacts"), about.get("platform")],
    }


def _within(wanted: Json, found: Json) -> bool:
    """Whether all of `wanted` is in `found`: Tekton 1.15 stores just what we render, and a later one may add to it."""
    if isinstance(wanted, dict) and isinstance(found, dict):
        return all(key in found and _within(value, found[key]) for key, value in wanted.items())
    if isinstance(wanted, list) and isinstance(found, list):
        return len(wanted) == len(found) and all(map(_within, wanted, found))
    return wanted == found


def digest_of(thing: Object) -> object:
    """The digest of the plan that an object was rendered from; None of another object."""
    return (thing["metadata"].get("annotations") or {}).get(PLAN_DIGEST)


def _entries(pipeline: Object) -> Mapping[str, Object]:
    """Task of the pipeline -> how it is used there."""
    spec = pipeline["spec"]
    return {one["name"]: one for one in [*(spec.get("tasks") or ()), *(spec.get("finally") or ())]}


def _ref(entry: Object) -> str:
    """The Task that a task of a pipeline is made of."""
    return str((entry.get("taskRef") or {}).get("name", ""))
