"""Where the pods of a task run, before which others, and on which disk."""

from __future__ import annotations

from mlgen.plan.model import Task
from mlgen.render.staging import WORK_VOLUME, Data
from mlgen.spec.project import Environment, GpuPool, Spot
from mlgen.spec.settings import DEFAULT_KIND

# Source: kueue pkg/controller/constants, QueueLabel; its integration `pod` holds a pod that has it back until admitted.
QUEUE_LABEL = "kueue.x-k8s.io/queue-name"


def task_run_spec(task: Task, entry: str, environment: Environment, template: Data) -> Data | None:
    """The PipelineRun's settings for the TaskRuns of a task; None where it goes where all go.

    entry: its name in the Pipeline. The template is repeated in full: Tekton takes each key from one level, and merges
    none.
    """
    placed = _placed(task, environment)
    queue = queue_of(task, environment)
    if not placed and queue is None and task.gpu is None:
        return None
    found: Data = {"pipelineTaskName": entry}
    if placed or task.gpu is not None:
        found["podTemplate"] = template | placed
    if queue is not None:
        found["metadata"] = {"labels": {QUEUE_LABEL: queue}}
    return found


def _placed(task: Task, environment: Environment) -> Data:
    pool = environment.pool(task.gpu.pool) if task.gpu else None
    if task.gpu and pool is None:
        raise ValueError(f"{environment.name} has no GPU pool for {task.name}")
    places: list[GpuPool | Spot] = [pool] if pool else []
    if task.spot and environment.spot:
        places.append(environment.spot)
    placed: Data = {}
    selector = {key: value for place in places for key, value in place.node_selector}
    tolerations = [toleration for place in places for toleration in place.tolerations]
    if selector:
        placed["nodeSelector"] = dict(sorted(selector.items()))
    if tolerations:
        placed["tolerations"] = [t for at, t in enumerate(tolerations) if t not in tolerations[:at]]
    priority = dict(environment.priorities).get(task.priority or "")
    if priority is not None:
        placed["priorityClassName"] = priority
    return placed


def queue_of(task: Task, environment: Environment) -> str | None:
    """The LocalQueue in which a task's pods wait; None where Kueue is not asked for."""
    return dict(environment.queues).get(task.queue or DEFAULT_KIND)


def work_volume(task: Task, environment: Environment) -> Data:
    """The volume of ins, outs and working directory.

    A claim of the pod's own is no workspace of Tekton, which would bind all pods of the run to one node by its affinity
    assistant; Kubernetes makes it with the pod and removes it with the pod.
    """
    if task.workspace is None:
        return {"name": WORK_VOLUME, "emptyDir": {"sizeLimit": task.disk.text} if task.disk else {}}
    claim: Data = {
        "accessModes": ["ReadWriteOnce"],
        "resources": {"requests": {"storage": task.workspace.size.text}},
    }
    storage_class = dict(environment.workspaces).get(task.workspace.kind)
    if storage_class is not None:
        claim["storageClassName"] = storage_class
    elif task.workspace.kind != DEFAULT_KIND:
        raise ValueError(f"{environment.name} has no workspaces of kind {task.workspace.kind}")
    return {"name": WORK_VOLUME, "ephemeral": {"volumeClaimTemplate": {"spec": claim}}}
