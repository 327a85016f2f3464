"""Objects of an API server, taken in: the fields that this room reads, of the types that they must have, and no other.

Whoever may write into a namespace writes them. Behind this door a field is of its type or absent, a name is a name, a
time is a time, and a text has an end.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from mlgen.cluster.api import Object
from mlgen.ledger.records.fields import NAME, TASK, TIME

TASK_LABEL, RUN_UID_LABEL = "tekton.dev/pipelineTask", "tekton.dev/pipelineRunUID"
OWN_TASK_LABEL = "mlgen.dev/task"  # of the Task, which is that of a fan's pieces

MOST = 10_000  # items of a list: a run of a thousand tasks, some of them retried
LONGEST = 256 * 1024  # characters of a text; all annotations of an object have as many bytes
LONGEST_MESSAGE = 4096  # of one for people, of which the beginning is kept
_UID = re.compile(r"[A-Za-z0-9-]{1,64}")  # it becomes a part of keys
_LARGEST = 1 << 31


class Odd(Exception):
    """An object that is not as an API server has them; the message says which field, and why."""


@dataclass(frozen=True, slots=True)
class Unfit:
    """An object that cannot be told of, and why."""

    name: str
    reason: str


Shape = Callable[[Any, str], Any]  # a value and its place, for Odd -> what is kept of it


def read(thing: object) -> Object:
    """A PipelineRun, TaskRun or pod. Raises Odd."""
    found: Object = _OBJECT(thing, "")
    labels = found["metadata"].get("labels") or {}
    for label in (TASK_LABEL, OWN_TASK_LABEL):
        if label in labels and not TASK.fullmatch(labels[label]):
            raise Odd(f"its label {label} is {labels[label][:80]!r}, which is no task's name")
    return found


def name_of(thing: object) -> str:
    """What to call an object that may be odd."""
    metadata = thing.get("metadata") if isinstance(thing, dict) else None
    name = metadata.get("name") if isinstance(metadata, dict) else None
    return name[:253] if isinstance(name, str) and name else "an object without a name"


def _text(value: Any, place: str) -> str:
    if not isinstance(value, str):
        raise Odd(f"{place} is no text")
    if len(value) > LONGEST:
        raise Odd(f"{place} has {len(value):,} characters, more than {LONGEST:,}")
    try:
        value.encode()
    except UnicodeEncodeError:
        raise Odd(f"{place} holds half of a character") from None
    return value


def _message(value: Any, place: str) -> str:
    return _text(value[:LONGEST_MESSAGE] if isinstance(value, str) else value, place)


def _like(pattern: re.Pattern[str], what: str) -> Shape:
    def shape(value: Any, place: str) -> str:
        text = _text(value, place)
        if not pattern.fullmatch(text):
            raise Odd(f"{place} is {text[:80]!r}, which is no {what}")
        return text

    return shape


_name, _uid, _like_time = _like(NAME, "name"), _like(_UID, "uid"), _like(TIME, "time")


def _time(value: Any, place: str) -> str:
    text: str = _like_time(value, place)
    try:
        datetime.fromisoformat(text)
    except ValueError:
        raise Odd(f"{place} is {text}, which no calendar has") from None
    return text


def _pod_name(value: Any, place: str) -> str:
    """Between two attempts, Tekton has emptied it."""
    name: str = "" if value == "" else _name(value, place)
    return name


def _integer(value: Any, place: str) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or abs(value) > _LARGEST:
        raise Odd(f"{place} is no number of 32 bits")
    return value


def _boolean(value: Any, place: str) -> bool:
    if not isinstance(value, bool):
        raise Odd(f"{place} is neither true nor false")
    return value


def _texts(value: Any, place: str) -> dict[str, str]:
    """A map of texts, such as labels."""
    if not isinstance(value, dict) or len(value) > MOST:
        raise Odd(f"{place} is no map of at most {MOST:,} texts")
    return {_text(key, place): _text(one, f"{place}.{key[:80]}") for key, one in value.items()}


def _argument(value: Any, place: str) -> str | list[str] | dict[str, str]:
    """The value of a param or result."""
    if isinstance(value, list):
        found: list[str] = _list(_text)(value, place)
        return found
    return _texts(value, place) if isinstance(value, dict) else _text(value, place)


def _list(item: Shape) -> Shape:
    def shape(value: Any, place: str) -> list[Any]:
        if not isinstance(value, list) or len(value) > MOST:
            raise Odd(f"{place} is no list of at most {MOST:,} items")
        return [item(one, f"{place}[{at}]") for at, one in enumerate(value)]

    return shape


def _fields(shapes: Mapping[str, Shape], *needed: str) -> Shape:
    """An object with such fields; one that is null is absent. needed: those that must be there."""

    def shape(value: Any, place: str) -> Object:
        if not isinstance(value, dict):
            raise Odd(f"{place or 'it'} is no object")
        dot = f"{place}." if place else ""
        for key in needed:
            if value.get(key) is None:
                raise Odd(f"{dot}{key} is missing")
        given = ((key, one, value.get(key)) for key, one in shapes.items())
        return {key: one(inner, f"{dot}{key}") for key, one, inner in given if inner is not None}

    return shape


def _document_steps(value: Any, place: str) -> list[Object]:
    """Of a task's steps, the variable that holds its document: of a run of a thousand tasks, all are held at once."""
    if not isinstance(value, list):
        raise Odd(f"{place} is no list")
    found = next(_document_variables(value), None)
    return [] if found is None else [{"env": [_VARIABLE(found, f"{place}.env")]}]


