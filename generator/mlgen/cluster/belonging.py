"""Which of the objects that name a run are its own. A label proves nothing: anybody may write one. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from mlgen.cluster import shape, view
from mlgen.cluster.api import Object
from mlgen.cluster.shape import Odd, Unfit
from mlgen.cluster.view import Objects

PLAN_DIGEST = "mlgen.dev/plan-digest"
_MADE_BY, _TEKTON = "app.kubernetes.io/managed-by", "tekton-pipelines"
_POD = re.compile(r"-pod(-retry[0-9]+)?")


@dataclass(frozen=True, slots=True)
class Gathered:
    """objects: a run and what is its own. odd: what cannot be read. foreign: TaskRuns of another, or nobody.

    whole: whether all TaskRuns that the run knows could be read; else nobody can say how it went.
    """

    objects: Objects
    odd: tuple[Unfit, ...]
    foreign: tuple[Unfit, ...]
    whole: bool


def gather(run: Object, task_runs: Iterable[object], pods: Iterable[object]) -> Gathered:
    """A run, as `readable` gives it, with its TaskRuns and pods, each judged by itself.

    While a run goes on, its status may be a moment behind: what it does not know yet is left out, and not told.
    """
    known, is_over = _Run.of(run), view.condition(run)[0] is not None
    odd: list[Unfit] = []
    foreign: list[Unfit] = []
    own: list[Object] = []
    for task_run in readable(task_runs, odd):
        why = known.misfit(task_run)
        if not why:
            own.append(task_run)
        elif is_over:
            foreign.append(Unfit(task_run["metadata"]["name"], why))
    whole = not {one.name for one in odd} & {name for name, _ in known.children}
    owners = {one["metadata"]["uid"]: one for one in own}
    task_pods = tuple(pod for pod in readable(pods, odd) if _is_task_pod(pod, owners))
    return Gathered(Objects(run, tuple(own), task_pods), tuple(odd), tuple(foreign), whole)


def readable(things: Iterable[object], odd: list[Unfit]) -> Iterator[Object]:
    """Those that can be read, as they are taken in; the others are added to `odd`."""
    for thing in things:
        try:
            found = shape.read(thing)
        except Odd as why:
            odd.append(Unfit(shape.name_of(thing), str(why)))
        else:
            yield found


def controller(thing: Object, kind: str) -> str | None:
    """The uid of the PipelineRun or TaskRun that controls an object; None where none does."""
    for one in thing["metadata"].get("ownerReferences") or ():
        if one.get("controller") and one["kind"] == kind and one.get("apiVersion", "").startswith("tekton.dev/"):
            return str(one["uid"])
    return None


@dataclass(frozen=True, slots=True)
class _Run:
    """What a run's status, which is the controller's alone, says of its TaskRuns.

    children: (name, task) of each. tasks: the Task that its pipeline has for each of its tasks.
    """

    run: Object
    children: frozenset[tuple[str, str]]
    tasks: Mapping[str, str]

    @staticmethod
    def of(run: Object) -> _Run:
        status = run.get("status") or {}
        children = ((o.get("name", ""), o.get("pipelineTaskName", "")) for o in status.get("childReferences") or ())
        pipeline = status.get("pipelineSpec") or {}
        entries = [*(pipeline.get("tasks") or ()), *(pipeline.get("finally") or ())]
        return _Run(run, frozenset(children), {one["name"]: _task_name(one) for one in entries})

    def misfit(self, task_run: Object) -> str:
        """Why a TaskRun that names the run is none of its own; "" where it is.

        Who may make TaskRuns may write an ownerReference as well.
        """
        about, task = task_run["metadata"], view.entry_of(task_run)
        if controller(task_run, "PipelineRun") != self.run["metadata"]["uid"]:
            return f"it names the run {self.run['metadata']['name']}, which does not control it"
        if (about["name"], task) not in self.children:
            return f'its run knows no such TaskRun of a task "{task}"'
        found = _task_name(task_run.get("spec") or {})
        if not found or self.tasks.get(task) != found:
            return f'it does not execute the Task that its run\'s pipeline has for "{task}"'
        if _plan_digest(task_run) != _plan_digest(self.run):
            return f"its annotation {PLAN_DIGEST} is not its run's"
        return ""


def _task_name(thing: Object) -> str:
    """The Task that a TaskRun's spec or a pipeline's task refers to; "" of one that brings its own."""
    return str((thing.get("taskRef") or {}).get("name", ""))


def _plan_digest(thing: Object) -> str:
    return str((thing["metadata"].get("annotations") or {}).get(PLAN_DIGEST, ""))


def _is_task_pod(pod: Object, task_runs: Mapping[str, Object]) -> bool:
    """Whether Tekton made a pod to execute one of these TaskRuns, by uid. A copy of it for debugging is none."""
    about = pod["metadata"]
    task_run = task_runs.get(controller(pod, "TaskRun") or "")
    if task_run is None or (about.get("labels") or {}).get(_MADE_BY) != _TEKTON:
        return False
    named = {attempt.pod for attempt in view.attempts(task_run)}
    is_named_so = _POD.fullmatch(about["name"].removeprefix(task_run["metadata"]["name"])) is not None
    return view.task_of(pod) == view.task_of(task_run) and (about["name"] in named or is_named_so)
