"""PipelineRun, TaskRuns and pods, as `shape.read` takes them in → what is known of each task. Pure."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from mlgen.cluster.api import Object
from mlgen.cluster.empty import empty
from mlgen.cluster.numbers import number_of
from mlgen.cluster.shape import OWN_TASK_LABEL, TASK_LABEL
from mlgen.ledger.records.run import TaskStatus
from mlgen.ledger.records.task import Item, State
from mlgen.runtime.ending import CANCELLED, NO_ITEMS
from mlgen.runtime.pod.contract import OUTCOME

RUN_UID_LABEL = "tekton.dev/pipelineRunUID"
SUCCEEDED, FAILED, NONE = "Succeeded", "Failed", "None"
STOPPING = "PipelineRun was stopping"
MAIN = "main"
CACHED = "Cached"  # our reason of a task that a pod without its GPU has found in the cache
LOOKUP_PARAM, HIT = "mlgen-when", "hit"  # as `render.lookups` and `runtime.pod.contract` call them
PENDING, RUNNING = "Pending", "Running"  # reasons of a TaskRun whose pod is yet to start, and whose has
# terminationReason of a step: its program went well; with onError: continue, it failed
COMPLETED, CONTINUED = "Completed", "Continued"

WAITS, RUNS = "waits for its pod", "runs"
PULL_FIX = "is its name right, and may the namespace pull it (image_pull_secrets of mlgen.yaml)?"
MAKE_FIX = "make what is missing in the namespace"

_ABORTS = ("Cancelled", "CancelledRunningFinally", "StoppedRunningFinally", "PipelineRunTimeout")
_PIECE = re.compile(r"-(c+[0-9]+|n+)$")  # of a fan; of several nodes
_RETRY = re.compile(r"-pod-retry([0-9]+)$")
# Reasons for which a container waits and will not stop waiting by itself: k8s.io/kubernetes pkg/kubelet/images/types.go
# and pkg/kubelet/kuberuntime/kuberuntime_container.go.
_STUCK = ("ErrImagePull", "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull", "RegistryUnavailable")
_CONFIG = ("CreateContainerConfigError", "CreateContainerError")


@dataclass(frozen=True, slots=True)
class Step:
    """A step of an attempt. exit_code: None until it ends. reason: why it ended, in Tekton's word.

    message: why its container waits.
    """

    name: str
    exit_code: int | None = None
    reason: str = ""
    message: str = ""


@dataclass(frozen=True, slots=True)
class Attempt:
    """One execution of a task, or of an item of one. succeeded: None while it goes on.

    Times: RFC 3339 in UTC, "" where unknown.
    """

    task: str
    number: int
    pod: str
    succeeded: bool | None
    reason: str
    message: str
    started_at: str
    ended_at: str
    steps: tuple[Step, ...]
    borne: bool = False  # an item that failed, and that its task bears: its TaskRun succeeded

    @property
    def running(self) -> bool:
        """Whether its containers are up."""
        return self.succeeded is None and self.reason == RUNNING

    @property
    def seconds(self) -> float:
        if not (self.started_at and self.ended_at):
            return 0.0
        return (datetime.fromisoformat(self.ended_at) - datetime.fromisoformat(self.started_at)).total_seconds()

    @property
    def phase(self) -> str:
        """What goes on, in a word or two, for who looks on."""
        if not self.running:
            return WAITS
        left = [step.name for step in self.steps if step.exit_code is None]
        return {"stage-in": "stages in", "stage-out": "stages out"}.get(left[0] if left else "", RUNS)

    def step(self, name: str) -> Step | None:
        return next((step for step in self.steps if step.name == name), None)


@dataclass(frozen=True, slots=True)
class Objects:
    """All that the API has of a run at one moment."""

    run: Object
    task_runs: tuple[Object, ...] = ()
    pods: tuple[Object, ...] = ()


def task_of(thing: Object) -> str:
    """The task of the pipeline that a TaskRun or pod belongs to; "" of something else.

    Of a fan, and of several nodes, the Pipeline has several tasks, whose names begin with its own; whose Task it is, a
    label tells.
    """
    labels = thing["metadata"].get("labels") or {}
    entry = entry_of(thing)
    if number_of(thing) is None:
        return entry
    own = labels.get(OWN_TASK_LABEL) or _PIECE.sub("", entry)  # Tekton copies the Task's labels when it has resolved it
    return own if _PIECE.sub("", entry) == own or entry == own else entry


def entry_of(thing: Object) -> str:
    """What the Pipeline calls the task that a TaskRun or pod belongs to; "" of something else."""
    return str((thing["metadata"].get("labels") or {}).get(TASK_LABEL, ""))


def node_of(thing: Object) -> str:
    """What a TaskRun or pod is called for people: its task, of an item or another rank with its number: `train[3]`."""
    number = number_of(thing)
    return task_of(thing) if number is None else f"{task_of(thing)}[{number}]"


def node(task: str, item: Item | None) -> str:
    """As `node_of`, of a record."""
    return task if item is None else f"{task}[{item.index}]"


def base_of(node: str) -> str:
    """The task of a node, whose item it may be."""
    return node.partition("[")[0]


def is_of(task: str, node: str) -> bool:
    """Whether a node is a task, or one of its items."""
    return node == task or node.startswith(f"{task}[")


def pieces(run: Object) -> dict[str, list[str]]:
    """The tasks of a run's Pipeline by the first of those that share a Task: of a fan there may be several."""
    found: dict[str, list[str]] = {}
    first: dict[str, str] = {}
    for entry in ((run.get("status") or {}).get("pipelineSpec") or {}).get("tasks") or ():
        ref = (entry.get("taskRef") or {}).get("name") or entry["name"]
        found.setdefault(first.setdefault(ref, entry["name"]), []).append(entry["name"])
    return found


