"""Which part of a spec, or of mlgen.yaml, makes a policy say no: the part without which it says something else.

Found by trying: a setting is taken out or replaced, the object is rendered anew and judged again. So the place is right
for every policy, also one that nobody here has seen, and no table says which key ends in which field.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import chain
from typing import Any

from mlgen.cli.policies.subjects import Subject
from mlgen.diagnostic import Span
from mlgen.plan.model import Image, Plan, Script, Size, Task, Value
from mlgen.spec.model import Pipeline, Place
from mlgen.spec.model import Task as SpecTask
from mlgen.spec.project import Environment

_DIGEST = f"@sha256:{'0' * 64}"
_WORD = re.compile(r"[^\s,;'\"]+")
_LABEL = re.compile(r"([a-z0-9.-]+/)?[A-Za-z0-9][A-Za-z0-9._-]*")
OWNER = "mlgen.dev/owner"

Places = Callable[[], Span]


@dataclass(frozen=True, slots=True)
class Change:
    """A part taken out or replaced: where it is written, and what plan and environment are without it.

    group: changes of one group are of one cause, of which the first that matters is told.
    """

    place: Places
    plan: Plan | None
    environment: Environment
    group: str = ""


def changes(subject: Subject, project: Place, message: str) -> Iterator[Change]:
    """What can be tried for an object, what is most special first.

    project: mlgen.yaml. message: the policy's, whose words are tried too.
    """
    plan, pipeline, environment = subject.plan, subject.pipeline, subject.environment
    words = [word.rstrip(":.") for word in _WORD.findall(message)]
    images = [f"{word}x{_DIGEST}" for word in words if word.endswith("/")]
    if environment.runtime_image:
        images.insert(0, environment.runtime_image)
    if plan is not None and pipeline is not None:
        graph = subject.kind in ("Pipeline", "PipelineRun")
        for one in plan.all_tasks:
            if graph or one.name == subject.task:
                spec = pipeline.tasks.get(one.name) or pipeline.finally_tasks[one.name]
                tried = _of_entry(one) if graph else chain(_of_main(one, images), _of_entry(one))
                for keys, changed in tried:
                    yield Change(_spec_place(spec, keys), _with(plan, changed), environment, one.name)
        yield from _of_plan(plan, pipeline, environment, words)
    yield from _of_environment(plan, environment, project, words, images)


Tried = Iterator[tuple[tuple[str, ...], Task]]  # the keys of a setting, and the task without it


def _of_main(task: Task, images: list[str]) -> Tried:
    """What ends in a task's own container."""
    for name, _ in task.env:
        yield ("env", name), replace(task, env=tuple(e for e in task.env if e[0] != name))
    for secret in task.secrets:
        yield ("secrets", secret.variable), replace(task, secrets=tuple(s for s in task.secrets if s != secret))
    for one in task.ins:
        if isinstance(one.source, Value):
            yield ("in", one.name), replace(task, ins=tuple(i for i in task.ins if i != one))
    for image in images if task.image else ():
        yield ("image",), replace(task, image=Image(image, None))
    yield ("run",), replace(task, run=Script("true"))
    for size in (Size("1Mi", 1 << 20), Size("1Ti", 1 << 40)):
        yield ("memory",), replace(task, memory=size)
    for millis in (1, 256_000):
        yield ("cpu",), replace(task, cpu_millis=millis)
    yield ("disk",), replace(task, disk=None)
    yield ("code",), replace(task, code=None)
    yield ("shm",), replace(task, shm=None)


def _of_entry(task: Task) -> Tried:
    """What a Pipeline or a run says of a task, and its Task too."""
    if task.retries:
        yield ("retries",), replace(task, retries=0)
    for seconds in (60, 10 * task.timeout_seconds):
        yield ("timeout",), replace(task, timeout_seconds=seconds)
    if task.gpu:
        yield ("gpu",), replace(task, gpu=None)


def _of_plan(plan: Plan, pipeline: Pipeline, environment: Environment, words: list[str]) -> Iterator[Change]:
    top = pipeline.place

    def change(route: tuple[str, ...], **changed: Any) -> Change:
        return Change(lambda: _nearest(top, route), replace(plan, **changed), environment)

    if OWNER in words and not plan.owner:
        yield change(("owner",), owner="x")
    labels = dict(plan.labels)
    for word in words:
        if _LABEL.fullmatch(word) and word not in labels:
            yield change(("labels",), labels=tuple(sorted({**labels, word: "x"}.items())))
    if plan.owner:
        yield change(("owner",), owner="")
    for name in labels:
        yield change(("labels", name), labels=tuple(pair for pair in plan.labels if pair[0] != name))
    for param in plan.params:
        if param.default is not None:
            others = tuple(replace(p, default="") if p == param else p for p in plan.params)
            yield change(("params", param.name), params=others)
    for given in plan.inputs:
        if given.uri is not None:
            inputs = tuple(replace(i, uri=None, digest=None) if i == given else i for i in plan.inputs)
            yield change(("inputs", given.name), inputs=inputs)
    if plan.description:
        yield change(("description",), description="")


