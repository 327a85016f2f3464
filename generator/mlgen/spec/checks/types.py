"""Types: gates compare what compares, commands get only what is always there."""

from __future__ import annotations

import json
from collections.abc import Iterator

from mlgen.diagnostic import Diagnostic
from mlgen.gates import GateError, check_types, refs
from mlgen.gates import Ref as GateRef
from mlgen.spec.checks.context import Context, out_of, type_of
from mlgen.spec.fans import is_many
from mlgen.spec.model import GateText, Pipeline, Ref, Task
from mlgen.values import Type


def gates(pipeline: Pipeline, _context: Context) -> Iterator[Diagnostic]:
    """A gate can be read, compares values of one kind, and orders only numbers."""
    why = "numbers (integer, number, metric) compare by all operators, strings and booleans by == != in and not in"
    for task in pipeline.all_tasks:
        if task.gate and task.gate.error:
            yield _unread(pipeline, task.gate, task.gate.error)
        elif task.gate and task.gate.gate:
            yield from _lists(pipeline, task.gate)
            for error in check_types(task.gate.gate, lambda ref: _compared_type(pipeline, ref)):
                yield Diagnostic(
                    "gate-type", error.message, task.gate.place.inner(error.start, error.end), why, error.fix
                )


def _compared_type(pipeline: Pipeline, ref: GateRef) -> Type | None:
    """None also for what is a list, which `_lists` tells."""
    return None if is_many(pipeline.tasks.get(ref.owner)) else type_of(pipeline, ref.owner, ref.name)


def _lists(pipeline: Pipeline, gate: GateText) -> Iterator[Diagnostic]:
    """A gate reads no out of a task that runs many times and has no winner: a list is no value."""
    for ref in refs(gate.gate) if gate.gate else ():
        task = pipeline.tasks.get(ref.owner)
        if task is not None and is_many(task) and ref.name in task.outs:
            message = f"{ref} is a list, with an entry an item: a gate compares values"
            why = f'"{ref.owner}" runs many times, and nothing says which item is meant'
            metric = next((out.name for out in task.outs.values() if out.type is Type.METRIC), "METRIC")
            fix = f"pick the best: pick: max {metric}" if task.fan and task.fan.kind == "sweep" else ""
            fix = fix or "have a task read the list and leave the value to compare"
            yield Diagnostic("gate-type", message, gate.place.inner(ref.start, ref.end), why, fix)


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
        yield from optional_ins_of(task, pipeline)


def optional_ins_of(task: Task, pipeline: Pipeline) -> Iterator[Diagnostic]:
    """As `optional_ins`, of one task."""
    if task.step is None or task.step.args is None:
        return
    for item in task.ins:
        out = out_of(pipeline, item.source) if isinstance(item.source, Ref) else None
        if out and out.optional:
            message = f'task "{task.name}" is a command list and reads "{item.source}", which may not be written'
            why = "the variable is unset then, and a pod's environment cannot be unset for a command list"
            fix = f'write `run` as a script: [ -z "${{{item.name}:-}}" ] || …'
            yield item.place.finding("optional-needs-script", message, why, fix)
