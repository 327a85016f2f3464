"""The finally task `record`: run.json, which says what became of the run as a whole."""

from __future__ import annotations

from mlgen.ledger.folding.spool import Spool
from mlgen.ledger.records.run import RunRecord
from mlgen.ledger.records.task import State
from mlgen.runtime.ending import CANCELLED
from mlgen.runtime.invocation import RecordPod
from mlgen.runtime.milestone import Milestone, note, noted
from mlgen.store import Store

# Tekton's aggregate of `tasks` (docs/pipelines.md, "Using aggregate execution status of all tasks").
STATES = {"Succeeded": State.COMPLETE, "Completed": State.COMPLETE, "Failed": State.FAIL}


def record(pod: RecordPod, store: Store, now: str) -> None:
    """Put run.json into the spool. now: RFC 3339; this task begins when all `tasks` have ended.

    Any number of times: all have the same bytes. Raises CannotAnswer, StoreError, BadRecord, RecordTooLarge.
    """
    pipeline, run, uid = pod.document.pipeline, pod.run, pod.run_uid
    ended_at = note(store, Milestone.ENDED, pipeline=pipeline, run=run, run_uid=uid, time=now)
    # No pod could note it: then none got as far as its first step, and nothing ran.
    started_at = noted(store, Milestone.STARTED, pipeline=pipeline, run=run, run_uid=uid) or ended_at
    Spool(store).put(run_record(pod, started_at, ended_at))


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
    )
