"""What is known of a run: the newest of each of its objects, also of those that were pruned since."""

from __future__ import annotations

from mlgen.cluster import view
from mlgen.cluster.api import PIPELINE_RUNS, PODS, TASK_RUNS, Object
from mlgen.cluster.belonging import controller, readable
from mlgen.cluster.shape import Unfit
from mlgen.cluster.view import Objects
from mlgen.cluster.watch import Changed, Listed, Watched
from mlgen.diagnostic import CannotAnswer


class Known:
    """run: as it was created. odd: objects that cannot be read, since they were last asked for; the caller empties it.

    Raises CannotAnswer "cluster-refused" when the run itself is such an object.
    """

    def __init__(self, run: object) -> None:
        self.odd: list[Unfit] = []
        found = next(readable([run], self.odd), None)
        if found is None:
            [odd] = self.odd
            fix = f"`kubectl get pipelinerun {odd.name} -o yaml` shows it: is it what mlgen made?"
            raise CannotAnswer("cluster-refused", f"{odd.name} is no run that can be followed", why=odd.reason, fix=fix)
        self.run = found
        self.namespace: str = found["metadata"]["namespace"]
        self.name: str = found["metadata"]["name"]
        self.uid: str = found["metadata"]["uid"]
        self._task_runs: dict[str, Object] = {}
        self._pods: dict[str, Object] = {}

    @property
    def objects(self) -> Objects:
        """The run, its TaskRuns, and the pods of those."""
        task_runs = tuple(self._task_runs.values())
        owners = {one["metadata"]["uid"] for one in task_runs}
        pods = tuple(one for one in self._pods.values() if controller(one, "TaskRun") in owners)
        return Objects(self.run, task_runs, pods)

    @property
    def watched(self) -> tuple[Watched, ...]:
        """What is to be watched. Of this run alone: a later one may have its name, and never its uid."""
        labels = f"{view.RUN_UID_LABEL}={self.uid}"
        run = Watched(PIPELINE_RUNS, fields=f"metadata.name={self.name}")
        return (run, Watched(TASK_RUNS, labels=labels), Watched(PODS, labels=labels))

    def attempt(self, task: str, number: int) -> view.Attempt | None:
        """An attempt of a task; None where it is not known."""
        found = (view.attempts(one) for one in self._task_runs.values() if view.node_of(one) == task)
        return next((one for attempts in found for one in attempts if one.number == number), None)

    def take(self, news: Listed | Changed) -> None:
        """Raises CannotAnswer "run-deleted" when the run is no more."""
        if isinstance(news, Changed) and news.deleted:
            self._forget(news)
            return
        odd = len(self.odd)
        found = list(readable(news.objects if isinstance(news, Listed) else [news.object], self.odd))
        if news.resource is PIPELINE_RUNS:
            runs = [one for one in found if one["metadata"]["uid"] == self.uid]
            if not runs and len(self.odd) == odd:
                raise self._deleted()
            self.run = runs[0] if runs else self.run
        elif news.resource is TASK_RUNS:
            own = (one for one in found if controller(one, "PipelineRun") == self.uid)
            self._task_runs.update((one["metadata"]["name"], one) for one in own)
        elif news.resource is PODS:
            if isinstance(news, Listed):
                self._pods.clear()
            self._pods.update((one["metadata"]["name"], one) for one in found)

    def _forget(self, change: Changed) -> None:
        """What was deleted. A TaskRun is remembered as it was last: it may have been pruned."""
        about = change.object.get("metadata") or {}
        if change.resource is PIPELINE_RUNS and about.get("uid") == self.uid:
            raise self._deleted()
        if change.resource is PODS:
            self._pods.pop(str(about.get("name")), None)

    def _deleted(self) -> CannotAnswer:
        fix = "its records are in the ledger as far as its pods could tell: `mlgen ledger reconcile` adds the rest"
        return CannotAnswer("run-deleted", f"somebody deleted {self.name} while it was followed", fix=fix)
