"""A reusable task file, checked by itself: what its callers give is checked where they give it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from mlgen.diagnostic import Diagnostic
from mlgen.spec.checks import attempts, distributed, files, names, placing, platform
from mlgen.spec.checks.arguments import param_parts
from mlgen.spec.checks.context import Context, a
from mlgen.spec.model import In, Param, Pipeline, Task, TaskFile

# Those checks of a pipeline that speak of a task by itself.
_OF_ONE_TASK: tuple[Callable[[Pipeline, Context], Iterable[Diagnostic]], ...] = (
    names.variables,
    files.code,
    platform.pools,
    platform.images,
    platform.scripts,
    platform.shebangs,
    platform.tekton_variables,
    attempts.spot,
    placing.places,
    distributed.nodes,
)


def check_task_file(file: TaskFile, context: Context) -> Iterator[Diagnostic]:
    """Its name is its file's; its ins, outs and settings hold what a task's may hold."""
    if file.name is not None:
        yield from names.task_name(file.name, file.place / "name", file.path)
        yield from names.own_file(file.name, file.path, "task", file.place / "name")
    for item in file.ins.values():
        yield from _default(item) if item.default is not None else ()
        yield from param_parts(item)
    alone = _alone(file)
    for check in _OF_ONE_TASK:
        yield from check(alone, context)


def _default(item: Param) -> Iterator[Diagnostic]:
    """A default is a value, and says what an optional in is when nobody gives it."""
    why = "a default is what the in is when its caller does not give it"
    if item.type is not None and item.type.is_artifact:
        message = f'"{item.name}" is {a(item.type)}: bytes have no default'
        yield (item.place / "default").finding("bad-default", message, why, "write `optional: true`, or remove it")
    elif item.optional:
        message = f'"{item.name}" has a default and is optional'
        yield (item.place / "optional").finding("bad-default", message, why, "remove one of them")


def _alone(file: TaskFile) -> Pipeline:
    """A pipeline of this task alone, whose ins nobody gives."""
    task = Task(
        name=file.name or "",
        place=file.place,
        final=False,
        step=file.step,
        ins=tuple(In(name, item.place, None, keyed=True) for name, item in file.ins.items()),
        outs=file.outs,
        settings=file.settings,
    )
    return Pipeline(file.path, file.place, None, "", None, {}, {}, {}, {task.name: task}, {})
