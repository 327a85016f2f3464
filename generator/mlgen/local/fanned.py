"""The items of a fan while it runs here: which may start, what became of each, and how the task ends with them."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from mlgen.ledger.records.run import TaskStatus
from mlgen.ledger.records.task import Item, State, TaskRecord
from mlgen.local.events import Concluded
from mlgen.local.searched import Trials
from mlgen.plan.model import Fan, OutRef, Task
from mlgen.runtime.ending import CANCELLED, NO_ITEMS, PRUNED, STEP_FAILED, SUCCEEDED
from mlgen.runtime.fans.items import CHUNK, counted, elements
from mlgen.runtime.fans.late import text_of
from mlgen.runtime.fans.model import Count, Late, ListDocument
from mlgen.runtime.fans.outcomes import Outcome, winner
from mlgen.values import parse, to_text

ReadOut = Callable[[OutRef], "str | None"]


class Items(Protocol):
    """Where a fan's items come from. of: how many there are, at most where they are made while others run."""

    @property
    def of(self) -> int: ...

    def item(self, index: int, told: Sequence[Outcome]) -> tuple[Item, Mapping[str, str]]:
        """The item of a number, and the text of each variable. told: what became of those that have ended."""
        ...

    def may_begin(self, index: int, told: Sequence[Outcome]) -> bool:
        """Whether an item may begin now, apart from how many run."""
        ...


@dataclass(frozen=True, slots=True)
class Rows:
    """Items that are known when the fan begins."""

    items: tuple[tuple[Item, Mapping[str, str]], ...]

    @property
    def of(self) -> int:
        return len(self.items)

    def item(self, index: int, told: Sequence[Outcome]) -> tuple[Item, Mapping[str, str]]:
        return self.items[index]

    def may_begin(self, index: int, told: Sequence[Outcome]) -> bool:
        return True


def items_of(task: Task, read: ReadOut) -> Items:
    """The items of a fan, as `rows_of`; of a search those that it proposes."""
    search = task.fan.search if task.fan else None
    return rows_of(task, read) if search is None else Trials(search)


def rows_of(task: Task, read: ReadOut) -> Rows:
    """The items of a fan. read: a json out that its task wrote; None: an optional one that it did not.

    Raises StagingError, a sentence for people, where an out is no list or holds too much.
    """
    assert task.fan is not None, "of fans"
    return Rows(tuple(_of_lists(task, read) if task.fan.rows is None else _of_rows(task.fan, task.fan.rows)))


def _of_rows(fan: Fan, rows: Sequence[Sequence[str]]) -> Iterator[tuple[Item, Mapping[str, str]]]:
    pick = f"{'max' if fan.pick.highest else 'min'} {fan.pick.metric}" if fan.pick else None
    for index, row in enumerate(rows):
        texts = {v.name: text for v, text in zip(fan.variables, row, strict=True)}
        yield Item(index, len(rows), {v.name: parse(v.type, texts[v.name]) for v in fan.variables}, pick), texts


def _of_lists(task: Task, read: ReadOut) -> Iterator[tuple[Item, Mapping[str, str]]]:
    """Every combination, as `runtime.fans.items` numbers them."""
    assert task.fan is not None, "of fans"
    sources = {str(source): source for source in task.fan.lists if isinstance(source, OutRef)}
    lists = tuple(ListDocument(str(s) if isinstance(s, OutRef) else s) for s in task.fan.lists)

    def text(one: ListDocument) -> str | None:
        assert isinstance(one.source, str), "a list of texts is not read"
        return read(sources[one.source])

    of = counted(Count(0, task.name, CHUNK, False, lists), text).of
    columns = elements(lists, text)
    for index, values in enumerate(itertools.product(*columns)):
        texts = {v.name: to_text(value) for v, value in zip(task.fan.variables, values, strict=True)}
        found = {
            v.name: parse(v.type, texts[v.name]) if isinstance(source, tuple) else value
            for v, value, source in zip(task.fan.variables, values, task.fan.lists, strict=True)
        }
        yield Item(index, of, found), texts


