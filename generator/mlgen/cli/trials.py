"""A task that ran many times, for people: a line for each trial or item, the best first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from mlgen.cli import words
from mlgen.diagnostic import visible
from mlgen.ledger.questions.items import of_task as items_of
from mlgen.ledger.questions.items import picks, ranked, winner
from mlgen.ledger.questions.read import Execution, Run, moment
from mlgen.local.schedule import SUCCEEDED
from mlgen.values import to_short_text

MAX_CELL = 30  # characters of a value
WINNER = "*"


def of_task(run: Run, task: str, *, logs: str | None, makers: Mapping[str, str]) -> list[str]:
    """Lines about a task: how many items, then a table of all, by the metric that is picked by, else in order.

    logs, makers: as of `runs_text.run`.
    """
    items = items_of(run.outcomes, task)
    by, best = picks(run.outcomes, task), winner(run.outcomes, task)
    if by is not None:
        items = ranked(items, by[0], highest=by[1])
    of = max((e.record.item.of for e in items if e.record.item is not None), default=0)
    begun = "" if len(items) == of else f", {len(items):,} of them begun"
    picked = is_picked(run, task)
    pick = f"; {words.best(by, best.record.label, picked=picked)}" if by and best else ""
    lines = [f"{task}  {words.items(of)}{begun}: {words.counts(e.record for e in items)}{pick}"]
    if logs is not None:
        lines.append(f"  log      mlgen logs {run.name} {task}[N]{logs}")
    return [*lines, *(f"  {line}" for line in _table(items, best if picked else None, makers))]


def is_picked(run: Run, task: str) -> bool:
    """Whether readers of a task that is swept were given what its best trial left: it has succeeded."""
    status = run.record.tasks.get(task) if run.record is not None else None
    return status is not None and status.status == SUCCEEDED


def _table(items: Sequence[Execution], best: Execution | None, makers: Mapping[str, str]) -> list[str]:
    variables = list(dict.fromkeys(n for e in items for n in (e.record.item.values if e.record.item else ())))
    metrics = list(dict.fromkeys(n for e in items for n in e.record.metrics))
    values = list(dict.fromkeys(n for e in items for n in e.record.values))
    rows = [["", "ITEM", *variables, *metrics, *values, "STATE", "TOOK"]]
    for execution in items:
        record = execution.record
        assert record.item is not None, "of an item"
        cells = [
            *(_cell(record.item.values, name) for name in variables),
            *(_cell(record.metrics, name) for name in metrics),
            *(_cell(record.values, name) for name in values),
        ]
        seconds = (moment(record.ended_at) - moment(record.started_at)).total_seconds()
        mark = WINNER if best is not None and execution.path == best.path else ""
        rows.append([mark, str(record.item.index), *cells, words.of_record(record, makers), f"{seconds:.1f} s"])
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ["  ".join(f"{c:{w}}" for c, w in zip(row, widths, strict=True)).rstrip() for row in rows]


def _cell(values: object, name: str) -> str:
    value = values.get(name) if hasattr(values, "get") else None
    text = "-" if value is None else visible(to_short_text(value))
    return text if len(text) <= MAX_CELL else text[: MAX_CELL - 1] + "…"
