"""What is new about a run: from all that the API has of it now, the events that were not told yet."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from mlgen.cluster import view
from mlgen.cluster.api import Object
from mlgen.cluster.empty import EMPTY, empty, undecided
from mlgen.cluster.events import Ended, Event, Failure, Moved, Noted, Skipped, Started, Waits
from mlgen.cluster.view import Attempt, Objects
from mlgen.ledger.records.task import State
from mlgen.runtime.ending import CANCELLED

# A TaskRun whose pod the cluster does not take yet stays pending for that reason.
NO_POD_YET = ("ExceededResourceQuota", "PodCreationFailed")

Explain = Callable[[Attempt], tuple[Failure, tuple[str, ...]]]  # of a failed one: why, and the tail of its log


class Teller:
    """Tells each thing once, from whatever moments of the API's objects it is shown: some are never seen."""

    def __init__(self, explain: Explain) -> None:
        self._explain = explain
        self._told: set[tuple[object, ...]] = set()
        self._phases: dict[str, str] = {}
        self._pod_uids: dict[str, str] = {}
        self._over: set[str] = set()  # pods whose attempt has ended
        self._looked_at: dict[str, Object] = {}

    def news(self, objects: Objects) -> Iterator[Event]:
        """The events; one counts as told when it is handed out."""
        yield from self._skipped(objects)
        fresh = self._fresh("TaskRun", objects.task_runs)
        for task_run in sorted(fresh, key=lambda one: str(one["metadata"].get("creationTimestamp", ""))):
            yield from self._task_run(task_run)
        for pod in self._fresh("Pod", objects.pods):
            if pod["metadata"]["name"] not in self._over:
                yield from self._pod(pod)

    def _fresh(self, kind: str, things: Iterable[Object]) -> list[Object]:
        """Those that changed since they were looked at: of a thousand tasks, few do at one time."""
        found = []
        for one in things:
            key = f"{kind} {one['metadata']['name']}"
            if self._looked_at.get(key) is not one:
                self._looked_at[key] = one
                found.append(one)
        return found

    def _once(self, *key: object) -> bool:
        """Whether this is new; it no longer is."""
        if key in self._told:
            return False
        self._told.add(key)
        return True

    def _skipped(self, objects: Objects) -> Iterator[Event]:
        run = objects.run
        others = {entry for entries in view.pieces(run).values() for entry in entries[1:]}
        for one in (run.get("status") or {}).get("skippedTasks") or ():
            if one["name"] in others:  # of a list of the run, a piece that has no items
                continue
            entries = view.pieces(run).get(one["name"], [one["name"]])
            none = empty(run, entries)
            if not none and undecided(run, one["name"]):
                continue
            if self._once("skipped", one["name"]):
                reason = view.CACHED if one["name"] in view.hits(objects.task_runs) else view.skip_reason(one)
                reason = EMPTY if none else reason
                yield Skipped(one["name"], reason)

    def _task_run(self, task_run: Object) -> Iterator[Event]:
        task = view.node_of(task_run)
        succeeded, reason, message = view.condition(task_run)
        attempts = view.attempts(task_run)
        for attempt in attempts:
            if attempt.running and self._once("started", task, attempt.number):
                yield Started(task, attempt.number)
            if attempt.succeeded is not None and self._once("ended", task, attempt.number):
                self._phases.pop(task, None)
                self._over.add(attempt.pod)
                last = attempt is attempts[-1] and succeeded is not None
                yield self._ended(attempt, retried=not last)
        if succeeded is None:
            phase = attempts[-1].phase if attempts and attempts[-1].succeeded is None else view.WAITS
            if self._phases.get(task) != phase:
                self._phases[task] = phase
                yield Moved(task, phase)
        if succeeded is None and reason in NO_POD_YET and self._once("waits", task, reason):
            yield Waits(
                task, f"the cluster does not take its pod yet: {message}", "free something, or ask for more quota"
            )

    def _ended(self, attempt: Attempt, *, retried: bool) -> Ended:
        if attempt.succeeded and not attempt.borne:
            return Ended(attempt.task, attempt.number, State.COMPLETE, attempt.seconds, retried)
        state = State.ABORT if attempt.reason == CANCELLED else State.FAIL
        failure, tail = self._explain(attempt)
        return Ended(attempt.task, attempt.number, state, attempt.seconds, retried, failure, tail)

    def _pod(self, pod: Object) -> Iterator[Event]:
        task, name, uid = view.node_of(pod), pod["metadata"]["name"], pod["metadata"]["uid"]
        if self._pod_uids.setdefault(name, uid) != uid:
            self._pod_uids[name] = uid
            yield Noted(f"{task}: its pod was deleted, and Tekton starts it anew")
        for why, fix in view.waits(pod):
            # Its numbers change with the cluster; what it waits for does not.
            if self._once("waits", uid, why.partition(":")[0]):
                yield Waits(task, why, fix)