def condition(thing: Object) -> tuple[bool | None, str, str]:
    """(succeeded, reason, message) of a run; succeeded is None while it goes on."""
    found = _succeeded(thing.get("status") or {})
    outcome = {"True": True, "False": False}.get(found.get("status", ""))
    return outcome, found.get("reason", ""), found.get("message", "")


def ended_at(status: Object) -> str:
    """When a run, or an attempt, of such a status ended; "" of one that goes on, or does not say."""
    found = _succeeded(status)
    if found.get("status") not in ("True", "False"):
        return status.get("completionTime") or ""
    # Of one whose container could not be made there is no completionTime.
    return status.get("completionTime") or found.get("lastTransitionTime") or ""


def _succeeded(status: Object) -> Object:
    """The condition that tells how it went; empty where there is none yet."""
    return next((one for one in status.get("conditions") or () if one["type"] == "Succeeded"), {})


def attempts(task_run: Object) -> list[Attempt]:
    """The attempts of a TaskRun, first to last; one that was decided on but has no pod yet is left out."""
    status = task_run.get("status") or {}
    task = node_of(task_run)
    earlier = [_attempt(task, at, old, final=True) for at, old in enumerate(status.get("retriesStatus") or ())]
    current = _attempt(task, len(earlier), status, final=False)
    # Between two attempts Tekton has forgotten the pod of the last one, and has none yet for the next.
    return [*earlier, current] if current.pod or current.succeeded is not None else earlier


def _attempt(task: str, number: int, status: Object, *, final: bool) -> Attempt:
    succeeded, reason, message = condition({"status": status})
    return Attempt(
        task=task,
        number=number,
        pod=status.get("podName") or "",
        succeeded=False if final and succeeded is None else succeeded,
        reason=reason,
        message=message,
        started_at=status.get("startTime") or "",
        ended_at=ended_at(status),
        # A retry that waits for its pod still shows the steps of the attempt before.
        steps=() if reason == PENDING else tuple(_step(one) for one in status.get("steps") or ()),
        borne=succeeded is True and results({"status": status}).get(OUTCOME) == State.FAIL,
    )


def _step(data: Object) -> Step:
    ended: Any = data.get("terminated") or {}
    reason = data.get("terminationReason") or ended.get("reason") or ""
    return Step(data.get("name", ""), ended.get("exitCode"), reason, (data.get("waiting") or {}).get("message", ""))


def pod_attempt(pod: str) -> int:
    """The attempt that a pod of this name executes; the first is 0."""
    match = _RETRY.search(pod)
    return int(match[1]) if match else 0