def _of_environment(
    plan: Plan | None, environment: Environment, project: Place, words: list[str], images: list[str]
) -> Iterator[Change]:
    top = project / "environments" / environment.name

    def change(route: tuple[str, ...], **changed: Any) -> Change:
        return Change(lambda: _nearest(top, route), plan, replace(environment, **changed))

    names = [word for word in words if re.fullmatch(r"[a-z0-9]([a-z0-9.-]*[a-z0-9])?", word)]
    for account in ("mlgen-another", *names):
        yield change(("service_account",), service_account=account)
    for image in (f"mlgen{_DIGEST}", *images):
        yield change(("runtime_image",), runtime_image=image)
    for uri in (word for word in words if "://" in word):
        yield change(("artifacts",), artifacts=uri)
    yield change(("namespace",), namespace="mlgen-another")
    if not environment.limit_cpu:
        yield change(("limit_cpu",), limit_cpu=True)
    if environment.image_pull_secrets:
        yield change(("image_pull_secrets",), image_pull_secrets=())
    for user in (environment.user + 1, 65534):
        yield change(("user",), user=user)
    for name, pool in environment.gpus:
        others = dict(environment.gpus)
        for changed in (replace(pool, tolerations=()), replace(pool, node_selector=())):
            yield change(("gpus", name), gpus=tuple({**others, name: changed}.items()))
    labels = dict(environment.labels)
    for word in words:
        if _LABEL.fullmatch(word) and word not in labels:
            yield change(("labels",), labels=tuple(sorted({**labels, word: "x"}.items())))
    for name in labels:
        yield change(("labels", name), labels=tuple(pair for pair in environment.labels if pair[0] != name))


def _with(plan: Plan, task: Task) -> Plan:
    """The plan with another task of the same name."""

    def put(tasks: tuple[Task, ...]) -> tuple[Task, ...]:
        return tuple(task if one.name == task.name else one for one in tasks)

    return replace(plan, tasks=put(plan.tasks), finally_tasks=put(plan.finally_tasks))


def _spec_place(task: SpecTask, keys: tuple[str, ...]) -> Places:
    return lambda: of_task(task, keys)


def of_task(task: SpecTask, keys: tuple[str, ...]) -> Span:
    """Where a setting of a task is written: at the task, in `defaults` or in its task file; else the task's key."""
    key, *rest = keys
    if key == "run" and task.step:
        return task.step.place.span
    if key == "in":
        found = next((one.place for one in task.ins if one.name in rest), None)
        return found.span if found else task.place.key_span
    setting = task.settings.get(key)
    if setting is None:
        return task.place.key_span
    return _nearest(setting.place, tuple(rest))


def _nearest(place: Place, route: tuple[str, ...]) -> Span:
    """The value at a route; where it is not there, the key of the deepest part that is; a spec's name for all of it."""
    for part in route:
        value = place.value
        if not isinstance(value, dict) or part not in value:
            return _of_whole(place)
        place /= part
    return place.span if not isinstance(place.value, dict) else place.key_span


def _of_whole(place: Place) -> Span:
    """The key of a part; for a whole spec its name, where it begins: line 1 is often a comment."""
    value = place.value
    is_spec = not place.route and isinstance(value, dict) and "name" in value
    return (place / "name").span if is_spec else place.key_span


# Words of an expression -> the key of a task that ends there, for a place where trying found none.
_FIELDS = {
    "image": "image", "script": "run", "args": "run", "command": "run", "env": "env", "secretKeyRef": "secrets",
    "memory": "memory", "cpu": "cpu", "retries": "retries", "timeout": "timeout", "tolerations": "gpu",
    "nodeSelector": "gpu", "ephemeral-storage": "disk", "activeDeadlineSeconds": "timeout",
}  # fmt: skip


def by_names(expression: str, task: SpecTask | None, pipeline: Pipeline | None, project: Place) -> Span:
    """The place where trying found none: a key by the names that the expression reads, else a name."""
    if task is not None:
        for word in re.findall(r"[A-Za-z-]+", expression):
            key = _FIELDS.get(word)
            if key == "run" or (key and key in task.settings):
                return of_task(task, (key,))
        return task.place.key_span
    return _of_whole(pipeline.place) if pipeline is not None else project.key_span
