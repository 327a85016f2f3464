"""How an execution ended, and the record that says so: the same in pods, in local runs and in their recovery."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from signal import Signals

from mlgen.canonical import Json
from mlgen.diagnostic import CannotAnswer
from mlgen.ledger.records import entry
from mlgen.ledger.records.artifact import Artifact
from mlgen.ledger.records.clean import Clean, clean_task
from mlgen.ledger.records.fields import BadRecord
from mlgen.ledger.records.task import RecordTooLarge, Source, State, TaskRecord
from mlgen.runtime.attempts.retrying import Cause, refusal, with_refusal
from mlgen.runtime.protocol import Execution, TaskDocument
from mlgen.runtime.secrets import masked

# Tekton's reasons of a TaskRun (pkg/apis/pipeline/v1/taskrun_types.go), and ours where it has no word.
SUCCEEDED = "Succeeded"
STEP_FAILED = "StepFailed"
TIMED_OUT = "TaskRunTimeout"
CANCELLED = "TaskRunCancelled"
STEP_OOM = "StepOOM"
SIDECAR_FAILED = "SidecarFailed"
ENGINE_LOST = "EngineLost"
NO_ITEMS = ""  # of a fan that had none: it has succeeded, and no TaskRun says how
PRUNED = "Pruned"  # a trial that was told to stop, and did (decision 0032)
POD_STOPPED = "PodStopped"  # by whom and why is known outside of the pod only

MAX_ERROR_CHARACTERS = 4000  # of an error of ours that a record must have room for
SIGNALLED = -1  # the exit code of a program that a signal ended, in both engines
SIGNAL_EXIT_CODE = 255  # of a step that says so: a process cannot end with -1
KILLED = 128 + Signals.SIGKILL  # a shell's exit code when what it ran was killed

# How a shell ends whose command was killed or told to end (POSIX, 2.8.2): by nobody in the program itself. The other
# signals are faults of a program's own, as SIGSEGV and SIGABRT.
FROM_OUTSIDE = (SIGNALLED, KILLED, 128 + Signals.SIGTERM)


@dataclass(frozen=True, slots=True)
class Ending:
    """How an execution ended. exit_code: of the author's program, -1 for a signal, None when it never ended.

    error: a sentence for people, None when it is COMPLETE. Times: RFC 3339 in UTC. cause: where the others do not tell.
    """

    state: State
    reason: str
    exit_code: int | None
    error: str | None
    started_at: str
    ended_at: str
    cause: Cause | None = None


def cause_of(state: State, reason: str, exit_code: int | None) -> Cause | None:
    """Whose failure an execution's end was, as far as these tell; None where it did not fail.

    Without an exit code it never came to the program's end; with 0, its outs were not what they must be.
    """
    if state is State.COMPLETE:
        return None
    if state is State.ABORT or reason != STEP_FAILED or exit_code is None or exit_code in FROM_OUTSIDE:
        return Cause.INFRASTRUCTURE
    return Cause.PROGRAM


def cause_of_record(record: TaskRecord) -> Cause | None:
    """The same of a record, which may know better."""
    return Cause(record.cause) if record.cause is not None else cause_of(record.state, record.reason, record.exit_code)


def is_last(document: TaskDocument, record: TaskRecord) -> bool:
    """Whether no other attempt follows that of an item that did not succeed: none is left, or its policy refuses it."""
    policy, cause = document.retry, cause_of_record(record)
    if document.fan is None or record.attempt >= document.fan.retries:
        return True
    if policy is None or cause is None:
        return False
    return refusal(policy, cause, record.exit_code, began=record.exit_code is not None) is not None


def signal_name(number: int) -> str | None:
    """Such as SIGKILL; None for a number that is no signal's."""
    try:
        return Signals(number).name
    except ValueError:
        return None


def ended_with(exit_code: int) -> str:
    """The error of a program that says itself that it failed."""
    return f"the program ended with exit code {exit_code}"


def of_exit_code(exit_code: int, started_at: str, ended_at: str, *, signal: str | None = None) -> Ending:
    """The ending of a program that ended by itself, as far as its exit code tells. signal: by which it ended."""
    if exit_code == 0:
        return Ending(State.COMPLETE, SUCCEEDED, 0, None, started_at, ended_at)
    error = f"the program was ended by {signal or 'a signal'}" if exit_code < 0 else ended_with(exit_code)
    return Ending(State.FAIL, STEP_FAILED, exit_code, error, started_at, ended_at)


def not_ended_after(seconds: int) -> str:
    """The error of a program that took longer than its timeout."""
    return f"the program had not ended after {seconds} s, its timeout"


def of_timeout(exit_code: int | None, seconds: int, started_at: str, ended_at: str) -> Ending:
    """The ending of a program that was ended at its timeout. exit_code: also of one that ended well then."""
    code = SIGNALLED if exit_code is None else exit_code
    return Ending(State.FAIL, TIMED_OUT, code, not_ended_after(seconds), started_at, ended_at)


