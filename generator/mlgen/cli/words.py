"""Plain words for what records say in Tekton's: the same while a run runs, at its end and in questions about it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING

from mlgen.canonical import Json
from mlgen.ledger.records.run import TaskStatus
from mlgen.ledger.records.task import State, TaskRecord
from mlgen.local import why
from mlgen.local.schedule import FAILED, GATE_FALSE, MISSING, PARENT, STOPPING, SUCCEEDED
from mlgen.plan.model import Plan
from mlgen.runtime.ending import CANCELLED, NO_ITEMS, PRUNED, ended_with, signal_name
from mlgen.runtime.reused import NOT_ASKED, REUSED
from mlgen.values import to_quoted_text

if TYPE_CHECKING:  # of a cluster
    from mlgen.cluster.events import Failure

STOPPED_EARLY = "stopped early"
UNTOLD = "and the ledger has no record of it"
MOST_OF_VARIABLES = 80  # characters of what an item is called by


def ending(state: State, exit_code: int | None, error: str | None) -> str:
    """How an attempt ended, such as `failed, exit code 7`."""
    word = state.word
    if exit_code is not None and error == ended_with(exit_code):
        # A shell whose command a signal ended says 128 and the signal's number (POSIX, 2.8.2).
        name = signal_name(exit_code - 128) if exit_code > 128 else None
        return f"{word}, exit code {exit_code}{f' (a command was ended by {name})' if name else ''}"
    if state is State.COMPLETE or not error:
        return word
    return f"{word}: {error}"


def of_failure(state: State, failure: Failure | None) -> str:
    """The same of an attempt in a cluster, of which no record may be at hand."""
    if failure is None:
        return state.word
    return ending(state, failure.exit_code, failure.message)


def of_record(record: TaskRecord, makers: Mapping[str, str] = MappingProxyType({})) -> str:
    """How a task's last attempt ended; attempts are counted from 1.

    makers: of executions from which others took what they left, by id: `train of first`, as far as that is known.
    """
    if record.reason == REUSED:
        return "reused"
    words = _ended(record)
    return f"{words}{f', attempt {record.attempt + 1}' if record.attempt else ''}{_cached(record, makers)}"


def _ended(record: TaskRecord) -> str:
    if record.reason == PRUNED and record.error:
        return record.error  # which says so: `stopped early, at step 3, by median`
    return ending(record.state, record.exit_code, record.error)


def _cached(record: TaskRecord, makers: Mapping[str, str]) -> str:
    if record.original_run_id is None:
        return ""
    maker = makers.get(record.original_run_id)
    return (
        f", cached: {f'{maker} made it ({record.original_run_id})' if maker else f'made by {record.original_run_id}'}"
    )


def counts(records: Iterable[TaskRecord]) -> str:
    """How the items of a task ended, such as `7 succeeded, 1 failed, 4 stopped early`."""
    every = list(records)
    found = Counter(STOPPED_EARLY if record.reason == PRUNED else record.state.word for record in every)
    order = (*(state.word for state in State), STOPPED_EARLY)
    cached = sum(record.original_run_id is not None and record.reason != REUSED for record in every)
    told = [f"{found[word]:,} {word}" for word in order if found[word]]
    return ", ".join(told) + (f" ({cached:,} cached)" if cached else "")


def best(pick: tuple[str, bool], label: str, *, picked: bool) -> str:
    """Which item is the best. pick: by which metric, and whether more of it is better.

    picked: whether readers got its outs.
    """
    so_far = "" if picked else " so far"
    return f"the best{so_far} by {'max' if pick[1] else 'min'} {pick[0]} is {label}"


def without_records(status: TaskStatus) -> str | None:
    """Of a task that succeeded, and of which there is no record; None of one that did not succeed."""
    if status.status != SUCCEEDED:
        return None
    if status.reason == REUSED:
        return "reused"
    return f"{State.COMPLETE.word}, {items(0)}" if status.reason == NO_ITEMS else f"{State.COMPLETE.word}, {UNTOLD}"


def items(of: int, failed: int = 0) -> str:
    """Such as `12 items, 2 of them failed`."""
    words = "no items" if not of else f"{of:,} item{'' if of == 1 else 's'}"
    return words + (f", {failed:,} of them failed" if failed else "")


def variables(given: Mapping[str, Json]) -> str:
    """The variables of an item, such as ` depth=3, rate=0.1`; nothing where it has none."""
    text = ", ".join(f"{name}={to_quoted_text(value)}" for name, value in given.items())
    return f" {text if len(text) <= MOST_OF_VARIABLES else text[: MOST_OF_VARIABLES - 1] + '…'}" if text else ""


def skip(reason: str, because: str) -> str:
    """Why a task did not run. because: in words for people, "" where that is not known."""
    if reason == GATE_FALSE:
        return f"skipped: its gate was false{because and f': {because}'}"
    if reason == NOT_ASKED:
        return "not asked for"
    if reason == STOPPING:
        return f"not started{because and f': {because}'}"
    known = {MISSING: "what it reads was not made", PARENT: "a task that it waits for was skipped"}
    return f"skipped: {because or known.get(reason, reason)}" if because or reason else "did not run"


def why_skipped(plan: Plan, task: str, reason: str, because: str) -> str:
    """Why a task of a cluster's run did not run: as `skip`, as far as that is known outside of its pods.

    because: of tasks that were not started, as `blame` has it.
    """
    known = {STOPPING: because}
    if reason == GATE_FALSE:
        known[reason] = " and ".join(condition.text for condition in plan.task(task).conditions)
    return skip(reason, known.get(reason, ""))


def untold(tasks: Mapping[str, TaskStatus], state: State) -> str:
    """Why a task did not run, where run.json has no reason: Tekton tells the pod that writes it none of a skip.

    As `skip` where that is sure; a gate that was false before the run came to its end may be why as well.
    """
    if state is State.COMPLETE:
        return "skipped: its gate was false, or that of a task before it"
    return f"{skip(STOPPING, blame(tasks, state))}; or its gate was false"


def blame(tasks: Mapping[str, TaskStatus], state: State) -> str:
    """Why tasks of a run were not started, as far as run.json says."""
    failed = [name for name, task in tasks.items() if task.status == FAILED and task.reason != CANCELLED]
    return why.failed(failed[0]) if failed and state is State.FAIL else why.INTERRUPTED
