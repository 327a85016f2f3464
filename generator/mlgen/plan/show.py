"""A plan for people: what runs in which order, what it reads and leaves, who decides its gates, what a pod takes."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from datetime import datetime
from itertools import islice

from mlgen.gates import Or
from mlgen.plan.fan_words import fan_text
from mlgen.plan.model import Command, Condition, In, Input, Param, Plan, Script, Task, Value, Workspace
from mlgen.plan.pod import disk_bytes, total
from mlgen.schedules import cron
from mlgen.schedules.model import Schedule
from mlgen.schedules.zones import zone
from mlgen.spec.quantities import cpu_text, duration_text, size_text
from mlgen.spec.settings import DEFAULT_KIND

WIDTH = 100  # characters: longer literals are cut, the JSON has them whole
MAX_CELL = 24  # characters to which a column is widened


STARTS = 3  # times of each schedule


def to_text(plan: Plan, now: datetime | None = None) -> str:
    """The plan as text with a line's end at its end. now: for when it starts next."""
    return "\n".join(_lines(plan, now)) + "\n"


def _starts(schedule: Schedule, now: datetime | None) -> Iterator[str]:
    yield f"  {_cut(str(schedule))}"
    if now is not None:
        found = islice(cron.times(cron.parse(schedule.cron), schedule.zone, now), STARTS)
        local = zone(schedule.zone)
        yield "    next  " + ", ".join(f"{one.astimezone(local):%a %Y-%m-%d %H:%M %Z}" for one in found)


def _lines(plan: Plan, now: datetime | None) -> Iterator[str]:
    yield plan.name + (f"  {_cut(plan.description)}" if plan.description else "")
    if plan.owner:
        yield f"owner  {plan.owner}"
    yield f"plan   {plan.digest}"
    for title, rows in (("params", map(_param, plan.params)), ("inputs", map(_input, plan.inputs))):
        lines = [f"  {line}" for line in _columns(list(rows))]
        yield from ("", title, *lines) if lines else ()
    if plan.schedules:
        yield from ("", "starts by itself")
        for schedule in plan.schedules:
            yield from _starts(schedule, now)
    if plan.triggers:
        yield from ("", "started by events", *(f"  {_cut(str(trigger))}" for trigger in plan.triggers))
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
    yield _pods(plan)


def _pods(plan: Plan) -> str:
    fans = [task.fan for task in plan.tasks if task.fan]
    count = len(plan.all_tasks) - len(fans) + sum(fan.of or 0 for fan in fans) + len(plan.gate_tasks)
    lookups = [task.lookup_name for task in plan.tasks if task.looked_up]
    count += len(lookups) + sum(task.nodes - 1 for task in plan.tasks)
    names = ", ".join(gate.name for gate in plan.gate_tasks)
    gates = f", {len(plan.gate_tasks)} only for gates: {names}" if plan.gate_tasks else ""
    gates += f", {len(lookups)} only to look in the cache: {', '.join(lookups)}" if lookups else ""
    unknown = ", besides those of lists that only the run knows" if any(fan.of is None for fan in fans) else ""
    return f"{count:,} pod{'' if count == 1 else 's'} at most{unknown}{gates}; a pod more writes the run's record"


def _columns(rows: list[tuple[str, ...]]) -> Iterator[str]:
    """Rows as lines whose cells begin in one column, but for those after a very long one."""
    widths = [min(MAX_CELL, max(map(len, column))) for column in zip(*rows, strict=True)]
    for row in rows:
        yield "  ".join(f"{cell:{width}}" for cell, width in zip(row, widths, strict=True)).rstrip()


def _param(param: Param) -> tuple[str, str, str]:
    text = "(required)" if param.default is None else f"= {_cut(param.default)}"
    if param.choices:
        text += f"  one of {', '.join(param.choices)}"
    limits = (("at least", param.minimum), ("at most", param.maximum))
    text += "".join(f"  {word} {limit}" for word, limit in limits if limit is not None)
    return param.name, param.type, text + (f"  {_cut(param.description)}" if param.description else "")


def _input(item: Input) -> tuple[str, str, str]:
    return item.name, item.type, (item.uri or "(required)") + (f"  {item.digest[:19]}…" if item.digest else "")


def _task(number: str, task: Task) -> Iterator[str]:
    waits = f"  after {', '.join(task.needs)}" if task.needs else ""
    yield f"{number} {task.name}{waits}"
    yield from (f"      {label:7}  {text}" for label, text in _parts(task) if text)


