"""What each task of a plan would be answered from, without running any: the same keys that a run would make."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from mlgen.ledger.records.task import Item, State
from mlgen.plan.model import Fan, InputRef, OutRef, ParamRef, Plan, Task
from mlgen.runtime.cache import entries as cache
from mlgen.runtime.cache import key as cache_key
from mlgen.runtime.cache.entries import Entry
from mlgen.runtime.cache.key import Key
from mlgen.runtime.fans.items import of_row
from mlgen.runtime.fans.late import text_of
from mlgen.runtime.fans.model import Late
from mlgen.runtime.fans.outcomes import Outcome
from mlgen.runtime.outs import StagingError
from mlgen.runtime.protocol import Execution, TaskDocument
from mlgen.runtime.texts import result
from mlgen.store import Store

MOST_COMPARED = 20  # items that are told with what changed

Files = Callable[[Task], Mapping[str, str]]  # of a task's code: posix path -> 64 hex of sha256


class Answer(StrEnum):
    HIT = "hit"
    MISS = "miss"
    RUNS = "runs"  # it is not cached
    UNKNOWN = "unknown"  # it reads what a run would make first


@dataclass(frozen=True, slots=True)
class Change:
    """A part of the key that differs from an earlier entry's; None: that has, or had, no such part."""

    part: str
    before: str | None
    after: str | None


@dataclass(frozen=True, slots=True)
class Explained:
    """What would become of a task. why: in words. entry: what would be taken, or of a miss what comes nearest to it.

    items: of a task that runs many times, where they are known; it is a hit if all of them are.
    """

    task: str
    answer: Answer
    why: str = ""
    key: Key | None = None
    entry: Entry | None = None
    changes: tuple[Change, ...] = ()
    items: tuple[Explained, ...] = ()


