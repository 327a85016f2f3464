"""Why there is nothing to see of what a task of a run in a cluster printed: as its TaskRun, or its record, says."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property

from mlgen.cli import words
from mlgen.cli.cluster.ledger import RECORD
from mlgen.cli.ledgers.history import ask
from mlgen.cluster import failure, view
from mlgen.cluster.api import PIPELINE_RUNS, TASK_RUNS, Api, ApiError, Object, Unreachable
from mlgen.cluster.belonging import controller, readable
from mlgen.cluster.view import NONE, Attempt, Objects
from mlgen.diagnostic import CannotAnswer
from mlgen.ledger.questions.query import run_of
from mlgen.ledger.questions.read import Run
from mlgen.ledger.records.task import State, TaskRecord
from mlgen.runtime.ending import CANCELLED, TIMED_OUT

_OF_AUTHOR = "mlgen-run"  # a param that gates do without; of the others, `record` alone has no author
_DELETED = (CANCELLED, TIMED_OUT)  # for these reasons Tekton deletes the pod at once, and what it had printed with it

Execution = tuple[str, int]  # task, attempt


@dataclass(frozen=True, slots=True)
class Why:
    """How an execution stands, or ended. deleted: whether its pod was deleted meanwhile, so that a log is lost."""

    words: str
    deleted: bool = False


@dataclass(frozen=True)
class Silence:
    """What is known of a run beside its logs. api: where it still is; pods: that it still has there."""

    env: str
    namespace: str
    run: str
    uid: str
    api: Api | None
    pods: tuple[Object, ...] = ()

    @cached_property
    def whys(self) -> Mapping[Execution, Why]:
        """How each execution of an author's task stands, or ended, and each of ours that failed: "failed: …"."""
        found = dict(why for task_run in self._task_runs for why in self._of_task_run(task_run))
        if not found and self._recorded is not None:
            recorded = (e.record for e in self._recorded.executions)
            found = {(view.node(one.task, one.item), one.attempt): _of_record(one) for one in recorded}
        return found

    def skipped(self, task: str) -> str:
        """Why a task was not started; "" where it was, or where that is not known."""
        if self._stored is not None:
            return self._skipped(self._stored, task)
        about = self._recorded.record if self._recorded else None
        status = about.tasks.get(task) if about else None
        if about is None or status is None or status.status != NONE:
            return ""
        return words.skip(status.reason, "") if status.reason else words.untold(about.tasks, about.state)

    def _skipped(self, run: Object, task: str) -> str:
        entries = ((run.get("status") or {}).get("pipelineSpec") or {}).get("tasks") or ()
        names = [one["name"] for one in entries]
        settled = view.settled(Objects(run, tuple(self._task_runs)), [*names, task])
        status = settled.pop(task, None)
        if status is None or status.status != NONE:
            return ""
        because = words.blame(settled, view.state_of(run, [settled.get(name) for name in names if name != task]))
        return words.skip(status.reason, because if status.reason == view.STOPPING else "")

    @property
    def tasks(self) -> list[str]:
        """The names of all tasks that are known of the run."""
        spec = ((self._stored or {}).get("status") or {}).get("pipelineSpec") or {}
        entries = [one["name"] for key in ("tasks", "finally") for one in spec.get(key) or ()]
        about = self._recorded.record if self._stored is None and self._recorded else None
        return sorted({*entries, *(about.tasks if about else ()), *(task for task, _ in self.whys)} - {RECORD})

    @cached_property
    def _stored(self) -> Object | None:
        """The run, where the cluster still has it: a later one may have its name."""
        if self.api is None:
            return None
        try:
            found = readable([self.api.get(PIPELINE_RUNS, self.namespace, self.run)], [])
            return next((one for one in found if one["metadata"]["uid"] == self.uid), None)
        except (ApiError, Unreachable):
            return None

    @cached_property
    def _task_runs(self) -> list[Object]:
        """Those of the run; none where they cannot be asked, since the logs themselves are told without them."""
        if self.api is None:
            return []
        try:
            listed = self.api.items(TASK_RUNS, self.namespace, labels=f"{view.RUN_UID_LABEL}={self.uid}")
            return [one for one in readable(listed, []) if controller(one, "PipelineRun") == self.uid]
        except (ApiError, Unreachable):
            return []

    @cached_property
    def _recorded(self) -> Run | None:
        try:
            return ask(self.env, lambda history: run_of(history, self.uid))
        except CannotAnswer:
            return None

    def _of_task_run(self, task_run: Object) -> Iterator[tuple[Execution, Why]]:
        task = view.node_of(task_run)
        params = {one["name"] for one in (task_run.get("spec") or {}).get("params") or ()}
        is_authors = _OF_AUTHOR in params and task != RECORD
        attempts = view.attempts(task_run)
        for attempt in attempts:
            if is_authors or attempt.succeeded is False:
                yield (task, attempt.number), Why(self._words(attempt), attempt.reason in _DELETED)
        if is_authors and not attempts:
            yield (task, 0), Why(view.WAITS)

    def _words(self, attempt: Attempt) -> str:
        if attempt.succeeded:
            return State.COMPLETE.word
        if attempt.succeeded is None:
            pods = (pod for pod in self.pods if pod["metadata"]["name"] == attempt.pod)
            waits = next((why for pod in pods for why, _ in view.waits(pod)), "")
            return f"waits: {waits}" if waits else attempt.phase
        state = State.ABORT if attempt.reason == CANCELLED else State.FAIL
        why = failure.explain(attempt, lambda _container: ())
        return words.of_failure(state, why) + (f": {why.why}" if why.why else "")


def _of_record(record: TaskRecord) -> Why:
    return Why(words.ending(record.state, record.exit_code, record.error), record.reason in _DELETED)