def _parts(task: Task) -> Iterator[tuple[str, str]]:
    yield "use", task.file
    if task.fan:
        yield "times", fan_text(task.fan)
    yield "run", _run(task.run)
    yield "in", ", ".join(map(_in, task.ins))
    yield "out", ", ".join(f"{o.name} {o.type}" + (" (optional)" if o.optional else "") for o in task.outs)
    for (word, text), condition in zip(gate(task), task.conditions, strict=True):
        yield word, f"{text}  [{_decider(condition)}]"
    yield "env", ", ".join(f"{name} = {_cut(value)}" for name, value in task.env)
    yield "secrets", ", ".join(f"{s.variable} = {s.secret}/{s.key}" for s in task.secrets)
    if task.image:
        yield "image", task.image.reference + ("" if task.image.digest else "  (unpinned)")
    if task.code:
        yield "code", f"{', '.join(task.code.folders)}  {task.code.digest[:19]}…"
    yield "cache", _cache(task)
    yield "pod", _pod(task)
    yield "again", ", ".join(again(task))
    if task.checkpoint:
        every = duration_text(task.checkpoint.every_seconds)
        yield "keeps", f"{task.checkpoint.name}, the folder that survives attempts, saved every {every}"


def again(task: Task) -> Iterator[str]:
    """When a task is tried again, where a spec says more than how often."""
    if task.retry is not None:
        retry = task.retry
        ends = [*(["failures of the infrastructure"] if retry.infrastructure else [])]
        if retry.codes:
            ends.append(f"exit code{'' if len(retry.codes) == 1 else 's'} {', '.join(map(str, retry.codes))}")
        if retry.codes is not None:
            yield f"after {' and '.join(ends)} only"
        if retry.backoff_seconds:
            first = f"{duration_text(retry.backoff_seconds)} later"
            yield f"{first}, then twice as long each time" if task.retries > 1 else first
    if not task.idempotent:
        yield "never once its program has begun: it is not idempotent"


def gate(task: Task) -> Iterator[tuple[str, str]]:
    """The conditions of a task's gate, each behind its "if" or "and"."""
    for index, condition in enumerate(task.conditions):
        apart = len(task.conditions) > 1 and isinstance(condition.gate, Or)
        yield "and" if index else "if", f"({condition.text})" if apart else condition.text


def _run(run: Script | Command) -> str:
    if isinstance(run, Command):
        return _cut(shlex.join(run.args))
    lines = run.text.strip().splitlines()
    more = f"  (and {len(lines) - 1} more line{'s' if len(lines) > 2 else ''})" if len(lines) > 1 else ""
    return _cut(lines[0].strip()) + more if lines else ""


def _in(item: In) -> str:
    source = f'"{_cut(item.source.text)}"' if isinstance(item.source, Value) else str(item.source)
    last = source.rpartition(".")[2]
    return source if last == item.name else f"{item.name} = {source}"


def _decider(condition: Condition) -> str:
    return (
        "decided before it starts" if condition.evaluator is None else f"decided by {condition.evaluator}, when it ends"
    )


def _cache(task: Task) -> str:
    if task.cache is None:
        return ""
    age, key = task.cache.max_age_seconds, task.cache.key
    parts = [
        "yes, of any age" if age is None else f"yes, at most {duration_text(age)} old",
        f"key {_cut(key.text) if isinstance(key, Value) else key}" if key is not None else "",
        "never in a cluster: the image is not pinned" if task.image and not task.image.digest else "",
        f"looked up by a pod without GPU, {task.lookup_name}" if task.looked_up else "",
    ]
    return "; ".join(part for part in parts if part)


def _pod(task: Task) -> str:
    cpu, memory = total(task)
    gpu = f", {task.gpu.count} GPU of {task.gpu.pool}" if task.gpu else ""
    gpu += f" ({task.gpu.count * task.nodes} in all)" if task.gpu and task.nodes > 1 else ""
    gpu += ", on spot nodes" if task.spot else ""
    gpu += f", priority {task.priority}" if task.priority else ""
    gpu += f", in queue {task.queue}" if task.queue else ""
    gpu += f", a {_kind(task.workspace)}volume of {task.workspace.size.text}" if task.workspace else ""
    disk_most = disk_bytes(task)
    disk = f", {size_text(disk_most)} disk" if disk_most is not None else ""
    retries = f", {task.retries} retr{'y' if task.retries == 1 else 'ies'}" if task.retries else ""
    at_most = duration_text(task.timeout_seconds)
    nodes = f"{task.nodes} nodes, each " if task.nodes > 1 else ""
    return f"{nodes}{cpu_text(cpu)} cpu, {size_text(memory)} memory{gpu}{disk}, {at_most} at most{retries}"


def _kind(workspace: Workspace) -> str:
    return "" if workspace.kind == DEFAULT_KIND else f"{workspace.kind} "


def _cut(text: str) -> str:
    text = text.strip().replace("\n", "\\n")  # a line of the plan is ours: none begins with an author's text
    return text if len(text) <= WIDTH else text[: WIDTH - 1] + "…"
