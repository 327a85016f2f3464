"""A pod's look into the bucket for what became of late tasks (decision 0031)."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field

from mlgen import canonical
from mlgen.diagnostic import Fault
from mlgen.ledger.records.fields import BadRecord
from mlgen.ledger.records.task import Item, State, TaskRecord
from mlgen.runtime.ending import PRUNED
from mlgen.runtime.fans import late as late_text
from mlgen.runtime.fans import outcomes
from mlgen.runtime.fans.model import Late
from mlgen.runtime.fans.outcomes import Outcome
from mlgen.runtime.outs import StagingError, reason_of
from mlgen.store import Missing, Store, StoreError, Taken
from mlgen.store.threads import threads
from mlgen.values import Type

READS = 8  # requests at once: an outcome is small, and each request a trip


@dataclass
class Gathering:
    """The outcomes of a run's late tasks, each task's read once."""

    open_store: Callable[[], Store]
    pipeline: str
    run_uid: str
    _found: dict[str, list[Outcome]] = field(default_factory=dict)

    def text(self, late: Late, type_: Type) -> str | None:
        """As `late.text_of`. Raises StagingError also where an item's outcome is missing, or none can be read."""
        if late.task not in self._found:
            self._found[late.task] = self._all(late)
        return late_text.text_of(late, type_, self._found[late.task])

    def _all(self, late: Late) -> list[Outcome]:
        try:
            store = self.open_store()
            found = read(store, self.pipeline, self.run_uid, late.task)
            of = late.of
            if of is None:
                of = count(store, self.pipeline, self.run_uid, late.task)
        except (StoreError, Fault, OSError, BadRecord) as error:
            reason = str(error) if isinstance(error, BadRecord) else reason_of(error)
            raise StagingError(f'what became of "{late.task}" cannot be read: {reason}') from None
        gone = late_text.missing(found, of)
        if gone:
            numbers = ", ".join(map(str, gone[:3])) + (", ..." if len(gone) > 3 else "")
            raise StagingError(f'what became of "{late.task}" is not there for {len(gone)} of {of} items: {numbers}')
        return found


def read(store: Store, pipeline: str, run_uid: str, task: str, *, below: int | None = None) -> list[Outcome]:
    """All outcomes of a task in a run, or those of items below a number. Raises StoreError, Fault, BadRecord."""
    counts = f"{outcomes.count_folder(pipeline, run_uid, task)}/"
    keys = [key for key in store.keys(outcomes.folder(pipeline, run_uid, task)) if not key.startswith(counts)]
    if below is not None:
        keys = [key for key in keys if outcomes.index_and_attempt(key)[0] < below]
    if len(keys) < READS:
        return [outcomes.from_bytes(store.get(key)) for key in keys]
    with threads(READS) as pool:
        return list(map(outcomes.from_bytes, pool.map(store.get, keys)))


def put_count(store: Store, pipeline: str, run_uid: str, task: str, of: int) -> None:
    """Tell how many items a fan of this run has: what is told last counts. Raises StoreError, Fault."""
    data = canonical.encode({"version": outcomes.VERSION, "of": of})
    number = _last_count(store, pipeline, run_uid, task)
    if number and store.get(outcomes.count_key(pipeline, run_uid, task, number)) == data:
        return
    while True:
        number += 1
        with suppress(Taken):  # another told of it at the same time, and came first
            store.put(outcomes.count_key(pipeline, run_uid, task, number), data)
            return


def _last_count(store: Store, pipeline: str, run_uid: str, task: str) -> int:
    """The number under which it was told last how many items there are; 0 where nobody has."""
    keys = store.keys(outcomes.count_folder(pipeline, run_uid, task))
    return max(map(outcomes.count_number, keys), default=0)


def count(store: Store, pipeline: str, run_uid: str, task: str) -> int:
    """How many items a fan of the run has. Raises StoreError, Fault; BadRecord where nobody has told."""
    number = _last_count(store, pipeline, run_uid, task)
    try:
        of = json.loads(store.get(outcomes.count_key(pipeline, run_uid, task, number)))["of"]
    except (Missing, ValueError, KeyError, TypeError, RecursionError):
        raise BadRecord("how many items it has was not told") from None
    if type(of) is not int:
        raise BadRecord("how many items it has is no number")
    return of


def put(
    store: Store,
    record: TaskRecord,
    texts: Mapping[str, str | None],
    *,
    last: bool = True,
    looked_up: bool = False,
) -> None:
    """Tell what became of an execution, once its record is durable. Raises StoreError, Fault.

    texts: of its outs. last: whether no other attempt follows one that failed.
    looked_up: by a pod that only looks into the cache.
    Of one that was ended from outside there is nothing to tell: its TaskRun fails, and with it the task.
    """
    item = record.item or Item(0, 1)
    pruned = record.reason == PRUNED
    if record.state is State.ABORT and not pruned:
        return
    outcome = Outcome(
        index=item.index,
        attempt=record.attempt,
        run_id=record.run_id,
        state=record.state,
        texts=texts if record.state is State.COMPLETE else {},
        values=item.values,
        metrics=record.metrics,
        of=item.of,
        pruned=pruned,
        reports=item.reports,
        looked_up=looked_up,
    )
    last = last and record.state is State.FAIL
    key = outcomes.key(record.pipeline, record.run_uid, record.task, outcome, last=last)
    store.put(key, outcomes.to_bytes(outcome))


def failed(store: Store, pipeline: str, run_uid: str, task: str, *, borne: int) -> set[int]:
    """The items that failed with all their attempts, by number. Raises StoreError, Fault.

    borne: how many of them the task bears. Only of more than these it is asked which succeeded after all: in a pod that
    was made again for one that vanished, or an attempt that could not hear that it is refused.
    """
    apart = outcomes.failed_folder(pipeline, run_uid, task), outcomes.count_folder(pipeline, run_uid, task)
    keys = store.keys(apart[0])
    gone = dict(sorted(outcomes.index_and_attempt(key) for key in keys if key.endswith(outcomes.LAST)))
    if len(gone) <= borne:
        return set(gone)
    for key in store.keys(outcomes.folder(pipeline, run_uid, task)):
        if key.startswith(tuple(f"{folder}/" for folder in apart)):
            continue
        index, attempt = outcomes.index_and_attempt(key)
        if attempt >= gone.get(index, attempt + 1):
            del gone[index]
    return set(gone)
