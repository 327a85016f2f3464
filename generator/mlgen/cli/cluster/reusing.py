"""What a run in a cluster reuses of an earlier one: its records there, and its part in the answer."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from mlgen.cli.ledgers.records import Records
from mlgen.cluster.api import Object
from mlgen.cluster.events import Outcome
from mlgen.ledger.records.run import TaskStatus
from mlgen.ledger.records.task import Source, TaskRecord
from mlgen.plan.model import Plan
from mlgen.render.resumed import counted_in
from mlgen.runtime.ending import fix
from mlgen.runtime.fans import gathering, outcomes
from mlgen.runtime.fans.outcomes import Outcome as Told
from mlgen.runtime.pod import contract as pod
from mlgen.runtime.reused import NOT_ASKED, REUSED, Into, Items, record_in
from mlgen.runtime.texts import result
from mlgen.store.threads import threads
from mlgen.values import parse

if TYPE_CHECKING:  # most runs take up no other
    from mlgen.cli.resuming.resumption import Resumption

PUTS = 8  # at once


def entries(plan: Plan, resumed: Resumption | None) -> frozenset[str]:
    """The tasks, finally tasks among them, that are part of the run."""
    names = frozenset(task.name for task in plan.all_tasks)
    return names if resumed is None else names - set(resumed.tasks) - resumed.left_out


def put(records: Records, plan: Plan, stored: Object, resumed: Resumption) -> None:
    """Put the records of what is reused into the spool, for the run that is stored, and not begun.

    Again is harmless, also after a kill: their times are that of the run's creation, so they have the same bytes.
    """
    about = stored["metadata"]
    notes = about.get("annotations") or {}
    commit = notes.get("mlgen.dev/commit")
    texts = {name: text for name, _, text in (given.partition("=") for given in resumed.given)}
    params = {p.name: parse(p.type, text) for p in plan.params if (text := texts.get(p.name, p.default)) is not None}
    into = Into(
        run=about["name"],
        uid=about["uid"],
        at=about["creationTimestamp"],
        params=params,
        spec_digest=plan.spec_digest,
        plan_digest=plan.digest,
        source=Source(commit, plan.source, notes.get("mlgen.dev/repository")) if commit else None,
    )
    for name, original in resumed.reused.items():
        record = record_in(original, into)
        records.put(fix(record).data)
        task = plan.task(name)
        if task.late:  # its readers look for what it left in the bucket
            texts_of_outs = {out.name: resumed.known[name][out.name] for out in task.outs}
            told = Told(0, 0, record.run_id, record.state, texts_of_outs, {}, record.metrics)
            records.store.put(outcomes.key(plan.name, into.uid, name, told), outcomes.to_bytes(told))
    # Of fans over lists of the run: nobody counts their items where those who would do not run.
    counts = {
        name: items.of for name, items in resumed.items.items() if name in resumed.known and _is_counted(plan, name)
    }
    counts |= {name: count.of for name, count in counted_in(plan, resumed.known).items()}
    for name, of in counts.items():
        gathering.put_count(records.store, plan.name, into.uid, name, of)
    for name, items in resumed.items.items():
        _put_items(records, plan.name, name, items, into)


def _is_counted(plan: Plan, name: str) -> bool:
    fan = plan.task(name).fan
    return fan is not None and fan.of is None


def _put_items(records: Records, pipeline: str, task: str, items: Items, into: Into) -> None:
    """The records of a fan's items, then what readers are told of them; many at once, as there may be thousands."""

    def put_one(original: TaskRecord, told: Told) -> None:
        record = record_in(original, into)
        records.put(fix(record).data)
        told = replace(told, run_id=record.run_id)
        records.store.put(outcomes.key(pipeline, into.uid, task, told), outcomes.to_bytes(told))

    with threads(PUTS) as pool:
        list(pool.map(put_one, items.records, items.outcomes))


def whole(plan: Plan, outcome: Outcome, resumed: Resumption | None) -> Outcome:
    """What became of a run, with the tasks that were no part of it."""
    if resumed is None:
        return outcome
    tasks = dict(outcome.tasks)
    others = dict(outcome.others)
    tasks |= {name: TaskStatus("Succeeded", REUSED) for name in resumed.tasks}
    left_out = {name: TaskStatus("None", NOT_ASKED) for name in resumed.left_out}
    names = [task.name for task in plan.tasks]
    tasks |= {name: status for name, status in left_out.items() if name in names}
    others |= {name: status for name, status in left_out.items() if name not in names}
    results = dict(outcome.results)
    for name in resumed.reused:
        outs = plan.task(name).outs
        texts = {out.name: result(resumed.known[name][out.name], optional=out.optional) for out in outs}
        results[name] = {out: pod.escape(text) for out, text in texts.items()}
    return replace(outcome, tasks={name: tasks[name] for name in names}, others=others, results=results)
