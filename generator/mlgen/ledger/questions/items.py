"""Tasks of a run that ran many times: their items in order, and which one is the best."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from mlgen.ledger.questions.read import Execution
from mlgen.ledger.records.task import State, TaskRecord


def of_task(outcomes: Iterable[Execution], task: str) -> list[Execution]:
    """The items of a task that ran many times, in order; none where it ran once."""
    return [e for e in outcomes if e.record.task == task and e.record.item is not None]


def picks(outcomes: Iterable[Execution], task: str) -> tuple[str, bool] | None:
    """By which metric the best item of a task is chosen, and whether more of it is better; None: by none."""
    for execution in of_task(outcomes, task):
        item = execution.record.item
        end, _, metric = (item.pick if item is not None and item.pick else "").partition(" ")
        return (metric, end == "max") if metric else None
    return None


def ranked(items: Sequence[Execution], metric: str, *, highest: bool) -> list[Execution]:
    """Items by a metric, the best first, of equals that of the lowest index; those without it, or that failed, last."""
    return sorted(items, key=lambda execution: rank(execution.record, metric, highest=highest))


def rank(record: TaskRecord, metric: str, *, highest: bool) -> tuple[bool, float, int]:
    """What items are ordered by, the best first. It begins with True for one that cannot be the best."""
    value = record.metrics.get(metric)
    known = record.state is State.COMPLETE and isinstance(value, int | float) and not isinstance(value, bool)
    number = float(value) if known and isinstance(value, int | float) else 0.0
    return not known, -number if highest else number, record.part[1]


def winner(outcomes: Sequence[Execution], task: str) -> Execution | None:
    """The item whose outs the task's readers got, as in `runtime.fans.outcomes.winner`; None where none is picked."""
    by = picks(outcomes, task)
    if by is None:
        return None
    first = next(iter(ranked(of_task(outcomes, task), by[0], highest=by[1])), None)
    return None if first is None or rank(first.record, by[0], highest=by[1])[0] else first
