"""What an earlier execution made, taken into another run: its record there, and the texts that its readers get."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from mlgen import canonical
from mlgen.canonical import Json
from mlgen.ledger.records.task import Source, State, TaskRecord, local_run_id
from mlgen.plan.model import Task
from mlgen.runtime.fans.outcomes import Outcome
from mlgen.runtime.texts import pointer
from mlgen.secrets import MASK
from mlgen.values import Type, to_text

REUSED = "Reused"  # the reason in run.json and record of a task that did not run, as an earlier run made what it leaves
# Annotation of a PipelineRun: the uid of the run that it takes up, then of the one that this took up, and so on: a
# checkpoint is where its task last ran, which may be none of the latest. Commas between.
RESUMES = "mlgen.dev/resumes"
REUSED_TASKS = "mlgen.dev/reused"  # the same: the names of tasks that are no part of it, with commas between
NOT_ASKED = "NotAskedFor"  # of one that `--only` left out


@dataclass(frozen=True, slots=True)
class Items:
    """Items of a fan that need not run again. of: how many it has now. outcomes: what its readers are told of these.

    records: of the executions that made them, as items of the fan as it is now.
    """

    of: int
    records: tuple[TaskRecord, ...]
    outcomes: tuple[Outcome, ...]


@dataclass(frozen=True, slots=True)
class Into:
    """The run that reuses. at: when, RFC 3339: after a kill the same again, so that a record has the same bytes."""

    run: str
    uid: str
    at: str
    params: Mapping[str, Json]
    spec_digest: str
    plan_digest: str
    source: Source | None


def record_in(original: TaskRecord, into: Into) -> TaskRecord:
    """The record, in the run that reuses it, of an execution that is not repeated.

    What it read, made and measured stays; no program ran, so that there is no exit code and no pod. Of an item that
    failed and was borne, or that was pruned, the reason stays, too: by it readers know what it was.
    """
    return replace(
        original,
        run_id=local_run_id(into.uid, original.task, 0, original.item.index if original.item else None),
        run=into.run,
        run_uid=into.uid,
        attempt=0,
        started_at=into.at,
        ended_at=into.at,
        exit_code=None,
        reason=REUSED if original.state is State.COMPLETE else original.reason,
        spec_digest=into.spec_digest,
        plan_digest=into.plan_digest,
        params=into.params,
        source=into.source,
        usage=None,
        tekton=None,
        original_run_id=original.original_run_id or original.run_id,
    )


def texts_of(record: TaskRecord, task: Task, artifacts: str) -> dict[str, str | None] | str:
    """The texts of a task's outs as a record tells them; or why they cannot be told.

    artifacts: of the environment. A value is spelled as records do: 0.850 is 0.85 there.
    """
    if record.state is not State.COMPLETE:
        return f"it {record.state.word}"
    made = {artifact.name: artifact for artifact in record.outputs}
    told = {**record.values, **record.metrics}
    found: dict[str, str | None] = {}
    for out in task.outs:
        text: str | None = None
        if out.type.is_artifact and (artifact := made.get(out.name)) is not None:
            where = artifact.uri.removeprefix(f"{artifacts}/")
            if where == artifact.uri:
                return f"{out.name} lies elsewhere: {artifact.uri}"
            text = pointer(where, artifact.digest)
        elif not out.type.is_artifact and out.name in told:
            value = told[out.name]
            text = canonical.encode(value).decode() if out.type is Type.JSON else to_text(value)
            if MASK in text:
                return f"{out.name} looks like a secret, so that no record has it"
        if text is None and not out.optional:
            return f"it made no {out.name}"
        found[out.name] = text
    return found
