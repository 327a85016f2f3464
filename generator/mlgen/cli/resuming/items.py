"""Which items of a fan need not run again (decision 0034): those that a run left, and that are what they were there."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from mlgen import canonical
from mlgen.canonical import Json
from mlgen.ledger.records.task import Item, State, TaskRecord
from mlgen.local.fanned import ReadOut, rows_of
from mlgen.plan.model import Task
from mlgen.runtime.ending import PRUNED
from mlgen.runtime.fans.outcomes import Outcome, winner
from mlgen.runtime.reused import Items, texts_of
from mlgen.store.threads import threads

LOOKS = 8  # at once, for bytes: each a trip to the bucket


@dataclass(frozen=True, slots=True)
class Left:
    """What a run left of a fan. records: of its items, by number. succeeded: whether the task did, all in all.

    artifacts: of the environment. gone: which of the bytes of an item are not there any more, None where all are.
    """

    records: Mapping[int, TaskRecord]
    succeeded: bool
    artifacts: str
    gone: Callable[[TaskRecord], str | None]

    def known(self, task: Task, read: ReadOut) -> tuple[Items, str | None]:
        """The items that need not run again; and why the task runs for others, None where there are none.

        read: as of `rows_of`, whose faults this raises, too.
        """
        asked, of = _asked(task, read)
        same = {
            index: record
            for index, record in self.records.items()
            if index < of and record.item is not None and (asked is None or _same(asked[index], record.item.values))
        }
        told = {index: self._outcome(task, record, of) for index, record in same.items() if _ended_well(record)}
        lost = {index: outcome for index, outcome in told.items() if isinstance(outcome, str)}
        outcomes = {index: outcome for index, outcome in told.items() if isinstance(outcome, Outcome)}
        lost |= self._lost([same[index] for index in outcomes])
        outcomes = {index: outcome for index, outcome in outcomes.items() if index not in lost}
        borne = {index: _without_texts(record, of) for index, record in same.items() if not _ended_well(record)}
        if self.succeeded and len(outcomes) + len(borne) == of:  # it was no worse for those that failed
            everything = {**outcomes, **borne}
            if _ends_well(task, len(borne), list(everything.values())):
                return _items(task, of, same, everything), None
        found = _items(task, of, same, outcomes)
        if len(outcomes) == of:
            well = _ends_well(task, 0, found.outcomes)
            return (found, None) if well else (Items(of, (), ()), "there is none to pick")
        why = next(iter(lost.values()), None) or self._why(of, same)
        return found, f"{of - len(outcomes)} of {of} items: {why}"

    def other(self, task: Task, items: Items, before: Mapping[str, Json]) -> str | None:
        """Why a fan that is known hands on something else than it did, None where it does not.

        before: what it was in that run, as in a plan's JSON.
        """
        old, new = before.get("pick"), _pick(task)
        had = max((record.item.of for record in self.records.values() if record.item is not None), default=0)
        outcomes = [_without_texts(record, had) for record in self.records.values()]
        if _handed(outcomes, had, str(old) if old else None) == _handed(items.outcomes, items.of, new):
            return None
        if old != new:
            return f"{task.name} has {f'the pick {new}' if new else 'no pick'} now, had {old or 'none'}"
        if had != items.of:
            return f"{task.name} has {items.of} item{'' if items.of == 1 else 's'} now, had {had}"
        return f"{task.name} hands on other items"

    def _why(self, of: int, same: Mapping[int, TaskRecord]) -> str:
        """Of those that are left."""
        if any(not _ended_well(record) for record in same.values()):
            return "failed"
        return "other values" if any(index < of and index not in same for index in self.records) else "not run there"

    def _outcome(self, task: Task, record: TaskRecord, of: int) -> Outcome | str:
        if record.state is not State.COMPLETE:
            return _without_texts(record, of)
        texts = texts_of(record, task, self.artifacts)
        if isinstance(texts, str):
            return texts
        return replace(_without_texts(record, of), texts=texts)

    def _lost(self, records: Sequence[TaskRecord]) -> dict[int, str]:
        """Items of which bytes are gone, and which, in words."""
        with threads(LOOKS) as pool:
            told = zip(records, pool.map(self.gone, records), strict=True)
            return {record.part[1]: why for record, why in told if why is not None}


def _asked(task: Task, read: ReadOut) -> tuple[list[Mapping[str, Json]] | None, int]:
    """The values of each item as it is now, and how many there are; None for a search: it takes what was tried."""
    assert task.fan is not None, "of fans"
    if task.fan.search is not None:
        return None, task.fan.search.trials
    rows = rows_of(task, read)
    return [item.values for item, _ in rows.items], rows.of


def _same(values: Mapping[str, Json], others: Mapping[str, Json]) -> bool:
    return canonical.encode(dict(values)) == canonical.encode(dict(others))  # as bytes: 1 is not True, nor 1.0


def _pick(task: Task) -> str | None:
    """As a plan's JSON and records have it."""
    pick = task.fan.pick if task.fan else None
    return f"{'max' if pick.highest else 'min'} {pick.metric}" if pick else None


def _handed(outcomes: Sequence[Outcome], of: int, pick: str | None) -> object:
    """Which items of one run readers are told of: the winner alone, or all that succeeded, and among how many."""
    if pick is None:
        return of, frozenset(outcome.index for outcome in outcomes if outcome.state is State.COMPLETE)
    best, _, metric = pick.partition(" ")
    won = winner(outcomes, metric, highest=best == "max")
    return None if won is None else won.index


def _ended_well(record: TaskRecord) -> bool:
    return record.state is State.COMPLETE or record.reason == PRUNED


def _items(task: Task, of: int, records: Mapping[int, TaskRecord], outcomes: Mapping[int, Outcome]) -> Items:
    found = tuple(_in(task, records[index], of) for index in sorted(outcomes))
    return Items(of, found, tuple(outcomes[index] for index in sorted(outcomes)))


def _without_texts(record: TaskRecord, of: int) -> Outcome:
    """What is told of an item, but for the texts of its outs, which only one that succeeded has."""
    assert record.item is not None, "of an item"
    return Outcome(
        index=record.item.index,
        attempt=0,
        run_id=record.run_id,
        state=record.state,
        texts={},
        values=record.item.values,
        metrics=record.metrics,
        of=of,
        pruned=record.reason == PRUNED,
        reports=record.item.reports,
    )


def _in(task: Task, record: TaskRecord, of: int) -> TaskRecord:
    """The record as one of the fan as it is now."""
    assert record.item is not None, "of an item"
    return replace(record, item=Item(record.item.index, of, record.item.values, _pick(task), record.item.reports))


def _ends_well(task: Task, failures: int, outcomes: Sequence[Outcome]) -> bool:
    """Whether a task with such items succeeded."""
    assert task.fan is not None, "of fans"
    pick = task.fan.pick
    best = pick is None or winner(outcomes, pick.metric, highest=pick.highest) is not None
    return failures <= task.fan.failures and best
