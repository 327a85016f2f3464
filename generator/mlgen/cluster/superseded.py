"""Tasks that nothing uses any more: told from the Tasks, Pipelines and unfinished runs of a namespace.

A Task never changes and outlives the Pipeline that named it, for a run in flight still names it. So it goes only when
no Pipeline and no unfinished run has its name anywhere: in a reference, a resolver's param, its own spec, its status.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import TypeVar

from mlgen.cluster.api import PIPELINE_RUNS, PIPELINES, TASK_RUNS, TASKS, Api, ApiError, Object, Resource
from mlgen.ledger.records.fields import TIME

ENV_LABEL, PIPELINE_LABEL, TASK_LABEL = "mlgen.dev/env", "mlgen.dev/pipeline", "mlgen.dev/task"

_DIGEST = re.compile(r"[0-9a-f]{10}")
_ANY = ""  # in place of a pipeline's name: a run that may use the Tasks of any
_LONG_SECONDS = 2.0  # a look that takes longer, at some ten thousand runs, holds for as long as it took
_TRIES = 3  # of a list that took longer to read than the server keeps its state

# In this order. A run takes its Tasks' names over from its Pipeline: of a Pipeline that was changed before it was read,
# the runs that began with the older one are there to be read after it.
_USERS: tuple[Resource, ...] = (PIPELINES, PIPELINE_RUNS, TASK_RUNS)


T = TypeVar("T")


class Fate(StrEnum):
    """What becomes of a Task. FOREIGN: it has our label, and a name that mlgen gives to none."""

    GOES = "goes"
    USED = "used"
    YOUNG = "young"
    FOREIGN = "foreign"


@dataclass(frozen=True, slots=True)
class Stored:
    """A Task in the cluster. version: its resourceVersion. created_at: RFC 3339. pipeline, task: as it is labelled."""

    name: str
    uid: str
    version: str
    created_at: str
    pipeline: str
    task: str

    @property
    def is_ours(self) -> bool:
        """Whether its name is what mlgen would call it; who may make Tasks may label them as well."""
        head, _, digest = self.name.rpartition("-")
        return head == f"{self.pipeline}-{self.task}" and _DIGEST.fullmatch(digest) is not None


@dataclass(frozen=True, slots=True)
class _User:
    """A Pipeline or run, as it was read. names: of the Tasks in question, those that it has anywhere in it.

    all_of: of an unfinished run that has not told yet what it runs, the pipeline whose Tasks it may use; else None.
    """

    version: str
    names: frozenset[str]
    all_of: str | None = None
    changed_at: datetime | None = None


@dataclass(slots=True)
class Collector:
    """What one `gc tasks` works with. now: when it began.

    grace: how long a Task stays after it was made, and after its Pipeline was changed: the Pipeline comes a sync wave
    after its Tasks, and Tekton's controller may have read the older one a moment before. monotonic: seconds.
    """

    api: Api
    namespace: str
    env: str
    now: datetime
    grace: timedelta
    monotonic: Callable[[], float]
    _holds_until: float = 0.0
    _users: dict[tuple[str, str], _User] = field(default_factory=dict)  # by kind and uid
    _pipelines: dict[str, str] = field(default_factory=dict)  # name -> uid
    _in_question: frozenset[str] = frozenset()

    def look(self) -> dict[Stored, Fate]:
        """All Tasks of the environment, sorted by name, and what is to become of each.

        Raises ApiError, Unreachable.
        """
        heads = self._all(TASKS, labels=f"{ENV_LABEL}={self.env}")
        tasks = sorted(map(_stored, heads), key=lambda task: task.name)
        self._in_question = frozenset(task.name for task in tasks)
        for resource in _USERS:
            self._read(resource)
        return {task: self._fate(task) for task in tasks}

    def look_again(self, task: Stored) -> Fate:
        """What is to become of a Task now: only what changed since is read. Raises ApiError, Unreachable."""
        began = self.monotonic()
        if began >= self._holds_until:
            self._refresh()
            ended = self.monotonic()
            self._holds_until = ended + (ended - began) if ended - began > _LONG_SECONDS else 0.0
        return self._fate(task)

    def _refresh(self) -> None:
        for resource in _USERS:
            there = {_text(_about(head), "uid"): head for head in self._all(resource)}
            for key in [key for key in self._users if key[0] == resource.plural and key[1] not in there]:
                del self._users[key]
            for uid, head in there.items():
                known = self._users.get((resource.plural, uid))
                if known is None or known.version != _text(_about(head), "resourceVersion"):
                    self._read_one(resource, _text(_about(head), "name"))

    def delete(self, task: Stored) -> bool:
        """Delete a Task, if it is still as it was read; whether this did it. Raises ApiError, Unreachable."""
        return self.api.delete(TASKS, self.namespace, task.name, uid=task.uid, version=task.version)

    def _all(self, resource: Resource, *, labels: str = "") -> list[Object]:
        """The metadata of all objects of a kind."""
        return self._patient(lambda: list(self.api.items(resource, self.namespace, labels=labels, partial=True)))

    def _read(self, resource: Resource) -> None:
        """Take in all objects of a kind, a page at a time: there may be thousands of runs that ended."""

        def read() -> None:
            for one in self.api.items(resource, self.namespace):
                self._take(resource, one)

        self._patient(read)

    def _patient(self, read: Callable[[], T]) -> T:
        for left in reversed(range(_TRIES)):
            try:
                return read()
            except ApiError as error:
                if error.status != 410 or not left:
                    raise
        raise AssertionError("the last try returns or raises")

    def _read_one(self, resource: Resource, name: str) -> None:
        try:
            self._take(resource, self.api.get(resource, self.namespace, name))
        except ApiError as error:
            if error.status != 404:  # it went in this very moment
                raise

    def _take(self, resource: Resource, one: Object) -> None:
        about = _about(one)
        self._users[resource.plural, _text(about, "uid")] = self._user(resource, one)
        if resource is PIPELINES:
            self._pipelines[_text(about, "name")] = _text(about, "uid")

    def _user(self, resource: Resource, one: Object) -> _User:
        version = _text(_about(one), "resourceVersion")
        if resource is not PIPELINES and _is_over(one):
            return _User(version, frozenset())
        names = self._in_question.intersection(_texts(one))
        if resource is PIPELINES:
            return _User(version, names, changed_at=_changed_at(one))
        return _User(version, names, _untold(one) if resource is PIPELINE_RUNS else None)

    def _fate(self, task: Stored) -> Fate:
        if not task.is_ours:
            return Fate.FOREIGN
        if any(task.name in user.names or user.all_of in (_ANY, task.pipeline) for user in self._users.values()):
            return Fate.USED
        made = _time(task.created_at)
        pipeline = self._users.get((PIPELINES.plural, self._pipelines.get(task.pipeline, "")))
        changed = pipeline.changed_at if pipeline else None
        if made is None or any(self.now - since < self.grace for since in (made, changed) if since):
            return Fate.YOUNG
        return Fate.GOES


def _stored(head: Object) -> Stored:
    about = _about(head)
    given = about.get("labels")
    labels = given if isinstance(given, dict) else {}
    return Stored(
        name=_text(about, "name"),
        uid=_text(about, "uid"),
        version=_text(about, "resourceVersion"),
        created_at=_text(about, "creationTimestamp"),
        pipeline=_text(labels, PIPELINE_LABEL),
        task=_text(labels, TASK_LABEL),
    )


def _about(thing: object) -> Object:
    found = thing.get("metadata") if isinstance(thing, dict) else None
    return found if isinstance(found, dict) else {}


def _text(fields: Object, key: str) -> str:
    found = fields.get(key)
    return found if isinstance(found, str) else ""


def _map(thing: Object, *keys: str) -> Object:
    for key in keys:
        found = thing.get(key)
        thing = found if isinstance(found, dict) else {}
    return thing


def _time(text: str) -> datetime | None:
    """None of what is no time: then nobody can say that it is long ago."""
    try:
        return datetime.fromisoformat(text) if TIME.fullmatch(text) else None
    except ValueError:
        return None


def _changed_at(pipeline: Object) -> datetime | None:
    """When a Pipeline was last changed, by whoever wrote into it: the server notes that with each one's fields."""
    managed = _about(pipeline).get("managedFields")
    entries = [one for one in managed if isinstance(one, dict)] if isinstance(managed, list) else []
    times = [_time(_text(one, "time")) for one in entries] + [_time(_text(_about(pipeline), "creationTimestamp"))]
    return max((time for time in times if time), default=None)


def _is_over(run: Object) -> bool:
    conditions = _map(run, "status").get("conditions")
    for one in conditions if isinstance(conditions, list) else ():
        if isinstance(one, dict) and one.get("type") == "Succeeded":
            return one.get("status") in ("True", "False")
    return False


def _untold(run: Object) -> str | None:
    """Of an unfinished PipelineRun whose status has no tasks yet: the pipeline that it may have read; else None."""
    if _map(run, "status", "pipelineSpec") or _map(run, "spec", "pipelineSpec"):
        return None
    ref = _map(run, "spec", "pipelineRef")
    return _ANY if "resolver" in ref else _text(ref, "name")  # "" where there is no name: any


def _texts(thing: object) -> Iterator[str]:
    """Every text in an object, of any depth."""
    waiting = [thing]
    while waiting:
        one = waiting.pop()
        if isinstance(one, str):
            yield one
        elif isinstance(one, dict):
            waiting += one.values()
        elif isinstance(one, list):
            waiting += one