def _document_variables(steps: list[Any]) -> Iterator[Any]:
    for step in steps:
        env = step.get("env") if isinstance(step, dict) else None
        for one in env if isinstance(env, list) else ():
            if isinstance(one, dict) and one.get("name") == "MLGEN_TASK":
                yield one


def _item_variables(value: Any, place: str) -> list[Object]:
    """Of a container's variables, those that say which item of a fan, or which rank, it is of."""
    if not isinstance(value, list):
        raise Odd(f"{place} is no list")
    found = [one for one in value if isinstance(one, dict) and one.get("name") in _NUMBERS]
    return [_VARIABLE(one, place) for one in found]


_NUMBERS = ("MLGEN_INDEX", "MLGEN_ROW", "MLGEN_RANK")
_VARIABLE = _fields({"name": _text, "value": _text}, "name")
_OWNER = _fields(
    {"apiVersion": _text, "kind": _text, "name": _text, "uid": _uid, "controller": _boolean}, "kind", "name", "uid"
)
_METADATA = _fields(
    {
        "name": _name,
        "namespace": _name,
        "uid": _uid,
        "creationTimestamp": _time,
        "deletionTimestamp": _time,
        "labels": _texts,
        "annotations": _texts,
        "ownerReferences": _list(_OWNER),
    },
    "name",
    "namespace",
    "uid",
)
_PARAMS = _list(_fields({"name": _text, "value": _argument}, "name"))
_TASK_REF = _fields({"kind": _text, "name": _text})
_CONDITION = _fields(
    {"type": _text, "status": _text, "reason": _message, "message": _message, "lastTransitionTime": _time},
    "type",
    "status",
)
_WAITING = _fields({"reason": _message, "message": _message})
_TERMINATED = _fields(
    {"exitCode": _integer, "reason": _message, "message": _message, "finishedAt": _time, "containerID": _text}
)
_STATE = _fields({"waiting": _WAITING, "running": _fields({}), "terminated": _TERMINATED})
_STEP = _fields({"name": _text, "terminationReason": _message, "waiting": _WAITING, "terminated": _TERMINATED})
_CONTAINERS = _list(_fields({"name": _text, "image": _text, "state": _STATE}, "name"))
_WHENS = _list(_fields({"input": _message, "operator": _message, "values": _list(_message)}))
_PIPELINE_TASKS = _list(
    _fields(
        {
            "name": _like(TASK, "task's name"),
            "taskRef": _TASK_REF,
            "params": _PARAMS,
            "when": _WHENS,
            "matrix": _fields({}),  # that it is there
        },
        "name",
    )
)
_OF_TASK_RUN: Mapping[str, Shape] = {
    "conditions": _list(_CONDITION),
    "startTime": _time,
    "completionTime": _time,
    "podName": _pod_name,
    "steps": _list(_STEP),
    "results": _list(_fields({"name": _text, "value": _argument}, "name", "value")),
    "taskSpec": _fields({"steps": _document_steps}),
}
_STATUS = _fields(
    {
        **_OF_TASK_RUN,
        "retriesStatus": _list(_fields(_OF_TASK_RUN)),
        # Of a PipelineRun
        "finallyStartTime": _time,
        "pipelineSpec": _fields({"tasks": _PIPELINE_TASKS, "finally": _PIPELINE_TASKS}),
        "skippedTasks": _list(_fields({"name": _text, "reason": _message, "whenExpressions": _WHENS}, "name")),
        "childReferences": _list(_fields({"name": _text, "pipelineTaskName": _text})),
        # Of a pod
        "phase": _text,
        "initContainerStatuses": _CONTAINERS,
        "containerStatuses": _CONTAINERS,
    }
)
_POD_CONTAINERS = _list(_fields({"name": _text, "env": _item_variables}, "name"))
_SPEC = _fields({"params": _PARAMS, "taskRef": _TASK_REF, "containers": _POD_CONTAINERS})
_OBJECT = _fields({"metadata": _METADATA, "spec": _SPEC, "status": _STATUS}, "metadata")
