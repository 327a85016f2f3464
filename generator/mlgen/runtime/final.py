"""The finally task `record`: run.json, which says what became of the run as a whole."""

from __future__ import annotations

from mlgen.ledger.record import State
from mlgen.ledger.run import RunRecord
from mlgen.ledger.spool import Spool
from mlgen.runtime import runstart
from mlgen.runtime.invocation import RecordPod
from mlgen.store import Store

# Tekton's aggregate of `tasks` (docs/pipelines.md, "Using aggregate execution status of all tasks").
STATES = {"Succeeded": State.COMPLETE, "Completed": State.COMPLETE, "Failed": State.FAIL}
CANCELLED = "TaskRunCancelled"


def record(pod: RecordPod, store: Store, now: str) -> RunRecord:
    """Put run.json into the spool. now: RFC 3339; this task begins when all `tasks` have ended.

    Raises CannotAnswer, StoreError; to be tried again then, and the later bytes are another record of the same run.
    """
    run = run_record(pod, runstart.noted(store, pod.document.pipeline, pod.run, pod.run_uid), now)
    Spool(store).put(run)
    return run


def run_record(pod: RecordPod, started_at: str | None, now: str) -> RunRecord:
    """What became of a run. started_at: None where no pod of it could say."""
    cancelled = any(task.reason == CANCELLED for task in pod.tasks.values())
    return RunRecord(
        run=pod.run,
        uid=pod.run_uid,
        pipeline=pod.document.pipeline,
        env=pod.document.env,
        state=State.ABORT if cancelled else STATES.get(pod.status, State.ABORT),
        started_at=started_at or now,
        ended_at=now,
        params=pod.params,
        tasks=pod.tasks,
        spec_digest=pod.spec_digest,
        commit=pod.commit,
    )