@dataclass
class Explainer:
    """document: of a task, as the engine has it. digest: of an input's bytes, read where its text does not say it.

    inputs: the text of each. params: the text of each.
    """

    plan: Plan
    store: Store
    now: datetime
    document: Callable[[Task], TaskDocument]
    params: Mapping[str, str]
    digest: Callable[[str], str]
    files: Files
    _known: dict[str, Mapping[str, str | None]] = field(default_factory=dict)
    _entries: dict[str, list[Entry]] = field(default_factory=dict)

    def explain(self) -> Iterator[Explained]:
        """Of each of `tasks`, in the order in which they would run. Raises CannotAnswer, StoreError."""
        for task in self.plan.tasks:
            found = self._explain(task)
            if found.answer is Answer.HIT and found.entry is not None:
                self._known[task.name] = found.entry.texts
            yield found

    def _explain(self, task: Task) -> Explained:
        document = self.document(task)
        if task.cache is None:
            return Explained(task.name, Answer.RUNS, "it is not cached")
        if document.cache is None:
            return Explained(task.name, Answer.RUNS, "its image is not pinned, and a tag is no key")
        if task.fan is not None:
            why = _unknown_items(task.fan)
            if why is not None:
                return Explained(task.name, Answer.UNKNOWN, why)
        waits = [i.source.task for i in task.ins if isinstance(i.source, OutRef) and i.source.task not in self._known]
        if waits:
            names = ", ".join(sorted(set(waits)))
            return Explained(task.name, Answer.UNKNOWN, f"what it reads is made first, by {names}")
        if task.fan is not None:
            return self._explain_items(task, document)
        return self._explain_one(task, document, None)

    def _explain_items(self, task: Task, document: TaskDocument) -> Explained:
        """What would become of each item. What changed is said of the first ones only: each is compared with all
        that the task has made.
        """
        assert task.fan is not None, "it has items"
        assert task.fan.rows is not None, "they are known"
        assert document.fan is not None, "as the plan has one"
        found: list[Explained] = []
        missed = 0
        for index, row in enumerate(task.fan.rows):
            texts = {v.name: text for v, text in zip(task.fan.variables, row, strict=True)}
            item = of_row(document.fan, index, texts)
            found.append(self._explain_one(task, document, item, compared=missed < MOST_COMPARED))
            missed += found[-1].answer is Answer.MISS
        if missed:
            why = f"{missed:,} of its {len(found):,} items, the others are cached"
            return Explained(
                task.name, Answer.MISS, why if missed < len(found) else "all of its items", items=(*found,)
            )
        self._know_items(task, found)
        return Explained(task.name, Answer.HIT, items=tuple(found))

    def _know_items(self, task: Task, items: Sequence[Explained]) -> None:
        """Note what readers of a fan whose items are all taken would get."""
        outcomes = [
            Outcome(
                index=index,
                attempt=0,
                run_id=one.entry.record.run_id,
                state=State.COMPLETE,
                texts=one.entry.texts,
                values=one.entry.record.item.values if one.entry.record.item else {},
                metrics=one.entry.record.metrics,
            )
            for index, one in enumerate(items)
            if one.entry is not None
        ]
        fan = task.fan
        assert fan is not None, "it has items"
        metric, highest = (fan.pick.metric, fan.pick.highest) if fan.pick else (None, True)
        names = [out.name for out in task.outs] + [v.name for v in fan.variables if fan.pick]
        with suppress(StagingError):  # what nobody could read: who reads it fails, and is not known before
            self._known[task.name] = {
                name: text_of(Late(task.name, name, True, metric, highest, len(items)), task.type_of(name), outcomes)
                for name in names
            }

    def _explain_one(
        self, task: Task, document: TaskDocument, item: Item | None, *, compared: bool = True
    ) -> Explained:
        """Of a task that runs once, or of an item. compared: whether a miss is told with what changed."""
        name = task.name if item is None else f"{task.name}[{item.index}]"
        key = self._key(task, document, item)
        found = cache.look_up_for(document, self.store, key, now=self.now, claimant=None)
        if isinstance(found, Entry):
            return Explained(name, Answer.HIT, key=key, entry=found)
        if found.entry is not None:
            return Explained(name, Answer.MISS, found.why, key, found.entry)
        if not compared:
            return Explained(name, Answer.MISS, found.why, key)
        if task.name not in self._entries:
            self._entries[task.name] = cache.entries(self.store, document.pipeline, document.task)
        near = nearest(key, self._entries[task.name], index=None if item is None else item.index)
        if near is None:
            return Explained(name, Answer.MISS, "it has made nothing yet that could be taken", key)
        return Explained(name, Answer.MISS, "", key, near, tuple(self._changes(task, key, near)))

    def _key(self, task: Task, document: TaskDocument, one: Item | None) -> Key:
        ins, digests = dict[str, str](), dict[str, str]()
        for item in task.ins:
            match item.source:
                case ParamRef(name=name):
                    text: str | None = self.params[name]
                case InputRef(name=name):
                    text = ""
                    digests[item.name] = self.digest(name)
                case OutRef(task=producer, out=out):
                    text = self._known[producer].get(out)
                case literal:
                    text = literal.text
            ins[item.name] = result(text, optional=item.optional)
        execution = Execution(
            run="",
            run_uid="",
            run_id="",
            attempt=0,
            ins=ins,
            gate_values={f"params.{name}": text for name, text in self.params.items()},
            params={},
            spec_digest="",
            plan_digest="",
            commit=None,
            engine="",
            item=one,
        )
        known = cache_key.known_digests(document, execution, besides=digests) or {}
        return cache_key.make(document, execution, {**known, **digests})

    def _changes(self, task: Task, key: Key, near: Entry) -> Iterator[Change]:
        for part, before, after in differing(near.key, key):
            if part == "code" and near.files is not None:
                now = self.files(task)
                yield from (Change(f"code {p}", b, a) for p, b, a in _differing(near.files, now))
            else:
                yield Change(part, before, after)


def _unknown_items(fan: Fan) -> str | None:
    """Why nobody knows the items of a fan beforehand; None where they are known."""
    if fan.search is not None:
        return "its trials are proposed by what those before them leave"
    return "its items are those of a list that a task leaves" if fan.rows is None else None


def differing(before: Key, after: Key) -> list[tuple[str, str | None, str | None]]:
    """(name, before, after) of the parts in which two keys differ."""
    return _differing(before.parts, after.parts)


def _differing(before: Mapping[str, str], after: Mapping[str, str]) -> list[tuple[str, str | None, str | None]]:
    names = sorted({*before, *after})
    return [(name, before.get(name), after.get(name)) for name in names if before.get(name) != after.get(name)]


def nearest(key: Key, entries: list[Entry], *, index: int | None = None) -> Entry | None:
    """The entry with the fewest other parts; of equals that of the same item, and of those the latest; none of
    another environment.
    """

    def distance(entry: Entry) -> tuple[int, bool]:
        its = entry.record.item
        return len(differing(entry.key, key)), (its.index if its is not None else None) != index

    alike = [entry for entry in entries if entry.key.parts.get("env") == key.parts.get("env")]
    return min(reversed(alike), key=distance, default=None)
