"""A plan for people: what runs in which order, what it reads and leaves, who decides its gates, what a pod takes."""

from __future__ import annotations

from collections.abc import Iterator

from mlgen.plan.model import Condition, In, Param, Plan, Script, Task, Value
from mlgen.plan.pod import total
from mlgen.spec.quantities import cpu_text, duration_text, size_text

WIDTH = 100  # characters: longer literals are cut, the JSON has them whole


def to_text(plan: Plan) -> str:
    """The plan as text with a line's end at its end."""
    return "\n".join(_lines(plan)) + "\n"


def _lines(plan: Plan) -> Iterator[str]:
    yield (
        plan.name
        + (f"  ({plan.owner})" if plan.owner else "")
        + (f"  {_cut(plan.description)}" if plan.description else "")
    )
    yield f"plan {plan.digest}"
    if plan.params:
        yield ""
        yield "params"
        yield from (f"  {_param(param)}" for param in plan.params)
    if plan.inputs:
        yield ""
        yield "inputs"
        for item in plan.inputs:
            yield f"  {item.name}  {item.type}  {item.uri or '(required)'}" + (
                f"  {item.digest[:19]}…" if item.digest else ""
            )
    yield ""
    yield "tasks"
    for number, task in enumerate(plan.tasks, 1):
        yield from _task(f"{number:3}", task)
    if plan.finally_tasks:
        yield ""
        yield "finally, when all of them have ended"
        for task in plan.finally_tasks:
            yield from _task("   ", task)
    yield ""
    gates = (
        f", {len(plan.gate_tasks)} only for gates: {', '.join(g.name for g in plan.gate_tasks)}"
        if plan.gate_tasks
        else ""
    )
    count = len(plan.all_tasks) + len(plan.gate_tasks)
    yield f"{count} pod{'' if count == 1 else 's'} at most{gates}; a pod more writes the run's record"


def _param(param: Param) -> str:
    text = f"{param.name}  {param.type}  "
    text += "(required)" if param.default is None else f"= {_cut(param.default)}"
    if param.choices:
        text += f"  one of {', '.join(param.choices)}"
    limits = (("at least", param.minimum), ("at most", param.maximum))
    text += "".join(f"  {word} {limit}" for word, limit in limits if limit is not None)
    return text + (f"  {_cut(param.description)}" if param.description else "")


def _task(number: str, task: Task) -> Iterator[str]:
    waits = f"  after {', '.join(task.needs)}" if task.needs else ""
    yield f"{number} {task.name}{waits}"
    if isinstance(task.run, Script):
        first = next((line for line in task.run.text.splitlines() if line.strip()), "")
        more = task.run.text.strip().count("\n")
        yield f"      run  {_cut(first.strip())}" + (
            f"  (and {more} more line{'s' if more > 1 else ''})" if more else ""
        )
    else:
        yield f"      run  {_cut(' '.join(task.run.args))}"
    if task.ins:
        yield f"      in   {', '.join(_in(i) for i in task.ins)}"
    if task.outs:
        yield f"      out  {', '.join(f'{o.name} {o.type}' + (' (optional)' if o.optional else '') for o in task.outs)}"
    for condition in task.conditions:
        yield f"      if   {condition.text}  [{_decider(condition)}]"
    if task.image:
        yield f"      image {task.image.reference}" + ("" if task.image.digest else "  (unpinned)")
    if task.code:
        yield f"      code {', '.join(task.code.folders)}  {task.code.digest[:19]}…"
    yield f"      pod  {_pod(task)}"


def _in(item: In) -> str:
    source = f'"{_cut(item.source.text)}"' if isinstance(item.source, Value) else str(item.source)
    last = source.rpartition(".")[2]
    return source if last == item.name else f"{item.name} = {source}"


def _decider(condition: Condition) -> str:
    return (
        "decided before it starts" if condition.evaluator is None else f"decided by {condition.evaluator}, when it ends"
    )


def _pod(task: Task) -> str:
    cpu, memory = total(task)
    gpu = f", {task.gpu.count} GPU of {task.gpu.pool}" if task.gpu else ""
    disk = f", disk {task.disk.text}" if task.disk else ""
    retries = f", {task.retries} retr{'y' if task.retries == 1 else 'ies'}" if task.retries else ""
    at_most = duration_text(task.timeout_seconds)
    return f"{cpu_text(cpu)} cpu, {size_text(memory)} memory{gpu}{disk}, {at_most} at most{retries}"


def _cut(text: str) -> str:
    return text if len(text) <= WIDTH else text[: WIDTH - 1] + "…"
