"""What the attempts of a task leave for the next one, in the bucket (decision 0035).

_attempts/<pipeline>/<run uid>/<task>/<item>-<attempt>.json   how an attempt ended
                                      <item>.started          the runId of the execution whose program began
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from mlgen import canonical
from mlgen.diagnostic import CannotAnswer
from mlgen.ledger.records.fields import BadRecord, loads
from mlgen.ledger.records.task import State, TaskRecord
from mlgen.runtime.attempts.checkpoint import attempts_folder
from mlgen.runtime.attempts.retrying import Cause, Policy, delay_seconds, refusal, with_refusal
from mlgen.runtime.ending import SIGNAL_EXIT_CODE, STEP_FAILED, cause_of_record
from mlgen.runtime.protocol import Execution, TaskDocument
from mlgen.store import Missing, Store, Taken, claim

VERSION = 1


@dataclass(frozen=True, slots=True)
class Ended:
    """How an attempt ended that did not succeed. Fields as in its record."""

    attempt: int
    state: State
    reason: str
    exit_code: int | None
    error: str
    cause: Cause
    ended_at: str

    def to_bytes(self) -> bytes:
        return canonical.encode(
            {
                "version": VERSION,
                "attempt": self.attempt,
                "state": str(self.state),
                "reason": self.reason,
                "exitCode": self.exit_code,
                "error": self.error,
                "cause": str(self.cause),
                "endedAt": self.ended_at,
            }
        )

    @staticmethod
    def from_bytes(data: bytes) -> Ended:
        """Raises BadRecord, ValueError."""
        fields = loads(data)
        if fields.integer("version") > VERSION:
            raise BadRecord("the attempt before was told of by a newer mlgen: upgrade the runtime image")
        return Ended(
            fields.integer("attempt"),
            State(fields.text("state")),
            fields.text("reason"),
            fields.optional_integer("exitCode"),
            fields.text("error"),
            Cause(fields.text("cause")),
            fields.time("endedAt"),
        )


@dataclass(frozen=True, slots=True)
class Refused:
    """Why an attempt does nothing, told as the one before ended, so that the task's outcome stays what that was."""

    reason: str
    exit_code: int | None
    error: str
    cause: Cause

    @property
    def step_exit_code(self) -> int:
        """What stage-in ends with, so that the pod ends as the one before."""
        if self.exit_code is None or self.exit_code == 0:
            return CannotAnswer.exit_code
        return self.exit_code if self.exit_code > 0 else SIGNAL_EXIT_CODE

    def to_text(self) -> str:
        return canonical.encode(
            {"reason": self.reason, "exitCode": self.exit_code, "error": self.error, "cause": str(self.cause)}
        ).decode()

    @staticmethod
    def from_text(text: str) -> Refused:
        fields = loads(text.encode())
        exit_code = fields.optional_integer("exitCode")
        return Refused(fields.text("reason"), exit_code, fields.text("error"), Cause(fields.text("cause")))


def ended_of(record: TaskRecord) -> Ended | None:
    """What the next attempt must know of one that was recorded so; None of one that succeeded."""
    cause = cause_of_record(record)
    if cause is None:
        return None
    error = record.error or record.state.word
    return Ended(record.attempt, record.state, record.reason, record.exit_code, error, cause, record.ended_at)


def _item(execution: Execution) -> int:
    return execution.item.index if execution.item else 0


def _ended_key(document: TaskDocument, execution: Execution, attempt: int) -> str:
    return f"{attempts_folder(document, execution)}/{_item(execution)}-{attempt}.json"


def _started_key(document: TaskDocument, execution: Execution) -> str:
    return f"{attempts_folder(document, execution)}/{_item(execution)}.started"


def tell(store: Store, document: TaskDocument, execution: Execution, ended: Ended) -> None:
    """Leave how an attempt ended. The pod that Tekton made again for one that vanished leaves the same or nothing."""
    try:
        store.put(_ended_key(document, execution, ended.attempt), ended.to_bytes())
    except Taken:
        return  # two pods of one attempt: the first told


def before(store: Store, document: TaskDocument, execution: Execution) -> Ended | None:
    """How the latest attempt before this one ended that told of it; None where none did."""
    for attempt in reversed(range(execution.attempt)):
        try:
            return Ended.from_bytes(store.get(_ended_key(document, execution, attempt)))
        except Missing:
            continue
    return None


def refuse(store: Store, policy: Policy, document: TaskDocument, execution: Execution) -> Refused | None:
    """Why this attempt must not run; None where it may."""
    last = before(store, document, execution) if execution.attempt else None
    if not policy.idempotent and (other := _began(store, document, execution)) is not None:
        return _refused(last, f"it is not idempotent, and its program had begun (execution {other})")
    if last is not None:
        why = refusal(policy, last.cause, last.exit_code, began=False)
        return None if why is None else _refused(last, why)
    if execution.attempt and policy.infrastructure is False:
        return _refused(None, "the attempt before was lost, and `on` does not list infrastructure")
    return None


def _refused(last: Ended | None, why: str) -> Refused:
    if last is None:
        error = with_refusal("an attempt before was lost, with all it could have told", why)
        return Refused(STEP_FAILED, None, error, Cause.INFRASTRUCTURE)
    return Refused(last.reason, last.exit_code, with_refusal(last.error, why), last.cause)


def _began(store: Store, document: TaskDocument, execution: Execution) -> str | None:
    """The runId of another execution whose program began."""
    try:
        run_id = store.get(_started_key(document, execution)).decode(errors="replace")
    except Missing:
        return None
    return None if run_id == execution.run_id else run_id


def begin(store: Store, document: TaskDocument, execution: Execution) -> Refused | None:
    """Say that the program begins, which one execution can say; why not, where another was faster."""
    if claim(store, _started_key(document, execution), execution.run_id.encode()):
        return None
    other = _began(store, document, execution) or "unknown"
    return _refused(None, f"it is not idempotent, and its program had begun (execution {other})")


def wait_seconds(store: Store, policy: Policy, document: TaskDocument, execution: Execution, now: datetime) -> float:
    """For how long this attempt is still to wait. Clocks of two nodes may differ: never longer than the whole delay."""
    last = before(store, document, execution) if execution.attempt else None
    if last is None or not policy.backoff_seconds:
        return 0.0  # one that was lost: nobody knows when, and the cluster took its time to find out
    delay = delay_seconds(policy, execution.attempt)
    since = (now - datetime.fromisoformat(last.ended_at)).total_seconds()
    return min(max(0.0, delay - since), float(delay))
