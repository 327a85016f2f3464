"""Wiring: every reference means something, nothing waits for itself, nothing stands there for nothing."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from mlgen.diagnostic import Diagnostic, Span
from mlgen.gates import refs as gate_refs
from mlgen.spec import graph
from mlgen.spec.checks.context import Context, listed, near
from mlgen.spec.model import Pipeline, Ref, Setting, Task

OWNERS = ("params", "inputs")


def data_refs(task: Task) -> Iterator[Ref]:
    """The references in a task's `in`."""
    yield from (i.source for i in task.ins if isinstance(i.source, Ref))


def all_refs(task: Task) -> Iterator[tuple[str, str, Span]]:
    """(owner, name, place) of every reference of a task, of its `in` first and then of its gate."""
    for ref in data_refs(task):
        yield ref.owner, ref.name, ref.place.span
    if task.gate and task.gate.gate:
        for found in gate_refs(task.gate.gate):
            yield found.owner, found.name, task.gate.place.inner(found.start, found.end)


def references(pipeline: Pipeline, _context: Context) -> Iterator[Diagnostic]:
    """Every `params.x`, `inputs.x`, `task.out` and `after` names something that is there."""
    for task in pipeline.all_tasks:
        for owner, name, span in all_refs(task):
            finding = _reference(pipeline, task, owner, name, span)
            if finding:
                yield finding
        for setting in task.after:
            if not task.final and setting.value not in pipeline.tasks:
                yield _unknown_task(pipeline, task, str(setting.value), setting.place.span)


def _reference(pipeline: Pipeline, task: Task, owner: str, name: str, span: Span) -> Diagnostic | None:
    if owner == "params":
        return _unknown("param", name, pipeline.params, task, span)
    if owner == "inputs":
        return _unknown("input", name, pipeline.inputs, task, span)
    if task.final:
        return None  # finally_tasks tells it
    producer = pipeline.tasks.get(owner)
    if producer is None:
        return _unknown_task(pipeline, task, owner, span, name)
    if name in producer.outs or not producer.outs_known:
        return None
    guess = near(name, producer.outs)
    fix = f"write {owner}.{guess}, or " if guess else ""
    where = f"(line {producer.place.key_span.line})"
    why = f'"{owner}" has the outs: {listed(producer.outs)}'
    fix += f'add "{name}" to the outs of "{owner}" {where}'
    return Diagnostic("unknown-out", f'task "{task.name}" asks "{owner}" for "{name}"', span, why, fix)


def _unknown(kind: str, name: str, known: Iterable[str], task: Task, span: Span) -> Diagnostic | None:
    names = list(known)
    if name in names:
        return None
    guess = near(name, names)
    fix = f"write {kind}s.{guess}, or " if guess else ""
    why = f"the {kind}s are: {listed(names)}"
    return Diagnostic(
        f"unknown-{kind}",
        f'task "{task.name}" reads the {kind} "{name}", which is not there',
        span,
        why,
        f"{fix}add it to `{kind}s`",
    )


def _unknown_task(pipeline: Pipeline, task: Task, owner: str, span: Span, name: str = "") -> Diagnostic:
    if owner in pipeline.finally_tasks:
        why = "finally tasks run when all others have ended"
        return Diagnostic(
            "finally-ref",
            f'task "{task.name}" waits for the finally task "{owner}"',
            span,
            why,
            f'move "{owner}" to `tasks`',
        )
    guess = near(owner, [*pipeline.tasks, *OWNERS])
    fix = (
        f"write {guess}.{name}"
        if guess and name
        else f"write {guess}"
        if guess
        else "add the task, or remove the reference"
    )
    why = f"the tasks are: {listed(pipeline.tasks)}"
    return Diagnostic("unknown-task", f'task "{task.name}" refers to "{owner}", which is no task', span, why, fix)


def finally_tasks(pipeline: Pipeline, _context: Context) -> Iterator[Diagnostic]:
    """Finally tasks read params and inputs only, and wait for nothing."""
    why = "a finally task runs also when tasks failed or were skipped, so their outs may never exist"
    for task in pipeline.finally_tasks.values():
        for owner, name, span in all_refs(task):
            if owner not in OWNERS:
                fix = "read params or inputs; $MLGEN_TASKS tells what became of each task"
                yield Diagnostic("finally-ref", f'the finally task "{task.name}" reads {owner}.{name}', span, why, fix)
        if task.after:
            place = task.place / "after"
            why_after = "all finally tasks start together, when all tasks have ended"
            yield place.key_finding(
                "finally-ref",
                f'the finally task "{task.name}" has an `after`',
                why_after,
                "remove it, or make it one task",
            )


def needs(pipeline: Pipeline) -> dict[str, list[str]]:
    """Task -> the tasks it waits for, by data, gate or `after`; in the order of the file."""
    found = {}
    for task in pipeline.tasks.values():
        owners = [owner for owner, _, _ in all_refs(task)] + [str(s.value) for s in task.after]
        found[task.name] = [owner for owner in dict.fromkeys(owners) if owner in pipeline.tasks]
    return found


def cycles(pipeline: Pipeline, _context: Context) -> Iterator[Diagnostic]:
    """No task waits for itself. Said where the first task by file order closes the circle."""
    for cycle in graph.cycles(needs(pipeline)):
        first, closing = pipeline.tasks[cycle[0]], (cycle[1] if len(cycle) > 1 else cycle[0])
        span = next(
            (span for owner, _, span in all_refs(first) if owner == closing),
            next((s.place.span for s in first.after if s.value == closing), first.place.key_span),
        )
        message = (
            f'task "{cycle[0]}" waits for itself'
            if len(cycle) == 1
            else f"these tasks wait for each other: {' → '.join([*cycle[:MOST_SHOWN], cycle[0]])}"
        )
        yield Diagnostic(
            "cycle",
            message,
            span,
            "a task starts when what it reads and what it is `after` is done",
            "take one of these references out",
        )


MOST_SHOWN = 20  # tasks of a cycle that are named


def unused(pipeline: Pipeline, _context: Context) -> Iterator[Diagnostic]:
    """Params and inputs that nothing reads."""
    if not all(task.ins_known for task in pipeline.all_tasks):
        return
    if any(i.source is None for task in pipeline.all_tasks for i in task.ins):
        return
    if any(task.gate and task.gate.gate is None for task in pipeline.all_tasks):
        return
    read = {(owner, name) for task in pipeline.all_tasks for owner, name, _ in all_refs(task)}
    for kind, items in (("param", pipeline.params), ("input", pipeline.inputs)):
        for name, item in items.items():
            if (kind + "s", name) not in read:
                yield item.place.key_finding(
                    "unused", f'nothing reads the {kind} "{name}"', fix=f"read it: in: [{kind}s.{name}], or remove it"
                )


def redundant_after(pipeline: Pipeline, _context: Context) -> Iterator[Diagnostic]:
    """`after` only where no data flows."""
    for task in pipeline.tasks.values():
        owners = {owner for owner, _, _ in all_refs(task)}
        for setting in task.after:
            if setting.value in owners:
                yield _redundant(task, setting)


def _redundant(task: Task, setting: Setting) -> Diagnostic:
    return setting.place.finding(
        "redundant-after",
        f'task "{task.name}" reads an out of "{setting.value}" and so comes after it anyway',
        "order comes from data; `after` is for where none flows",
        f'remove "{setting.value}" from `after`',
    )
