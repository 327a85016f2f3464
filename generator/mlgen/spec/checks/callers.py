"""Callers of task files: they give what the file asks for, and set only what they may."""

from __future__ import annotations

from collections.abc import Iterator

from mlgen.diagnostic import Diagnostic, Related
from mlgen.spec.checks.context import Context, a, listed, near, type_read
from mlgen.spec.model import Axis, In, Literal, Param, Pipeline, Ref, Task, TaskFile
from mlgen.spec.settings import RESOURCES, SETTINGS
from mlgen.values import Type, accepts, argument_problem

_OF_A_CALLER = ("use", "in", "if", "after")  # what the caller of a pipeline may say

Misfit = tuple[str, str]  # what is wrong with what is given, and how to mend it


def task_files(pipeline: Pipeline, _context: Context) -> Iterator[Diagnostic]:
    """What a caller gives to a task file is what the file asks for."""
    for task in pipeline.all_tasks:
        if task.use is None:
            continue
        if task.file is not None and task.file.nested is not None:
            yield from _nested(task, task.file.nested)
        else:
            yield from _overrides(task)
        if task.file is not None:
            yield from _ins(pipeline, task, task.file)


def _nested(task: Task, nested: Pipeline) -> Iterator[Diagnostic]:
    """What may not be said of all tasks of a pipeline at once; and finally tasks, which would be others in it."""
    assert task.use is not None
    for key in _written(task):
        if key not in _OF_A_CALLER:
            message = f'task "{task.name}" uses a pipeline and sets `{key}`'
            why = (
                f"{nested.path} has {len(nested.tasks)} tasks, each with its own; their caller may set in, if and after"
            )
            fix = f"set it in {nested.path}, or use a task of it by itself"
            yield (task.place / key).key_finding("use-override", message, why, fix)
    if task.final:
        message, fix = f'the finally task "{task.name}" uses a pipeline', "use a task file, or move it to `tasks`"
        why = "finally tasks run all at once, and read nothing of each other"
        yield task.use.place.finding("nested-finally", message, why, fix)
    elif first := next(iter(nested.finally_tasks.values()), None):
        message = f'{nested.path} has the finally task "{first.name}"'
        why = "it would run when all of this pipeline has ended, not when the tasks beside it have"
        fix = "move it to `finally` of the pipelines that use it, or to its `tasks`"
        related = (Related("the finally task", first.place.key_span),)
        yield task.use.place.finding("nested-finally", message, why, fix, related)


def _written(task: Task) -> dict[str, object]:
    value = task.place.value
    return value if isinstance(value, dict) else {}


def _overrides(task: Task) -> Iterator[Diagnostic]:
    written = _written(task)
    for key in ("out", *SETTINGS):
        if key in written and key not in RESOURCES:
            message = f'task "{task.name}" uses a task file and sets `{key}`'
            why = f"the file says what runs; its caller may set in, if, after and {', '.join(RESOURCES)}"
            fix = "change the task file, or write the task out here"
            yield (task.place / key).key_finding("use-override", message, why, fix)


def _ins(pipeline: Pipeline, task: Task, file: TaskFile) -> Iterator[Diagnostic]:
    varied = {axis.name: axis for axis in task.fan.axes} if task.fan else {}
    given = {item.name for item in task.ins} | varied.keys()
    for name, wanted in file.ins.items():
        if (
            task.ins_known and wanted.is_required and name not in given and "" not in given
        ):  # an in without a name could not be read
            at = task.place / "in" if "in" in _written(task) else task.place
            why, fix = (
                f"{file.path} has the ins: {listed(file.ins)}",
                f"add {name}: a reference to {a(wanted.type or 'value')}",
            )
            yield at.key_finding("missing-in", f'task "{task.name}" does not give "{name}"', why, fix)
    for name, axis in varied.items():
        if name in file.ins:
            yield from _variable(task, axis, file.ins[name], file)
        else:
            yield from _unread(task, axis, file, near(name, file.ins.keys() - given))
    for item in task.ins:
        if item.name in file.ins:
            yield from _edge(pipeline, task, item, file.ins[item.name], file)
        elif item.name:
            guess = near(item.name, file.ins.keys() - given)
            span = item.place.key_span if item.keyed else item.place.span
            fix = f"write {guess}: {item.source}" if guess else "remove it"
            why = f"its ins are: {listed(file.ins)}"
            yield Diagnostic("unknown-in", f'"{file.path}" has no in "{item.name[:80]}"', span, why, fix)


