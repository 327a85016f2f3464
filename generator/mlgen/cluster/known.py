"""What is known of a run: the newest of each of its objects, also of those that were pruned since."""

from __future__ import annotations

from mlgen.cluster import view
from mlgen.cluster.api import PIPELINE_RUNS, PODS, TASK_RUNS, Object
from mlgen.cluster.view import Objects
from mlgen.cluster.watch import Changed, Listed, Watched
from mlgen.diagnostic import CannotAnswer


class Known:
    """run: as it was created."""

    def __init__(self, run: Object) -> None:
        self.run = run
        self.namespace: str = run["metadata"]["namespace"]
        self.name: str = run["metadata"]["name"]
        self.uid: str = run["metadata"]["uid"]
        self._task_runs: dict[str, Object] = {}
        self._pods: dict[str, Object] = {}

    @property
    def objects(self) -> Objects:
        return Objects(self.run, tuple(self._task_runs.values()), tuple(self._pods.values()))

    @property
    def watched(self) -> tuple[Watched, ...]:
        """What is to be watched. Of this run alone: a later one may have its name, and never its uid."""
        labels = f"{view.RUN_UID_LABEL}={self.uid}"
        run = Watched(PIPELINE_RUNS, fields=f"metadata.name={self.name}")
        return (run, Watched(TASK_RUNS, labels=labels), Watched(PODS, labels=labels))

    def task_run(self, task: str) -> Object:
        """The TaskRun of a task that has one."""
        return next(one for one in self._task_runs.values() if view.task_of(one) == task)

    def take(self, news: Listed | Changed) -> None:
        """Raises CannotAnswer "run-deleted" when the run is no more."""
        listed = news.objects if isinstance(news, Listed) else ()
        changed = (news.object,) if isinstance(news, Changed) and not news.deleted else ()
        gone = (news.object,) if isinstance(news, Changed) and news.deleted else ()
        if news.resource is PIPELINE_RUNS:
            found = [one for one in (*listed, *changed) if one["metadata"]["uid"] == self.uid]
            if not found:
                raise self._deleted()
            self.run = found[0]
        elif news.resource is TASK_RUNS:
            self._task_runs.update((one["metadata"]["name"], one) for one in (*listed, *changed))
        elif news.resource is PODS:
            if isinstance(news, Listed):
                self._pods.clear()
            self._pods.update((one["metadata"]["name"], one) for one in (*listed, *changed))
            for one in gone:
                self._pods.pop(one["metadata"]["name"], None)

    def _deleted(self) -> CannotAnswer:
        fix = "its records are in the ledger as far as its pods could tell: `mlgen ledger reconcile` adds the rest"
        return CannotAnswer("run-deleted", f"somebody deleted {self.name} while it was followed", fix=fix)
