"""A ledger held against the runs that a cluster still has: what was never told, told otherwise, or never happened."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from mlgen.cluster import view
from mlgen.cluster.api import PIPELINE_RUNS, PODS, TASK_RUNS, Api, Object, Unreadable
from mlgen.cluster.belonging import Gathered, gather, readable
from mlgen.cluster.outside import outside
from mlgen.cluster.reconcile import BATCH, ENV_LABEL, Missing
from mlgen.cluster.shape import Unfit
from mlgen.git import Repository
from mlgen.ledger.records.entry import Entry
from mlgen.ledger.records.fields import BadRecord
from mlgen.ledger.records.task import TaskRecord
from mlgen.ledger.stream import stream
from mlgen.ledger.told import SKEW
from mlgen.ledger.verify.finding import Finding, Found

_Key = tuple[str, int]  # uid of a TaskRun, and attempt


@dataclass(slots=True)
class Compared:
    """runs, executions: that the cluster has and that ended a while ago. unfit: what of it cannot be read.

    gone: runs of the ledger that the cluster has no more, though younger than its oldest: pruned, or deleted.
    """

    runs: int = 0
    executions: int = 0
    gone: int = 0
    unfit: list[Unfit] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Against:
    """missing: as reconcile has it. now: when the comparison began. grace: how long after an end it may be untold."""

    api: Api
    namespace: str
    env: str
    missing: Missing
    now: datetime
    grace: timedelta
    found: Found
    done: Compared = field(default_factory=Compared)
    _told: dict[_Key, TaskRecord] = field(default_factory=dict)  # each execution, as the cluster tells it
    _runs: dict[str, bool] = field(
        default_factory=dict
    )  # uid of each run -> whether all of its executions are in _told

    def compare(self, repository: Repository, tip: str) -> Compared:
        """Compare the records at a tip with the runs. Raises ApiError, Unreachable, GitError, CannotAnswer."""
        oldest = self._ask_cluster()
        days = _Days(self.env, oldest)
        gone: set[str] = set()
        for stored in stream(repository, tip, wanted=days.may_be_of):
            try:
                entry = stored.entry()
            except BadRecord:  # the walk has told of it
                continue
            if isinstance(entry, TaskRecord) and (why := self._misfit(entry, gone, oldest)):
                self.found.add(Finding(*why, "", stored.path))
        self.done.gone = len(gone)
        return self.done

    def _ask_cluster(self) -> datetime:
        """Look at all runs; the creation of the oldest."""
        oldest, waiting = self.now, list[Entry]()
        runs = readable(
            self.api.items(PIPELINE_RUNS, self.namespace, labels=f"{ENV_LABEL}={self.env}"), self.done.unfit
        )
        for run in runs:
            gathered = self._gathered(run)
            if gathered is None:
                continue
            made = run["metadata"].get("creationTimestamp")
            oldest = min(oldest, datetime.fromisoformat(made)) if made else oldest
            told = outside(gathered, self.env, ended_before=self.now - self.grace)
            self.done.runs += told.complete
            self.done.unfit += [*gathered.odd, *told.unfit]
            self._runs[run["metadata"]["uid"]] = (
                told.complete and gathered.whole and not gathered.odd and not told.unfit
            )
            for entry in told.entries:
                if isinstance(entry, TaskRecord):
                    self._told[_key(entry)] = entry
            waiting += told.entries
            if len(waiting) >= BATCH:
                self._ask_ledger(waiting)
                waiting = []
        self._ask_ledger(waiting)
        self.done.executions = len(self._told)
        return oldest

    def _gathered(self, run: Object) -> Gathered | None:
        about = run["metadata"]
        labels = f"{view.RUN_UID_LABEL}={about['uid']}"
        try:
            task_runs = self.api.items(TASK_RUNS, self.namespace, labels=labels)
            return gather(run, task_runs, self.api.items(PODS, self.namespace, labels=labels))
        except Unreadable as why:
            self.done.unfit.append(Unfit(about["name"], str(why)))
            return None

    def _ask_ledger(self, entries: Sequence[Entry]) -> None:
        for entry in self.missing(entries):
            if isinstance(entry, TaskRecord):
                what = f"task {entry.task} of {entry.run}, attempt {entry.attempt}"
            else:
                what = f"how the run {entry.run} went"
            self.found.add(Finding("untold-execution", f"{what}: it ended at {entry.ended_at}", "", entry.path))

    def _misfit(self, record: TaskRecord, gone: set[str], oldest: datetime) -> tuple[str, str] | None:
        """(code, why) of a record that does not fit; a run that the cluster has no more is noted as `gone`."""
        if record.env != self.env:
            return None
        if record.tekton is None and record.original_run_id is not None:  # reused: no pod of this run made it
            return None
        if record.tekton is None:
            return "unknown-execution", f"it was made by the engine {record.engine[:40]}, not in the cluster"
        told = self._told.get(_key(record))
        if told is not None:
            differences = list(_differences(record, told))
            return ("other-outcome", "; ".join(differences)) if differences else None
        if self._runs.get(record.run_uid):
            name = str(record.tekton.get("taskRun"))[:100]
            return "unknown-execution", f"its run is there, and has no attempt {record.attempt} of a TaskRun {name}"
        if record.run_uid not in self._runs and datetime.fromisoformat(record.started_at) > oldest + SKEW:
            gone.add(record.run_uid)
        return None


@dataclass(frozen=True, slots=True)
class _Days:
    """The paths of records that the cluster may know of, by the day in them."""

    env: str
    oldest: datetime

    def may_be_of(self, path: str) -> bool:
        _, year, month, day, env, *_ = path.split("/")
        return env == self.env and (year, month, day) >= self._first

    @property
    def _first(self) -> tuple[str, ...]:
        return tuple((self.oldest - SKEW).strftime("%Y-%m-%d").split("-"))


def _key(record: TaskRecord) -> _Key:
    return str((record.tekton or {}).get("taskRunUid")), record.attempt


def _differences(record: TaskRecord, told: TaskRecord) -> Iterator[str]:
    """What a record says otherwise than the cluster.

    Not how it ended, where only the pod or only the cluster can know: a record was kept, and then a node was lost.
    """
    for what in ("run", "run_uid", "pipeline", "task", "spec_digest", "plan_digest"):
        if getattr(record, what) != getattr(told, what):
            yield f"{what.replace('_', ' ')} {getattr(record, what)}, in the cluster {getattr(told, what)}"
    said, known = record.tekton or {}, told.tekton or {}
    for what in ("namespace", "pipelineRunUid", "pod", "podUid"):
        if known.get(what) is not None and said.get(what) is not None and said[what] != known[what]:
            yield f"{what} {str(said[what])[:100]}, in the cluster {known[what]}"
    if None not in (record.exit_code, told.exit_code) and (record.exit_code == 0) != (told.exit_code == 0):
        yield f"exit code {record.exit_code}, in the cluster {told.exit_code}"
    first, last = (datetime.fromisoformat(one) for one in (told.started_at, told.ended_at))
    for what, time in (("started at", record.started_at), ("ended at", record.ended_at)):
        if not first - SKEW <= datetime.fromisoformat(time) <= last + SKEW:
            yield f"{what} {time}, in the cluster between {told.started_at} and {told.ended_at}"
