"""Runs as a ledger tells of them, and which of several executions counts."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property

from mlgen.canonical import Json
from mlgen.ledger.records.artifact import Artifact
from mlgen.ledger.records.run import RunRecord
from mlgen.ledger.records.task import State, TaskRecord


@dataclass(frozen=True, slots=True)
class ArtifactId:
    """What an artifact is: bytes at a place. Equal bytes elsewhere are another artifact, of equal digest.

    digest: "" where only other producers tell of the place.
    """

    uri: str
    digest: str


def id_of(artifact: Artifact) -> ArtifactId:
    return ArtifactId(artifact.uri, artifact.digest)


@dataclass(frozen=True, slots=True)
class Execution:
    """A record and where it lies. digest: of its bytes, "sha256:" and 64 hex digits; oid: its blob's id."""

    record: TaskRecord
    path: str
    digest: str
    oid: str


@dataclass(frozen=True)
class Run:
    """All that the ledger has of a run. record: run.json; None where none has landed (yet).

    started, ended: of a run without run.json those of its executions so far. load: reads its executions when asked.
    """

    name: str
    uid: str
    pipeline: str
    env: str
    record: RunRecord | None
    started: datetime
    ended: datetime
    load: Callable[[], tuple[Execution, ...]] = field(repr=False, compare=False)

    @property
    def state(self) -> State | None:
        return self.record.state if self.record else None

    @cached_property
    def executions(self) -> tuple[Execution, ...]:
        """By task, item, attempt; what was reconciled only where no pod's own record of the same attempt is there."""
        return told(self.load())

    @cached_property
    def outcomes(self) -> tuple[Execution, ...]:
        """The execution that counts for each task, or item of one, in the order in which the tasks started."""
        found = outcomes(self.executions)
        began: dict[str, datetime] = {}
        for e in found:
            at = moment(e.record.started_at)
            began[e.record.task] = min(at, began.get(e.record.task, at))
        return tuple(sorted(found, key=lambda e: (began[e.record.task], e.record.part)))


def moment(time: str) -> datetime:
    """A record's time, to be compared: as texts, "05Z" would come after "05.9Z"."""
    return datetime.fromisoformat(time)


def outcomes(executions: Iterable[Execution]) -> list[Execution]:
    """The execution that counts for each task of a run, or item of one (design §7).

    The highest attempt; then one that is not reconciled; then not ABORT; then the latest start; then by digest, so
    that all readers agree. Before all that: what was found in the cache by a pod that only looks there (its TaskRun is
    another) comes after what ran, as a later look of that pod had found nothing.
    """
    found = list(executions)
    ran = {(e.record.part, _task_run(e)) for e in found if e.record.original_run_id is None}
    parts = {part for part, _ in ran}

    def weight(e: Execution) -> tuple[bool, int, bool, bool, datetime, str]:
        r = e.record
        looked_up = r.original_run_id is not None and r.part in parts and (r.part, _task_run(e)) not in ran
        return not looked_up, r.attempt, not r.reconciled, r.state is not State.ABORT, moment(r.started_at), e.digest

    best: dict[tuple[str, int], Execution] = {}
    for e in found:
        known = best.get(e.record.part)
        if known is None or weight(e) > weight(known):
            best[e.record.part] = e
    return list(best.values())


def _task_run(execution: Execution) -> Json:
    return (execution.record.tekton or {}).get("taskRunUid")


@dataclass(frozen=True, slots=True)
class Skipped:
    """A file of the ledger that is no record, and why: a newer mlgen, or somebody by other means, wrote it."""

    path: str
    reason: str


def told(executions: Iterable[Execution]) -> tuple[Execution, ...]:
    """Executions without what was reconciled before the pod's own record came, by task, item, attempt and path."""
    found = list(executions)
    own = {(e.record.part, e.record.attempt) for e in found if not e.record.reconciled}
    kept = [e for e in found if not e.record.reconciled or (e.record.part, e.record.attempt) not in own]
    return tuple(sorted(kept, key=lambda e: (e.record.part, e.record.attempt, e.path)))
