"""Kind PipelineRun: how a pipeline is started, and where its pods may run."""

from __future__ import annotations

from collections.abc import Iterator

from mlgen.plan.model import Plan
from mlgen.render import identity, placement, staging, timeouts
from mlgen.render.fans import Pieces
from mlgen.render.names import pipeline_labels
from mlgen.render.pipeline import input_text
from mlgen.render.staging import Data
from mlgen.runtime.pod import contract as pod
from mlgen.spec.project import Environment
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
            placed
            for task in plan.all_tasks
            for entry in pieces.entries(task.name)
            if (placed := placement.task_run_spec(task, entry, environment, template)) is not None
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
