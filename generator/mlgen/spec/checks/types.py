"""Types: gates compare what compares, task files get what they ask for, commands get only what is always there."""

from __future__ import annotations

from collections.abc import Iterator

from mlgen.diagnostic import Diagnostic
from mlgen.gates import check_types
from mlgen.spec.checks.arguments import argument_problem
from mlgen.spec.checks.context import Context, listed, near, out_of, type_of
from mlgen.spec.model import In, Literal, Param, Pipeline, Ref, Task, TaskFile
from mlgen.spec.settings import RESOURCES
from mlgen.values import Type, accepts


def gates(pipeline: Pipeline, _context: Context) -> Iterator[Diagnostic]:
    """A gate compares values of one kind, and orders only numbers."""
    why = "numbers (integer, number, metric) compare by all operators, strings and booleans by == != in and not in"
    for task in pipeline.all_tasks:
        if task.gate and task.gate.gate:
            for error in check_types(task.gate.gate, lambda ref: type_of(pipeline, ref.owner, ref.name)):
                yield Diagnostic(
                    "gate-type", error.message, task.gate.place.inner(error.start, error.end), why, error.fix
                )


def optional_ins(pipeline: Pipeline, _context: Context) -> Iterator[Diagnostic]:
    """A command list has no optional in: only a script can ask whether a variable is set."""
    for task in pipeline.tasks.values():
        if task.step is None or task.step.args is None:
            continue
        for item in task.ins:
            out = out_of(pipeline, item.source) if isinstance(item.source, Ref) else None
            if out and out.optional:
                yield item.place.finding(
                    "optional-needs-script",
                    f'task "{task.name}" is a command list and reads "{item.source}", which may not be written',
                    "the variable is unset then, and a pod's environment cannot be unset for a command list",
                    'write `run` as a script: [ -n "${' + item.name + ':-}" ]',
                )


def task_files(pipeline: Pipeline, context: Context) -> Iterator[Diagnostic]:
    """What a caller gives to a task file is what the file asks for."""
    for task in pipeline.all_tasks:
        if task.use is None:
            continue
        yield from _overrides(task)
        if task.file is not None and task.ins_known:
            yield from _ins(pipeline, task, task.file)


def _overrides(task: Task) -> Iterator[Diagnostic]:
    for key in ("out", *task.own):
        if key not in RESOURCES and (key != "out" or "out" in (task.place.value or {})):  # type: ignore[operator]
            yield (task.place / key).key_finding(
                "use-override",
                f'task "{task.name}" uses a task file and sets `{key}`',
                f"the file says what runs; its caller may set in, if, after and {', '.join(RESOURCES)}",
                "change the task file, or write the task out here",
            )


def _ins(pipeline: Pipeline, task: Task, file: TaskFile) -> Iterator[Diagnostic]:
    given = {item.name: item for item in task.ins}
    for name in file.ins:
        if name not in given:
            at = task.place / "in" if "in" in (task.place.value or {}) else task.place  # type: ignore[operator]
            fix = f"add {name}: a reference to a {file.ins[name].type or 'value'}"
            yield at.key_finding(
                "missing-in",
                f'task "{task.name}" does not give "{name}"',
                f"{file.path} has the ins: {listed(file.ins)}",
                fix,
            )
    for item in task.ins:
        wanted = file.ins.get(item.name)
        if not item.name:
            continue
        if wanted is None:
            guess = near(item.name, file.ins)
            span = item.place.key_span if item.keyed else item.place.span
            fix = f"write {guess}" if guess else "remove it; the map form of `in` gives any name: {name: task.out}"
            yield Diagnostic(
                "unknown-in", f'"{file.path}" has no in "{item.name}"', span, f"its ins are: {listed(file.ins)}", fix
            )
        else:
            yield from _edge(pipeline, task, item, wanted, file)


def _edge(pipeline: Pipeline, task: Task, item: In, wanted: Param, file: TaskFile) -> Iterator[Diagnostic]:
    if wanted.type is None:
        return
    message = problem = None
    match item.source:
        case Literal(type=given, text=text):
            if not accepts(wanted.type, given) and wanted.type is not Type.JSON:
                problem = f"{text[:40]} is a {given}"
            else:
                problem = argument_problem(wanted, text)
        case Ref(owner=owner, name=name):
            found = type_of(pipeline, owner, name)
            if found is not None and not accepts(wanted.type, found):
                problem = f"{item.source} is a {found}"
            elif owner == "params" and wanted.choices and (param := pipeline.params.get(name)):
                extra = [c for c in param.choices if c not in wanted.choices]
                if extra:
                    problem = f"{item.source} may be {listed(extra)}"
    if problem:
        message = f'"{item.name}" of task "{task.name}" does not fit: {problem}'
        asked = f"a {wanted.type}" + (f", one of {listed(wanted.choices)}" if wanted.choices else "")
        yield item.place.finding("edge-type", message, f"{file.path} asks for {asked}")
