"""The answer of a run on this machine, for people: how each task ended, what it measured, where what it made lies."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

from mlgen.cli import words
from mlgen.diagnostic import visible
from mlgen.ledger.questions.items import rank
from mlgen.ledger.records.entry import from_bytes
from mlgen.ledger.records.task import State, TaskRecord
from mlgen.local.events import Outcome
from mlgen.local.rundir import RunFolder
from mlgen.local.schedule import SUCCEEDED
from mlgen.plan.model import Pick, Plan, Task
from mlgen.values import to_short_text

Makers = Callable[[Sequence[TaskRecord]], Mapping[str, str]]


def text(plan: Plan, outcome: Outcome, *, commit: str, makers: Makers) -> str:
    """All of it. commit: as people are told it. makers: who made what records say was taken from the cache."""
    records = _last_records(RunFolder(outcome.folder))
    made = makers([record for found in records.values() for record in found if record.original_run_id is not None])
    statuses = {**outcome.tasks, **outcome.finally_tasks}
    width = max(map(len, statuses))
    lines = [f"{outcome.run}  {outcome.state}"]
    for task in plan.all_tasks:
        found = records.get(task.name, [])
        if not found:
            status = statuses[task.name]
            reason = words.without_records(status) or words.skip(status.reason, outcome.whys.get(task.name, ""))
            lines.append(f"  {task.name:{width}}  {reason}")
            continue
        first, *more = _of_task(task, found, made, picked=statuses[task.name].status == SUCCEEDED)
        lines += [f"  {task.name:{width}}  {first}", *(f"  {'':{width}}    {line}" for line in more)]
    failed = [name for name, found in records.items() if any(record.state is State.FAIL for record in found)]
    lines += [f"logs    mlgen logs {outcome.run}{name}" for name in [f" {name}" for name in failed] or [""]]
    lines.append(f"commit  {commit}")
    lines.append(f"ledger  {outcome.ledger or 'not written yet: the records wait'}")
    return "".join(visible(line) + "\n" for line in lines)


def _of_task(task: Task, records: list[TaskRecord], makers: Mapping[str, str], *, picked: bool) -> Iterator[str]:
    if task.fan is None:
        yield words.of_record(records[-1], makers)
        yield from _left(records[-1])
        return
    ended, pick = words.counts(records), task.fan.pick
    best = _best(pick, records)
    if pick is None or best is None:
        yield ended
        return
    yield f"{ended}; {words.best((pick.metric, pick.highest), best.label, picked=picked)}"
    if best.item is not None:
        yield from (f"{name} = {to_short_text(value)}" for name, value in best.item.values.items())
    yield from _left(best)


def _left(record: TaskRecord) -> Iterator[str]:
    yield from (f"{name} = {to_short_text(value)}" for name, value in {**record.metrics, **record.values}.items())
    yield from (f"{artifact.name}: {artifact.uri}" for artifact in record.outputs)


def _best(pick: Pick | None, records: Iterable[TaskRecord]) -> TaskRecord | None:
    """The winner, as `runs show` has it; None where none is picked, or none that succeeded has the metric."""
    if pick is None:
        return None
    (unknown, *_), best = min(
        ((rank(record, pick.metric, highest=pick.highest), record) for record in records), key=lambda one: one[0]
    )
    return None if unknown else best


def _last_records(folder: RunFolder) -> dict[str, list[TaskRecord]]:
    """By task the last record of it, or of each of its items, in order."""
    found: dict[str, dict[int, TaskRecord]] = {}
    for attempt in folder.attempts():
        record = from_bytes(attempt.record.read_bytes())
        if isinstance(record, TaskRecord):
            found.setdefault(record.task, {})[record.item.index if record.item else 0] = record
    return {task: [items[index] for index in sorted(items)] for task, items in found.items()}
