"""Kind PipelineRun: how a pipeline is started, and where its pods may run."""

from __future__ import annotations

from collections.abc import Iterator

from mlgen.plan.model import Plan, Task
from mlgen.render import identity, staging, timeouts
from mlgen.render.fans import Pieces
from mlgen.render.names import pipeline_labels
from mlgen.render.pipeline import input_text
from mlgen.render.staging import Data
from mlgen.runtime import pod
from mlgen.spec.project import Environment, GpuPool, Spot
from mlgen.spec.quantities import duration_text


def pipeline_run(plan: Plan, environment: Environment, annotations: Data) -> Data:
    """The PipelineRun, with every param that has a default."""
    total = timeouts.of_run(plan, environment)
    template, pieces = _pod_template(environment), Pieces(plan)
    spec: Data = {
        "pipelineRef": {"name": plan.name},
        "params": [
            {"name": name, "value": pod.escape(text)}
            for name, _, text in _arguments(plan, environment)
            if text is not None
        ],
        "timeouts": {
            "pipeline": duration_text(total.pipeline),
            "tasks": duration_text(total.tasks),
            "finally": duration_text(total.final),
        },
        "taskRunTemplate": {"serviceAccountName": environment.service_account, "podTemplate": template},
        "taskRunSpecs": [
            _placed(task, piece.name, environment, template)
            for task in plan.all_tasks
            if task.gpu or (task.spot and environment.spot)
            for piece in pieces.of(task.name)
        ],
    }
    return {
        "apiVersion": "tekton.dev/v1",
        "kind": "PipelineRun",
        "metadata": {
            "generateName": f"{plan.name}-",
            "namespace": environment.namespace,
            "labels": pipeline_labels(plan, environment) | identity.pod_labels(environment),
            "annotations": annotations,
        },
        "spec": {key: value for key, value in spec.items() if value},
    }


def required(plan: Plan, environment: Environment) -> tuple[tuple[str, str], ...]:
    """(name, type) of what has no default: a run must be given it."""
    return tuple((name, kind) for name, kind, text in _arguments(plan, environment) if text is None)


def _arguments(plan: Plan, environment: Environment) -> Iterator[tuple[str, str, str | None]]:
    yield from ((p.name, str(p.type), p.default) for p in plan.params)
    yield from ((i.name, f"URI of a {i.type}", input_text(i, environment)) for i in plan.inputs)


def _pod_template(environment: Environment) -> Data:
    template: Data = {
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,  # variables of every Service of the namespace are nothing a program should see
        "securityContext": staging.pod_security(environment),
    }
    if environment.image_pull_secrets:
        template["imagePullSecrets"] = [{"name": name} for name in environment.image_pull_secrets]
    return template


def _placed(task: Task, entry: str, environment: Environment, template: Data) -> Data:
    """Where a task with GPUs or on spot nodes runs.

    The template is repeated in full: Tekton takes each key from one level, it merges none.
    """
    pool = environment.pool(task.gpu.pool) if task.gpu else None
    if task.gpu and pool is None:
        raise ValueError(f"{environment.name} has no GPU pool for {task.name}")
    places: list[GpuPool | Spot] = [pool] if pool else []
    if task.spot and environment.spot:
        places.append(environment.spot)
    placed = dict(template)
    selector = {key: value for place in places for key, value in place.node_selector}
    tolerations = [toleration for place in places for toleration in place.tolerations]
    if selector:
        placed["nodeSelector"] = dict(sorted(selector.items()))
    if tolerations:
        placed["tolerations"] = [t for at, t in enumerate(tolerations) if t not in tolerations[:at]]
    return {"pipelineTaskName": entry, "podTemplate": placed}
