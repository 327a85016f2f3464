"""The finally task `record`: run.json, which says what became of the run as a whole."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from mlgen.ledger.folding.spool import Spool
from mlgen.ledger.records.fields import BadRecord
from mlgen.ledger.records.run import RunRecord, TaskStatus
from mlgen.ledger.records.task import State
from mlgen.runtime.ending import CANCELLED, NO_ITEMS
from mlgen.runtime.fans.gathering import count, read
from mlgen.runtime.fans.model import Count
from mlgen.runtime.pod.invocation import RecordPod, TaskPod, statuses_of
from mlgen.runtime.pod.milestone import Milestone, note, noted
from mlgen.runtime.protocol import Statuses
from mlgen.runtime.statuses import text
from mlgen.store import Store

# Tekton's aggregate of `tasks` (docs/pipelines.md, "Using aggregate execution status of all tasks").
CACHED = "Cached"  # the reason of a task that a pod without its GPU has found in the cache
SUCCEEDED, FAILED, NONE = "Succeeded", "Failed", "None"
TASKS = "MLGEN_TASKS"  # the variable of a finally task's script, and its file
STATES = {"Succeeded": State.COMPLETE, "Completed": State.COMPLETE, "Failed": State.FAIL}


def record(pod: RecordPod, store: Store, now: str) -> None:
    """Put run.json into the spool. now: RFC 3339; this task begins when all `tasks` have ended.

    Any number of times: all have the same bytes. Raises CannotAnswer, StoreError, BadRecord, RecordTooLarge.
    """
    pipeline, run, uid = pod.document.pipeline, pod.run, pod.run_uid
    ended_at = note(store, Milestone.ENDED, pipeline=pipeline, run=run, run_uid=uid, time=now)
    # No pod could note it: then none got as far as its first step, and nothing ran.
    started_at = noted(store, Milestone.STARTED, pipeline=pipeline, run=run, run_uid=uid) or ended_at
    Spool(store).put(run_record(folded(found(pod, store), store), started_at, ended_at))


def tasks_text(pod: TaskPod, statuses: Statuses, store: Store) -> tuple[str, str]:
    """What the script of a finally task is told of all tasks, as `runtime.statuses`. Raises what the store raises."""
    tasks, chunks = statuses_of(pod.tasks)
    run = pod.execution
    document = replace(pod.document, counts=statuses.counts, lookups=statuses.lookups)
    whole = RecordPod(document, run.run, run.run_uid, run.params, run.spec_digest, None, "", tasks, chunks=chunks)
    return text(folded(found(whole, store), store).tasks)


def found(pod: RecordPod, store: Store) -> RecordPod:
    """With the tasks succeeded that were taken from the cache, of which Tekton says that they were skipped."""
    statuses = dict(pod.tasks)
    for task in pod.document.lookups:
        if statuses[task].status == NONE and read(store, pod.document.pipeline, pod.run_uid, task):
            statuses[task] = TaskStatus(SUCCEEDED, CACHED)
    return replace(pod, tasks=statuses)


def folded(pod: RecordPod, store: Store) -> RecordPod:
    """With one status of each fan that Tekton has as several of its tasks."""
    if not pod.chunks:
        return pod
    counts = {one.task: one for one in pod.document.counts}  # of these only the run knew how many items they have
    statuses = dict(pod.tasks)
    for task, chunks in pod.chunks.items():
        there: Sequence[int] = range(len(chunks))
        if task in counts:
            there = _with_items(counts[task], len(chunks), store, pod)
        statuses[task] = fold([chunks[at] for at in there])
    return replace(pod, tasks=statuses)


def fold(chunks: Sequence[TaskStatus]) -> TaskStatus:
    """The status of a fan from those of its chunks that have items: of all that it needs, the first one that is not
    so well as the others; without any it has succeeded.
    """
    ranks = [FAILED, NONE, SUCCEEDED]
    return min(chunks, key=lambda one: ranks.index(one.status), default=TaskStatus(SUCCEEDED, NO_ITEMS))


def _with_items(counted: Count, chunks: int, store: Store, pod: RecordPod) -> Sequence[int]:
    """Which chunks have items: the full ones come first, and what is over is in the last."""
    try:
        of = count(store, pod.document.pipeline, pod.run_uid, counted.task)
    except BadRecord:  # its list was never made
        return range(chunks)
    full = of // counted.chunk
    rest = [chunks - 1] if of % counted.chunk else []
    return [*range(min(full, 1) if counted.square else full), *rest]


def run_record(pod: RecordPod, started_at: str, ended_at: str) -> RunRecord:
    """What became of a run."""
    cancelled = any(task.reason == CANCELLED for task in pod.tasks.values())
    return RunRecord(
        run=pod.run,
        uid=pod.run_uid,
        pipeline=pod.document.pipeline,
        env=pod.document.env,
        state=State.ABORT if cancelled else STATES.get(pod.status, State.ABORT),
        started_at=started_at,
        ended_at=ended_at,
        params=pod.params,
        tasks=pod.tasks,
        spec_digest=pod.spec_digest,
        commit=pod.commit,
        labels=pod.labels,
        owner=pod.owner,
        resumes=pod.resumes,
    )
