"""What a task may read or wait for: nothing that waits for the task itself, and for a finally task no task at all."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from mlgen.editor import telling
from mlgen.reports.markdown import inline
from mlgen.spec.checks.names import NODE, VARIABLE
from mlgen.spec.checks.wiring import needs
from mlgen.spec.model import Param, Pipeline, Task
from mlgen.values import Type, accepts


@dataclass(frozen=True, slots=True)
class Readable:
    """A reference that is allowed: its text, the type it has (None: unknown), and what there is to say of it."""

    text: str
    type: Type | None
    told: str


def readable(pipeline: Pipeline, task: str, *, final: bool, wanted: Param | None = None) -> Iterator[Readable]:
    """All references that a task may have in its `in`. wanted: what a task file asks for there."""
    for one in _everything(pipeline, task, final=final):
        if wanted is None or _suits(pipeline, one, wanted):
            yield one


def _suits(pipeline: Pipeline, one: Readable, wanted: Param) -> bool:
    if wanted.type is not None and one.type is not None and not accepts(wanted.type, one.type):
        return False
    param = pipeline.params.get(one.text.removeprefix("params.")) if one.text.startswith("params.") else None
    return param is None or not wanted.choices or set(param.choices) <= set(wanted.choices)


def comparable(pipeline: Pipeline, task: str, *, final: bool) -> Iterator[Readable]:
    """All references that a gate of a task may have."""
    for one in _everything(pipeline, task, final=final):
        if not one.text.startswith("inputs.") and (one.type is None or not _is_opaque(one.type)):
            yield one


def awaitable(pipeline: Pipeline, task: str) -> list[Task]:
    """The tasks that a task may come after."""
    waiting = _waiting(pipeline, task)
    # A name that is not allowed is told where it is given, and offered nowhere: it may hold anything.
    return [found for name, found in pipeline.tasks.items() if name not in waiting and NODE.fullmatch(name)]


def _is_opaque(kind: Type) -> bool:
    return kind.is_artifact or kind is Type.JSON


def _everything(pipeline: Pipeline, task: str, *, final: bool) -> Iterator[Readable]:
    own = pipeline.finally_tasks.get(task) if final else pipeline.tasks.get(task)
    command = own is not None and own.step is not None and own.step.args is not None
    for producer in () if final else awaitable(pipeline, task):
        for out in producer.outs.values():
            if VARIABLE.fullmatch(out.name) and not (command and out.optional):  # a command list has no optional in
                told = f"Out {telling.out(out)} of task {inline(producer.name)}"
                yield Readable(f"{producer.name}.{out.name}", out.type, told)
    for param in pipeline.params.values():
        if VARIABLE.fullmatch(param.name):
            yield Readable(f"params.{param.name}", param.type, f"Param {telling.param(param)}")
    for given in pipeline.inputs.values():
        if VARIABLE.fullmatch(given.name):
            yield Readable(f"inputs.{given.name}", given.type, f"Input {telling.given_input(given)}")


def _waiting(pipeline: Pipeline, task: str) -> set[str]:
    """The task and all that wait for it, however far: what it reads must not be among them."""
    readers: dict[str, list[str]] = {}
    for reader, owners in needs(pipeline).items():
        for owner in owners:
            readers.setdefault(owner, []).append(reader)
    found, left = {task}, [task]
    while left:
        new = [reader for reader in readers.get(left.pop(), ()) if reader not in found]
        found.update(new)
        left += new
    return found
