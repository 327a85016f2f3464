"""Which runs there were: those that were asked for, the latest or the best of them first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from mlgen.canonical import Json
from mlgen.gates import Ref
from mlgen.ledger.index import rows
from mlgen.ledger.index.history import LATEST, History
from mlgen.ledger.questions.query import summary
from mlgen.ledger.questions.read import Run
from mlgen.ledger.questions.where import COLUMNS, Condition, condition, fact_of, notes, number
from mlgen.ledger.records.task import State, TaskRecord


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which runs. All that is said must hold. since, until: of a run's end; a run that ended at `until` is not in it.

    where: expressions. best: the name of a number to sort by, and whether more of it is better; a run without it is
    left out. limit: None is all.
    """

    pipeline: str | None = None
    state: State | None = None
    since: datetime | None = None
    until: datetime | None = None
    labels: Mapping[str, str] = field(default_factory=dict)
    where: Sequence[str] = ()
    best: tuple[str, bool] | None = None
    limit: int | None = None


@dataclass(frozen=True, slots=True)
class Listing:
    """runs: with their executions. more: how many others there are. asked: what conditions and order read of a run.

    notes: for people. ledger: the commit that it rests on.
    """

    runs: list[Run]
    more: int
    asked: tuple[Ref, ...]
    notes: tuple[str, ...]
    ledger: str | None


def select(history: History, wanted: Wanted) -> Listing:
    """The runs that are wanted. Raises Misuse "bad-condition"."""
    conditions = [*_plain(wanted), *(condition(history, text) for text in wanted.where)]
    join, order = "", LATEST
    of_order: tuple[object, ...] = ()
    first: tuple[Ref, ...] = ()
    if wanted.best is not None:
        ref, fact = number(history, wanted.best[0])
        extreme, direction = ("max", "DESC") if wanted.best[1] else ("min", "ASC")
        join = f"""JOIN (SELECT run, {extreme}(value) AS value FROM fact WHERE kind = ? AND name = ?
            AND (? = '' OR task = ?) AND type = 'number' GROUP BY run) best ON best.run = r.id"""
        of_order = (fact.kind, fact.name, fact.task, fact.task)
        order, first = f"best.value {direction}, {LATEST}", (ref,)
    test = " AND ".join(f"({one.sql})" for one in conditions) or "1"
    parameters = (*of_order, *(p for one in conditions for p in one.parameters))
    limit = -1 if wanted.limit is None else wanted.limit
    runs = history.whole_runs(f"{join} WHERE {test} ORDER BY {order} LIMIT ?", *parameters, limit)
    more = 0
    if len(runs) == wanted.limit:
        more = history.select(f"SELECT count(*) FROM run r {join} WHERE {test}", *parameters)[0][0] - len(runs)
    asked = dict.fromkeys(Ref(ref.owner, ref.name) for ref in (*first, *(r for one in conditions for r in one.asked)))
    return Listing(runs, more, tuple(asked), notes(history, asked), history.commit)


def _plain(wanted: Wanted) -> list[Condition]:
    found = []
    if wanted.pipeline is not None:
        found.append(Condition("r.pipeline = ?", (wanted.pipeline,)))
    if wanted.state is not None:
        found.append(Condition("r.state = ?", (str(wanted.state),)))
    if wanted.since is not None:
        found.append(Condition("r.ended >= ?", (rows.microseconds_of(wanted.since),)))
    if wanted.until is not None:
        found.append(Condition("r.ended < ?", (rows.microseconds_of(wanted.until),)))
    for label in wanted.labels.items():
        sql = "EXISTS (SELECT 1 FROM fact f WHERE f.run = r.id AND f.kind = 'labels' AND f.name = ? AND f.value = ?)"
        found.append(Condition(sql, label))
    return found


def to_json(listing: Listing) -> dict[str, Any]:
    """`{"runs": [run.json with "metrics" by "task.name"…], "more": count, "ledger": commit}`."""
    runs = [{**summary(run), "metrics": metrics(run)} for run in listing.runs]
    return {"runs": runs, "more": listing.more, "ledger": listing.ledger}


def metrics(run: Run) -> dict[str, Json]:
    """The metrics of a run by "task.name"; of a task that ran many times a list, in the order of its items."""
    found: dict[str, Json] = {}
    for record in (e.record for e in run.outcomes):
        for name, value in record.metrics.items():
            _put(found, f"{record.task}.{name}", record, value)
    return found


def _put(found: dict[str, Json], key: str, record: TaskRecord, value: Json) -> None:
    """Add what an execution has: of an item to the list of all."""
    if record.item is None:
        found[key] = value
    else:
        listed = found.setdefault(key, [])
        assert isinstance(listed, list), "a task has items, or has none"
        listed.append(value)


def values_of(run: Run, ref: Ref) -> dict[str, Json]:
    """What a run has of what was asked for: by task, of one that ran many times a list; or by "", its own."""
    fact = fact_of(ref)
    about = summary(run)
    if fact is None or fact.kind not in ("metrics", "values"):
        held = about.get(ref.owner)
        value = held.get(ref.name) if isinstance(held, dict) else held
        return {} if value is None or str(ref) in COLUMNS else {"": value}
    found: dict[str, Json] = {}
    for record in (e.record for e in run.outcomes if fact.task in ("", e.record.task)):
        held = getattr(record, fact.kind)
        if fact.kind == "values" and record.item is not None:
            held = {**record.item.values, **held}
        if (value := held.get(fact.name)) is not None:
            _put(found, record.task, record, value)
    return found
