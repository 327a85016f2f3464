"""Wiring: every reference means something, nothing waits for itself, nothing stands there for nothing."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from mlgen.diagnostic import Diagnostic, Related, Span
from mlgen.gates import refs as gate_refs
from mlgen.spec import fans, graph
from mlgen.spec.checks.caching import param_of
from mlgen.spec.checks.context import Context, listed, near
from mlgen.spec.model import Pipeline, Place, Ref, Setting, Task

OWNERS = ("params", "inputs")
MOST_SHOWN = 20  # tasks of a cycle that are named


def names_read(task: Task) -> Iterator[tuple[str, str]]:
    """(owner, name) of every reference of a task, of its `in` first, then of its `for` and then of its gate."""
    yield from ((i.source.owner, i.source.name) for i in task.ins if isinstance(i.source, Ref))
    yield from ((ref.owner, ref.name) for ref in fans.refs(task.fan))
    if task.gate and task.gate.gate:
        yield from (ref.key for ref in gate_refs(task.gate.gate))


def all_refs(task: Task) -> Iterator[tuple[str, str, Span]]:
    """(owner, name, place) of every reference, in the order of `names_read`."""
    for item in task.ins:
        if isinstance(item.source, Ref):
            yield item.source.owner, item.source.name, item.source.place.span
    for ref in fans.refs(task.fan):
        yield ref.owner, ref.name, ref.place.span
    if task.gate and task.gate.gate:
        for compared in gate_refs(task.gate.gate):
            yield compared.owner, compared.name, task.gate.place.inner(compared.start, compared.end)


def references(pipeline: Pipeline, _context: Context) -> Iterator[Diagnostic]:
    """Every `params.x`, `inputs.x`, `task.out` and `after` names something that is there."""
    for task in pipeline.all_tasks:
        for owner, name, span in all_refs(task):
            if owner in OWNERS:
                yield from _argument(pipeline, task, owner, name, span)
            elif not task.final:  # else finally_tasks tells it
                yield from _out(pipeline, task, owner, name, span)
        for setting in task.after:
            if not task.final and setting.value not in pipeline.tasks:
                yield from _unknown_task(pipeline, task, str(setting.value), None, setting.place.span)


def _argument(pipeline: Pipeline, task: Task, section: str, name: str, span: Span) -> Iterator[Diagnostic]:
    known: Collection[str] = pipeline.params if section == "params" else pipeline.inputs
    if name in known or section not in pipeline.known:
        return
    kind, guess = section.removesuffix("s"), near(name, known)
    fix = (f"write {section}.{guess}, or " if guess else "") + f"add it to `{section}`"
    message = f'task "{task.name}" reads the {kind} "{name}", which is not there'
    yield Diagnostic(f"unknown-{kind}", message, span, f"the {section} are: {listed(known)}", fix)


def _out(pipeline: Pipeline, task: Task, owner: str, name: str, span: Span) -> Iterator[Diagnostic]:
    producer = pipeline.tasks.get(owner)
    if producer is None:
        yield from _unknown_task(pipeline, task, owner, name, span)
    elif name not in producer.outs and producer.outs_known and fans.variable(producer, name) is None:
        if producer.fan and any(axis.name == name for axis in producer.fan.axes):
            yield _unpicked(task, producer, name, span)
            return
        handed_on = [*producer.outs, *(a.name for a in producer.fan.axes if producer.pick)] if producer.fan else []
        guess = near(name, handed_on or producer.outs)
        why = f'"{owner}" has the outs: {listed(producer.outs)}'
        where = f"{producer.file.path}" if producer.file else f"line {producer.place.key_span.line}"
        fix = (f"write {owner}.{guess}, or " if guess else "") + f'add "{name}" to the outs of "{owner}" ({where})'
        yield Diagnostic("unknown-out", f'{_who(task)} asks "{owner}" for "{name}"', span, why, fix)


def _who(task: Task) -> str:
    return "`outs`" if task.place.route == ("outs",) else f'task "{task.name}"'


def _unpicked(task: Task, producer: Task, name: str, span: Span) -> Diagnostic:
    """A variable of a fan is one value only where one item is picked."""
    message = f'task "{task.name}" asks "{producer.name}" for "{name}", a variable of its `sweep`'
    why = "which of its values is not said: no trial is picked"
    fix = f'add pick: max METRIC to "{producer.name}" (line {producer.place.key_span.line})'
    if producer.fan and producer.fan.kind == "for":
        message = f'task "{task.name}" asks "{producer.name}" for "{name}", a variable of its `for`'
        why, fix = "it has another value for each item", "go through the same list here, or read an out of the items"
    return Diagnostic("unknown-out", message, span, why, fix)


def _unknown_task(pipeline: Pipeline, task: Task, owner: str, out: str | None, span: Span) -> Iterator[Diagnostic]:
    """A task that is not there. out: the one that is read; None: it is only waited for."""
    if owner in pipeline.finally_tasks:
        message, why = f'{_who(task)} waits for the finally task "{owner}"', "it runs when all others have ended"
        yield Diagnostic("finally-ref", message, span, why, f'move "{owner}" to `tasks`')
    elif "tasks" in pipeline.known:
        guess = near(owner, [*pipeline.tasks, *(OWNERS if out else ())])
        fix = f"write {guess}" + (f".{out}" if out else "") if guess else "add the task, or remove the reference"
        message, why = (
            f'{_who(task)} refers to "{owner}", which is no task',
            f"the tasks are: {listed(pipeline.tasks)}",
        )
        yield Diagnostic("unknown-task", message, span, why, fix)


def outs(pipeline: Pipeline, _context: Context) -> Iterator[Diagnostic]:
    """What a pipeline leaves to who uses it is outs of its tasks, each under a name of its own."""
    seen = dict[str, Place]()
    for item in pipeline.outs:
        source = item.source
        if not isinstance(source, Ref):
            if source is not None:  # else it was told as what it is
                why = "`outs` is what tasks leave, for who uses this pipeline as a task"
                yield item.place.finding("bad-ref", f'the out "{item.name}" is a literal', why, "write TASK.OUT")
        elif source.owner in OWNERS:
            why = "`outs` is what tasks leave; who uses this pipeline has its params and inputs already"
            yield source.place.finding("bad-ref", f'the out "{item.name}" is {source}', why, "write TASK.OUT")
        else:
            asking = Task("outs", pipeline.place / "outs", final=False)
            yield from _out(pipeline, asking, source.owner, source.name, source.place.span)
        if item.name and item.name in seen:
            message = f'the out "{item.name}" stands here a second time'
            related = (Related("the first one", seen[item.name].span),)
            yield item.place.finding("name-collision", message, "", "write a map, {NAME: TASK.OUT}", related)
        seen.setdefault(item.name, item.place)


def finally_tasks(pipeline: Pipeline, _context: Context) -> Iterator[Diagnostic]:
    """Finally tasks read params and inputs only; that they wait for nothing is a matter of shape."""
    why = "a finally task runs also when tasks failed or were skipped, so their outs may never exist"
    for task in pipeline.finally_tasks.values():
        for owner, name, span in all_refs(task):
            if owner not in OWNERS:
                fix = "read params or inputs; $MLGEN_TASKS tells what became of each task"
                yield Diagnostic("finally-ref", f'the finally task "{task.name}" reads {owner}.{name}', span, why, fix)


def needs(pipeline: Pipeline) -> dict[str, list[str]]:
    """Task -> the tasks it waits for, by data, gate or `after`; in the order of the file."""
    found = {}
    for task in pipeline.tasks.values():
        owners = [owner for owner, _ in names_read(task)] + [str(s.value) for s in task.after]
        found[task.name] = [owner for owner in dict.fromkeys(owners) if owner in pipeline.tasks]
    return found


def cycles(pipeline: Pipeline, _context: Context) -> Iterator[Diagnostic]:
    """No task waits for itself. Said where the first task by file order closes the circle."""
    why = "a task starts when what it reads and what it is `after` is done"
    for cycle in graph.cycles(needs(pipeline)):
        first, closing = pipeline.tasks[cycle[0]], (cycle[1] if len(cycle) > 1 else cycle[0])
        ways = [span for owner, _, span in all_refs(first) if owner == closing]
        ways += [setting.place.span for setting in first.after if setting.value == closing]
        shown = cycle[:MOST_SHOWN] + (["…"] if len(cycle) > MOST_SHOWN else [])
        message = f"these tasks wait for each other: {' → '.join([*shown, cycle[0]])}"
        if len(cycle) == 1:
            message = f'task "{cycle[0]}" waits for itself'
        yield Diagnostic("cycle", message, ways[0], why, "take one of these references out")


def unused(pipeline: Pipeline, _context: Context) -> Iterator[Diagnostic]:
    """Params and inputs that nothing reads."""
    tasks = pipeline.all_tasks
    unread = (item for task in tasks for item in task.ins if item.source is None)
    unread_gates = (task for task in tasks if task.gate and task.gate.gate is None)
    if "tasks" not in pipeline.known or not all(t.ins_known for t in tasks) or any(unread) or any(unread_gates):
        return
    read = {ref for task in tasks for ref in names_read(task)}
    read |= {("params", name) for task in tasks if (name := param_of(task)) is not None}
    for kind, items in (("param", pipeline.params), ("input", pipeline.inputs)):
        for name, item in items.items():
            if (kind + "s", name) not in read:
                yield item.place.key_finding(
                    "unused", f'nothing reads the {kind} "{name}"', fix=f"read it: in: [{kind}s.{name}], or remove it"
                )


def redundant_after(pipeline: Pipeline, _context: Context) -> Iterator[Diagnostic]:
    """`after` only where no data flows."""
    for task in pipeline.tasks.values():
        owners = {owner for owner, _ in names_read(task)}
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