def waits(pod: Object) -> Iterator[tuple[str, str]]:
    """(why, fix) of what keeps a pod from starting, and that somebody may have to mend."""
    status = pod.get("status") or {}
    for one in status.get("conditions") or ():
        if (one["type"], one["status"], one.get("reason")) == ("PodScheduled", "False", "Unschedulable"):
            lacking = one.get("message", "").partition(" preemption:")[0].partition(" no new claims")[0].rstrip(", ")
            fix = "it starts when there is room; ask for less in the spec, or let the cluster grow"
            yield f"no node has room: {lacking}", fix
    for one in [*(status.get("initContainerStatuses") or ()), *(status.get("containerStatuses") or ())]:
        waiting = (one.get("state") or {}).get("waiting") or {}
        reason, message = waiting.get("reason", ""), waiting.get("message", "")
        if reason in _STUCK:
            yield f'its image "{one.get("image", "")}" cannot be pulled: {_last(message) or reason}', PULL_FIX
        elif reason in _CONFIG:
            yield f"its container cannot be made: {message or reason}", MAKE_FIX


def _last(message: str) -> str:
    """What a registry said at last: before that, every layer of software repeats the image's name."""
    return message.rpartition(": ")[2].strip(' "')


def settled(objects: Objects, names: Iterable[str]) -> dict[str, TaskStatus]:
    """The statuses, as Tekton tells a finally task, of those of these tasks that are settled."""
    runs: dict[str, list[Object]] = {}
    for one in objects.task_runs:
        runs.setdefault(task_of(one), []).append(one)
    skipped = {one["name"]: skip_reason(one) for one in (objects.run.get("status") or {}).get("skippedTasks") or ()}
    entries = pieces(objects.run)
    found = {}
    for name in names:
        status = _settled([condition(one) for one in runs.get(name, ())])
        reasons = [skipped[entry] for entry in entries.get(name, [name]) if entry in skipped]
        if status is not None and (status.status == FAILED or STOPPING not in reasons):
            found[name] = status
        elif reasons and name not in runs:
            none = empty(objects.run, entries.get(name, [name]))
            found[name] = TaskStatus(SUCCEEDED, NO_ITEMS) if none else TaskStatus(NONE, reasons[0])
    return found | {name: TaskStatus(SUCCEEDED, CACHED) for name in hits(objects.task_runs) & set(found)}


def looks_for(task_run: Object) -> str | None:
    """The task that a pod of its own looks for in the cache (decision 0033); None for TaskRuns of all others."""
    names = {param["name"] for param in (task_run.get("spec") or {}).get("params") or ()}
    return task_of(task_run).removeprefix("cache-") if LOOKUP_PARAM in names else None


def hits(task_runs: Iterable[Object]) -> set[str]:
    """The tasks that were taken from the cache so, and of which Tekton says that they were skipped."""
    return {task for one in task_runs if (task := looks_for(one)) is not None and results(one).get(HIT) == "true"}


def _settled(conditions: Sequence[tuple[bool | None, str, str]]) -> TaskStatus | None:
    """Of a task from its TaskRuns, of a fan one an item; None while one goes on, or where there is none."""
    if not conditions or any(succeeded is None for succeeded, _, _ in conditions):
        return None
    _, reason, _ = next((one for one in conditions if not one[0]), conditions[0])
    return TaskStatus(SUCCEEDED if all(one[0] for one in conditions) else FAILED, reason)


def skip_reason(skipped: Object) -> str:
    """Why Tekton skipped a task. While a run is being cancelled it has other words, for a moment, for stopping."""
    reason: str = skipped.get("reason", "")
    return STOPPING if reason.startswith("PipelineRun was ") else reason


def state_of(run: Object, tasks: Collection[TaskStatus | None]) -> State:
    """How a run ended, as its `tasks` have it (None: one that never settled); finally tasks change nothing."""
    _, reason, _ = condition(run)
    if any(one is not None and one.reason == CANCELLED for one in tasks):
        return State.ABORT
    if any(one is not None and one.status == FAILED for one in tasks):
        return State.FAIL
    if any(one is None or one.reason == STOPPING for one in tasks):
        return State.ABORT if reason in _ABORTS else State.FAIL
    return State.COMPLETE


def results(task_run: Object) -> dict[str, str]:
    """What a task handed on: result name -> text."""
    found = (task_run.get("status") or {}).get("results") or ()
    return {one["name"]: str(one["value"]) for one in found}
