"""All records of a ledger at one commit, and which of several executions counts."""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from typing import Any

from mlgen.diagnostic import CannotAnswer
from mlgen.git import GitError, Repository, branch_ref
from mlgen.ledger.artifact import Artifact
from mlgen.ledger.fields import BadRecord
from mlgen.ledger.record import State, TaskRecord
from mlgen.ledger.run import RunRecord
from mlgen.ledger.stream import stream


@dataclass(frozen=True, slots=True)
class ArtifactId:
    """What an artifact is: bytes at a place. Equal bytes elsewhere are another artifact, of equal digest."""

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
    """All that the ledger has of a run. record: run.json; None where none has landed (yet)."""

    name: str
    uid: str
    pipeline: str
    env: str
    record: RunRecord | None
    executions: tuple[Execution, ...]

    @property
    def state(self) -> State | None:
        return self.record.state if self.record else None

    @cached_property
    def started(self) -> datetime:
        """When it began; of a run without run.json, its first execution."""
        return (
            moment(self.record.started_at) if self.record else min(moment(e.record.started_at) for e in self.executions)
        )

    @cached_property
    def ended(self) -> datetime:
        """When it ended; of a run without run.json, its last execution so far."""
        return moment(self.record.ended_at) if self.record else max(moment(e.record.ended_at) for e in self.executions)

    @cached_property
    def outcomes(self) -> tuple[Execution, ...]:
        """The execution that counts for each task, in the order in which they started."""
        found = outcomes(self.executions)
        return tuple(sorted(found, key=lambda e: (moment(e.record.started_at), e.record.task)))


def moment(time: str) -> datetime:
    """A record's time, to be compared: as texts, "05Z" would come after "05.9Z"."""
    return datetime.fromisoformat(time)


def outcomes(executions: Iterable[Execution]) -> list[Execution]:
    """The execution that counts for each task of a run (design §7).

    The highest attempt; then one that is not reconciled; then not ABORT; then the latest start; then by digest, so
    that all readers agree.
    """

    def weight(e: Execution) -> tuple[int, bool, bool, datetime, str]:
        r = e.record
        return r.attempt, not r.reconciled, r.state is not State.ABORT, moment(r.started_at), e.digest

    best: dict[str, Execution] = {}
    for e in executions:
        known = best.get(e.record.task)
        if known is None or weight(e) > weight(known):
            best[e.record.task] = e
    return list(best.values())


@dataclass(frozen=True, slots=True)
class Skipped:
    """A file of the ledger that is no record, and why: a newer mlgen, or somebody by other means, wrote it."""

    path: str
    reason: str


@dataclass(frozen=True)
class History:
    """What the ledger says at a commit. The queries ask only this; an index may answer in its place.

    commit: None where there is no ledger yet. runs: the latest to end first. skipped: files that are not told of, in
    the order of their paths.
    """

    repository: Repository | None = field(repr=False)
    commit: str | None
    runs: Sequence[Run]
    skipped: Sequence[Skipped] = ()

    def events(self, executions: Sequence[Execution]) -> list[dict[str, Any]]:
        """The OpenLineage events of executions, as they were written."""
        if self.repository is None:
            return []
        with self.repository.reader() as reader:
            found = reader.get_all(e.oid for e in executions)
            return [json.loads(one.data) for one in found if one is not None]

    @cached_property
    def producers(self) -> Mapping[ArtifactId, Sequence[tuple[Run, Execution]]]:
        """The outcomes that made each artifact."""
        return self._by_artifact(lambda record: record.outputs)

    @cached_property
    def consumers(self) -> Mapping[ArtifactId, Sequence[tuple[Run, Execution]]]:
        """The outcomes that read each artifact."""
        return self._by_artifact(lambda record: record.inputs)

    def _by_artifact(
        self, side: Callable[[TaskRecord], Sequence[Artifact]]
    ) -> Mapping[ArtifactId, Sequence[tuple[Run, Execution]]]:
        found: dict[ArtifactId, list[tuple[Run, Execution]]] = defaultdict(list)
        for run in self.runs:
            for execution in run.outcomes:
                for artifact in side(execution.record):
                    known = found[id_of(artifact)]
                    if not known or known[-1][1] is not execution:  # once, though it may read it twice
                        known.append((run, execution))
        return found


def read(repository: Repository | None, branch: str) -> History:
    """All that a branch says now; nothing where there is no repository.

    What is no record, or lies at another path than its own, is skipped: one bad file must not hide all others.
    Raises CannotAnswer "ledger-broken" where git cannot read the branch.
    """
    try:
        return _read(repository, branch)
    except GitError as error:
        raise broken(branch, str(error)) from None


def broken(branch: str, said: str) -> CannotAnswer:
    """What to tell of a ledger that git cannot read. said: by git."""
    return CannotAnswer(
        "ledger-broken",
        f'the ledger\'s branch "{branch}" is there, and git cannot read it',
        why=said,
        fix="`git fsck` says more; `git reflog` of the branch, or another clone, may have what is lost",
    )


def _read(repository: Repository | None, branch: str) -> History:
    commit = repository.tip(branch_ref(branch)) if repository else None
    if repository is None or commit is None:
        return History(repository, None, ())
    run_records: dict[str, list[RunRecord]] = defaultdict(list)
    executions: dict[str, list[Execution]] = defaultdict(list)
    skipped: list[Skipped] = []
    for stored in stream(repository, commit):
        try:
            entry = stored.entry()
        except BadRecord as error:
            skipped.append(Skipped(stored.path, str(error)))
            continue
        if isinstance(entry, RunRecord):
            run_records[entry.uid].append(entry)
        else:
            digest = "sha256:" + hashlib.sha256(stored.blob.data).hexdigest()
            executions[entry.run_uid].append(Execution(entry, stored.path, digest, stored.blob.oid))
    runs = [_run(uid, run_records[uid], executions[uid]) for uid in {*run_records, *executions}]
    return History(repository, commit, sorted(runs, key=lambda run: (run.ended, run.uid), reverse=True), skipped)


def _run(uid: str, records: list[RunRecord], executions: list[Execution]) -> Run:
    # The run's own word before what was written from outside; of two, the first to end, which landed first.
    record = min(records, key=lambda r: (r.reconciled, moment(r.ended_at)), default=None)
    about = record or executions[0].record
    told = {(e.record.task, e.record.attempt) for e in executions if not e.record.reconciled}
    kept = [e for e in executions if not e.record.reconciled or (e.record.task, e.record.attempt) not in told]
    ordered = sorted(kept, key=lambda e: (e.record.task, e.record.attempt, e.path))
    return Run(about.run, uid, about.pipeline, about.env, record, tuple(ordered))