def of_pod_exit_code(exit_code: int, started_at: str, ended_at: str, *, out_of_memory: bool | None) -> Ending:
    """The ending of a pod's program. out_of_memory: whether the kernel ended processes meanwhile; None: unknown.

    A program that nobody is known to have killed for want of memory is taken for such a one by its exit code alone:
    in a pod there is hardly anyone else.
    """
    ending = of_exit_code(exit_code, started_at, ended_at)
    killed = exit_code == KILLED or (exit_code == SIGNALLED and out_of_memory is not None)
    if not killed or out_of_memory is False or ending.error is None:
        return ending
    return replace(ending, reason=STEP_OOM, error=f"{ending.error}, most likely out of memory: raise its `memory`")


def record_of(
    document: TaskDocument,
    execution: Execution,
    ending: Ending,
    *,
    inputs: tuple[Artifact, ...] = (),
    outputs: tuple[Artifact, ...] = (),
    metrics: Mapping[str, Json] | None = None,
    values: Mapping[str, Json] | None = None,
    cache_key: str | None = None,
) -> TaskRecord:
    """The record of an execution. cache_key: of a task that is cached, as far as it is known."""
    cause = ending.cause or cause_of(ending.state, ending.reason, ending.exit_code)
    error = ending.error
    policy = document.retry
    if policy is not None and cause is not None and ending.state is State.FAIL and execution.attempt < policy.count:
        why = refusal(policy, cause, ending.exit_code, began=ending.exit_code is not None)
        error = with_refusal(error or "", why) if why is not None else error
    return TaskRecord(
        run_id=execution.run_id,
        env=document.env,
        pipeline=document.pipeline,
        run=execution.run,
        run_uid=execution.run_uid,
        task=document.task,
        attempt=execution.attempt,
        started_at=ending.started_at,
        ended_at=ending.ended_at,
        state=ending.state,
        exit_code=ending.exit_code,
        reason=ending.reason,
        engine=execution.engine,
        spec_digest=execution.spec_digest,
        plan_digest=execution.plan_digest,
        inputs=inputs,
        outputs=outputs,
        params=execution.params,
        metrics=metrics or {},
        values=values or {},
        error=error,
        source=source_of(execution),
        image=document.image,
        image_digest=document.image_digest,
        code_digest=document.code_digest,
        tekton=execution.tekton,
        cache_key=cache_key,
        cause=str(cause) if cause is not None and document.retry is not None else None,
        item=execution.item,
    )


def source_of(execution: Execution) -> Source | None:
    """Where the spec stands in Git, known only when the work tree equalled HEAD."""
    if execution.commit is None:
        return None
    return Source(execution.commit, execution.source, execution.repository)


def check_recordable(document: TaskDocument, execution: Execution, now: str) -> None:
    """See that a record of an execution can be kept, whatever its end: before anything of it is done.

    Its params may be too large, or the values of an item; `fix` leaves those out. Raises CannotAnswer
    "bad-invocation".
    """
    ending = Ending(State.ABORT, POD_STOPPED, None, "x" * MAX_ERROR_CHARACTERS, now, now)
    least = _without_given(record_of(document, execution, ending))
    try:
        entry.from_bytes(entry.to_bytes(least))
    except (RecordTooLarge, BadRecord) as error:
        raise CannotAnswer(
            "bad-invocation",
            f"no ledger would take a record of this execution: {error}",
            why="its PipelineRun is none that mlgen makes: the name or an annotation of mlgen.dev is another",
            fix="start the pipeline by `mlgen run --env`, or from the file in tekton/<env>/runs",
        ) from None


def fix(record: TaskRecord, secrets: Iterable[str] = ()) -> Clean[TaskRecord]:
    """The record as it is kept, and its bytes; of one that no ledger would take, one that says so, as short as can be.

    secrets: texts that its error does not show.
    """
    record = _masked(record, secrets)
    try:
        return clean_task(record)
    except (RecordTooLarge, BadRecord) as error:
        short = replace(
            _without_given(record),
            state=State.FAIL,
            reason=STEP_FAILED,
            error=str(error)[:MAX_ERROR_CHARACTERS],
            inputs=(),
            outputs=(),
            metrics={},
            values={},
        )
        return clean_task(_masked(short, secrets))


def _without_given(record: TaskRecord) -> TaskRecord:
    """Without what a spec or who starts a run can make as long as they like."""
    item = None if record.item is None else replace(record.item, values={})
    return replace(record, params={}, item=item)


def _masked(record: TaskRecord, secrets: Iterable[str]) -> TaskRecord:
    return record if record.error is None else replace(record, error=masked(record.error, secrets))