def _unread(task: Task, axis: Axis, file: TaskFile, guess: str | None) -> Iterator[Diagnostic]:
    """Trials of what the file does not read are all the same. A loop may be there for its number only."""
    sweep = task.fan is not None and task.fan.kind == "sweep"
    if guess or sweep:
        why = f"its ins are: {listed(file.ins)}; each {'trial' if sweep else 'item'} would do the same"
        fix = f"write {guess}" if guess else "sweep one of its ins, or add an in to the file"
        yield axis.place.key_finding("unknown-in", f'"{file.path}" has no in "{axis.name[:80]}"', why, fix)


def _variable(task: Task, axis: Axis, wanted: Param, file: TaskFile) -> Iterator[Diagnostic]:
    """A variable of the caller's fan is an in of the file."""
    misfit = wanted.type is not None and axis.type is not None and not accepts(wanted.type, axis.type)
    if misfit and not isinstance(axis.values, Ref) and wanted.type is not Type.JSON:
        message = f'"{axis.name}" of task "{task.name}" does not fit: its values are of type {axis.type}'
        asked = a(wanted.type or "value")
        yield axis.place.key_finding("edge-type", message, f"{file.path} asks for {asked}", f"write {asked} each")
    texts = axis.values if isinstance(axis.values, tuple) and not misfit else ()
    for text in texts:
        problem = argument_problem(wanted, text) if wanted.type is not None and not wanted.type.is_artifact else None
        if problem is not None:
            message = f'"{axis.name}" of task "{task.name}" does not fit: {problem}'
            fix = f"write values that fit{_limits(wanted)}"
            yield axis.place.key_finding("edge-type", message, f"{file.path} says so of its in", fix)
            break


def _edge(pipeline: Pipeline, task: Task, item: In, wanted: Param, file: TaskFile) -> Iterator[Diagnostic]:
    if wanted.type is None or item.source is None:
        return
    if isinstance(item.source, Ref):
        misfit = _ref_misfit(pipeline, task, item.source, wanted, file)
    else:
        misfit = _literal_misfit(item.source, wanted)
    if misfit is not None:
        problem, fix = misfit
        asked = a(wanted.type) + (f", one of {listed(wanted.choices)}" if wanted.choices else "")
        message = f'"{item.name}" of task "{task.name}" does not fit: {problem}'
        related = (Related("it is asked for here", wanted.place.key_span),)
        yield item.place.finding("edge-type", message, f"{file.path} asks for {asked}", fix, related)


def _literal_misfit(given: Literal, wanted: Param) -> Misfit | None:
    assert wanted.type is not None
    fix = f"write one of: {listed(wanted.choices)}" if wanted.choices else f"write {a(wanted.type)}"
    if not accepts(wanted.type, given.type) and wanted.type is not Type.JSON:
        text = given.text[:40]
        if wanted.type.is_artifact:
            fix = f"write a reference to {a(wanted.type)}"
        elif given.type is Type.STRING and argument_problem(wanted, given.text) is None:
            fix = f"write {text}, without quotes"
        elif wanted.type is Type.STRING and not wanted.choices and given.type is not Type.JSON:
            fix = f'write {{value: "{text}"}}'
        return f"{text} is {a(given.type)}", fix
    problem = argument_problem(wanted, given.text)
    return None if problem is None else (problem, fix + _limits(wanted))


def _limits(wanted: Param) -> str:
    limits = (("at least", wanted.minimum), ("at most", wanted.maximum))
    return "".join(f", {word} {limit}" for word, limit in limits if limit is not None)


def _ref_misfit(pipeline: Pipeline, task: Task, ref: Ref, wanted: Param, file: TaskFile) -> Misfit | None:
    assert wanted.type is not None
    found = type_read(pipeline, ref.owner, ref.name)
    if found is not None and not accepts(wanted.type, found):
        fitting = _fitting(pipeline, task, wanted.type)
        fix = (
            f"write one that fits: {listed(fitting)}" if fitting else f"have a task leave {a(wanted.type)}, and read it"
        )
        return f"{ref} is {a(found)}", fix
    param = pipeline.params.get(ref.name) if ref.owner == "params" else None
    allowed = set(wanted.choices)
    extra = [c for c in param.choices if c not in allowed] if param and allowed else []
    if not extra:
        return None
    return f"{ref} may be {listed(extra)}", f"allow it in the choices of {file.path}, or not in those of {ref}"


def _fitting(pipeline: Pipeline, task: Task, wanted: Type) -> list[str]:
    """What a task could read there: params, inputs and outs of the tasks before it in the file."""
    found = [f"params.{p.name}" for p in pipeline.params.values() if p.type and accepts(wanted, p.type)]
    found += [f"inputs.{i.name}" for i in pipeline.inputs.values() if i.type and accepts(wanted, i.type)]
    for other in pipeline.tasks.values() if not task.final else ():
        if other is task:
            break
        found += [f"{other.name}.{out.name}" for out in other.outs.values() if out.type and accepts(wanted, out.type)]
    return found