@dataclass
class FanRun:
    """A fan that has begun. outcomes: by the item's number, of its last attempt. taken: of items that need not run.

    begun: the number below which every item has begun, or was taken.
    """

    task: Task
    items: Items
    taken: Sequence[Outcome] = ()
    outcomes: dict[int, Outcome] = field(default_factory=dict)
    running: set[int] = field(default_factory=set)
    failures: list[str] = field(default_factory=list)  # reasons
    cancelled: bool = False
    begun: int = 0

    def __post_init__(self) -> None:
        self.outcomes |= {outcome.index: outcome for outcome in self.taken}
        self._pass_over()

    def _pass_over(self) -> None:
        while self.begun in self.outcomes:
            self.begun += 1

    @property
    def told(self) -> list[Outcome]:
        """What became of the items that have ended, in order."""
        return [self.outcomes[index] for index in sorted(self.outcomes)]

    @property
    def _over(self) -> bool:
        assert self.task.fan is not None, "of fans"
        return len(self.failures) > self.task.fan.failures

    @property
    def _rest(self) -> bool:
        return self.begun < self.items.of and not self._over and not self.cancelled

    def next(self) -> tuple[Item, Mapping[str, str]] | None:
        """The next item that may start now, which then runs; None where none may."""
        assert self.task.fan is not None, "of fans"
        full = self.task.fan.parallel is not None and len(self.running) >= self.task.fan.parallel
        if full or not self._rest or not self.items.may_begin(self.begun, self.told):
            return None
        index, self.begun = self.begun, self.begun + 1
        self._pass_over()
        self.running.add(index)
        return self.items.item(index, self.told)

    def end(self, record: TaskRecord, texts: Mapping[str, str | None], *, cut_off: bool) -> None:
        """An item has ended, retries and all. cut_off: an interrupt kept it from that."""
        assert record.item is not None, "of an item"
        index = record.item.index
        self.running.discard(index)
        self.outcomes[index] = Outcome(
            index=index,
            attempt=record.attempt,
            run_id=record.run_id,
            state=record.state,
            texts=texts if record.state is State.COMPLETE else {},
            values=record.item.values,
            metrics=record.metrics,
            pruned=record.reason == PRUNED,
            reports=record.item.reports,
        )
        self.cancelled |= cut_off
        if record.state is not State.COMPLETE and record.reason != PRUNED:
            self.failures.append(record.reason)

    def give_up(self, item: Item) -> None:
        """An interrupt kept an item from its next attempt."""
        self.running.discard(item.index)
        self.cancelled = True

    def ended(self, *, stopping: bool) -> bool:
        """Whether no item runs, and none will. stopping: the run starts nothing more."""
        return not self.running and (stopping or not self._rest)

    def concluded(self, status: TaskStatus) -> Concluded:
        """What is told of it. status: how it ended."""
        state = State.COMPLETE if status.status == "Succeeded" else State.FAIL
        state = State.ABORT if status.reason == CANCELLED else state
        return Concluded(self.task.name, state, self.items.of, len(self.failures))

    def status(self) -> TaskStatus | None:
        """How the task ended with its items; None where the run stopped before all of them had run."""
        assert self.task.fan is not None, "of fans"
        if self.cancelled:
            return TaskStatus("Failed", CANCELLED)
        if self._over:
            return TaskStatus("Failed", self.failures[-1])
        if len(self.outcomes) < self.items.of:
            return None
        pick = self.task.fan.pick
        if pick is not None and winner(self.told, pick.metric, highest=pick.highest) is None:
            return TaskStatus("Failed", STEP_FAILED)
        return TaskStatus("Succeeded", SUCCEEDED if self.items.of else NO_ITEMS)


class FanResults(Mapping[str, str | None]):
    """What readers of a fan's outs are given, by the out's or the variable's name; made when it is asked for.

    Raises StagingError where that cannot be, as of a list that no variable could hold.
    """

    def __init__(self, task: Task, outcomes: Sequence[Outcome]) -> None:
        self._task, self._outcomes = task, outcomes
        self._made: dict[str, str | None] = {}

    def __getitem__(self, name: str) -> str | None:
        assert self._task.fan is not None, "of fans"
        if name not in self._made:
            pick = self._task.fan.pick
            metric, highest = (pick.metric, pick.highest) if pick else (None, True)
            late = Late(self._task.name, name, True, metric, highest, len(self._outcomes))
            self._made[name] = text_of(late, self._task.type_of(name), self._outcomes)
        return self._made[name]

    def __iter__(self) -> Iterator[str]:
        assert self._task.fan is not None, "of fans"
        yield from (out.name for out in self._task.outs)
        yield from (variable.name for variable in self._task.fan.variables if self._task.fan.pick)

    def __len__(self) -> int:
        return len(list(iter(self)))
