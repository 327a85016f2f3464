"""Types: gates compare what compares, task files get what they ask for, commands get only what is always there."""

from __future__ import annotations

import json
from collections.abc import Iterator

from mlgen.diagnostic import Diagnostic
from mlgen.gates import GateError, check_types
from mlgen.gates import Ref as GateRef
from mlgen.spec.checks.arguments import argument_problem
from mlgen.spec.checks.context import Context, a, listed, near, out_of, type_of
from mlgen.spec.model import GateText, In, Literal, Param, Pipeline, Ref, Task, TaskFile
from mlgen.spec.settings import RESOURCES, SETTINGS
from mlgen.values import Type, accepts


def gates(pipeline: Pipeline, _context: Context) -> Iterator[Diagnostic]:
    """A gate can be read, compares values of one kind, and orders only numbers."""
    why = "numbers (integer, number, metric) compare by all operators, strings and booleans by == != in and not in"
    for task in pipeline.all_tasks:
        if task.gate and task.gate.error:
            yield _unread(pipeline, task.gate, task.gate.error)
        elif task.gate and task.gate.gate:
            for error in check_types(task.gate.gate, lambda ref: type_of(pipeline, ref.owner, ref.name)):
                yield Diagnostic(
                    "gate-type", error.message, task.gate.place.inner(error.start, error.end), why, error.fix
                )


def _unread(pipeline: Pipeline, gate: GateText, error: GateError) -> Diagnostic:
    why = "a gate compares values: refs, literals, == != < <= > >= in, and or not, parentheses"
    start = min(error.start, max(len(gate.text) - 1, 0))  # what is missing at the end is shown at the last character
    span = gate.place.inner(start, max(start, min(error.end, len(gate.text))))
    fix = _compared(pipeline, error.bare) if error.bare else None
    return Diagnostic("gate-syntax", error.message, span, why, fix or error.fix)


def _compared(pipeline: Pipeline, ref: GateRef) -> str | None:
    """How to make a gate of a reference that stands alone; None where its type is not known, or does not compare."""
    kind = type_of(pipeline, ref.owner, ref.name)
    if kind is None or kind.is_artifact or kind is Type.JSON:
        return None
    if kind.is_number:
        return f"compare it: {ref} > 0"
    if kind is Type.BOOLEAN:
        return f"compare it: {ref} == true"
    param = pipeline.params.get(ref.name) if ref.owner == "params" else None
    text = param.choices[-1] if param and param.choices else "…"
    return f"compare it: {ref} == {json.dumps(text, ensure_ascii=False)}"


def optional_ins(pipeline: Pipeline, _context: Context) -> Iterator[Diagnostic]:
    """A command list has no optional in: only a script can ask whether a variable is set."""
    for task in pipeline.tasks.values():
        if task.step is None or task.step.args is None:
            continue
        for item in task.ins:
            out = out_of(pipeline, item.source) if isinstance(item.source, Ref) else None
            if out and out.optional:
                message = f'task "{task.name}" is a command list and reads "{item.source}", which may not be written'
                why = "the variable is unset then, and a pod's environment cannot be unset for a command list"
                fix = f'write `run` as a script: [ -z "${{{item.name}:-}}" ] || …'
                yield item.place.finding("optional-needs-script", message, why, fix)


def task_files(pipeline: Pipeline, _context: Context) -> Iterator[Diagnostic]:
    """What a caller gives to a task file is what the file asks for."""
    for task in pipeline.all_tasks:
        if task.use is None:
            continue
        yield from _overrides(task)
        if task.file is not None:
            yield from _ins(pipeline, task, task.file)


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
    given = {item.name for item in task.ins}
    for name, wanted in file.ins.items():
        if task.ins_known and name not in given and "" not in given:  # an in without a name could not be read
            at = task.place / "in" if "in" in _written(task) else task.place
            why, fix = (
                f"{file.path} has the ins: {listed(file.ins)}",
                f"add {name}: a reference to {a(wanted.type or 'value')}",
            )
            yield at.key_finding("missing-in", f'task "{task.name}" does not give "{name}"', why, fix)
    for item in task.ins:
        if item.name in file.ins:
            yield from _edge(pipeline, task, item, file.ins[item.name], file)
        elif item.name:
            guess = near(item.name, file.ins.keys() - given)
            span = item.place.key_span if item.keyed else item.place.span
            fix = f"write {guess}: {item.source}" if guess else "remove it"
            why = f"its ins are: {listed(file.ins)}"
            yield Diagnostic("unknown-in", f'"{file.path}" has no in "{item.name[:80]}"', span, why, fix)


def _edge(pipeline: Pipeline, task: Task, item: In, wanted: Param, file: TaskFile) -> Iterator[Diagnostic]:
    if wanted.type is None:
        return
    problem = None
    match item.source:
        case Literal(type=given, text=text):
            if not accepts(wanted.type, given) and wanted.type is not Type.JSON:
                problem = f"{text[:40]} is {a(given)}"
            else:
                problem = argument_problem(wanted, text)
        case Ref(owner=owner, name=name):
            found = type_of(pipeline, owner, name)
            if found is not None and not accepts(wanted.type, found):
                problem = f"{item.source} is {a(found)}"
            elif owner == "params" and wanted.choices and (param := pipeline.params.get(name)):
                allowed = set(wanted.choices)
                extra = [c for c in param.choices if c not in allowed]
                if extra:
                    problem = f"{item.source} may be {listed(extra)}"
    if problem:
        asked = a(wanted.type) + (f", one of {listed(wanted.choices)}" if wanted.choices else "")
        message = f'"{item.name}" of task "{task.name}" does not fit: {problem}'
        yield item.place.finding("edge-type", message, f"{file.path} asks for {asked}")
