"""What rendered objects and their files are called, and the labels and annotations they carry."""

from __future__ import annotations

from mlgen import canonical
from mlgen.plan.model import Plan
from mlgen.spec.project import Environment

# Of an environment: what administrators of Argo CD apply, and those of its cluster; what Argo CD syncs; what people and
# programs create.
FOLDERS = ("argocd", "cluster", "manifests", "runs")

HASH_LENGTH = 10  # hex digits: a pipeline has few Tasks, and a name is read by people

# A Task outlives the spec that it came from: runs in flight refer to it by name. `mlgen gc tasks` removes it.
TASK_ANNOTATIONS: dict[str, object] = {
    "argocd.argoproj.io/compare-options": "IgnoreExtraneous",
    "argocd.argoproj.io/sync-options": "Prune=false",
    "argocd.argoproj.io/sync-wave": "-1",
}


def task_name(pipeline: str, task: str, spec: dict[str, object]) -> str:
    """The name of a Task: its place in the pipeline and the digest of its canonical spec."""
    return f"{pipeline}-{task}-{canonical.digest(spec).removeprefix('sha256:')[:HASH_LENGTH]}"


def of_environment(head: str, environment: str, longest: int) -> str:
    """What an object is called whose name tells the environment. longest: characters; what has more is cut, and ends
    with a digest of the whole.
    """
    name = f"{head}-{environment}"
    if len(name) <= longest:
        return name
    digest = canonical.digest(name).removeprefix("sha256:")[:HASH_LENGTH]
    return f"{name[: longest - HASH_LENGTH - 1].rstrip('-')}-{digest}"


def manifest_path(environment: Environment, kind: str, name: str) -> str:
    """Below the output folder, flat: what Argo CD syncs. Sorted, an environment's Pipelines come before its Tasks."""
    return f"{environment.name}/manifests/{kind.lower()}-{name}.yaml"


def run_path(environment: Environment, pipeline: str) -> str:
    """Below the output folder, beside the manifests: created by people and programs, never synced."""
    return f"{environment.name}/runs/{pipeline}.yaml"


def task_labels(plan: Plan, environment: Environment, task: str) -> dict[str, object]:
    """The labels of a Task, which its pods inherit: functions of its content only."""
    return {"mlgen.dev/pipeline": plan.name, "mlgen.dev/task": task, "mlgen.dev/env": environment.name}


def pipeline_labels(plan: Plan, environment: Environment) -> dict[str, object]:
    """The labels of Pipeline and PipelineRun, which pods inherit."""
    ours: dict[str, object] = {"mlgen.dev/pipeline": plan.name, "mlgen.dev/env": environment.name}
    if plan.owner:
        ours["mlgen.dev/owner"] = plan.owner
    return ours | dict(given_labels(plan, environment))


def given_labels(plan: Plan, environment: Environment) -> dict[str, str]:
    """The labels that people gave, by name. Those of a run, too.

    An environment's go before a spec's: by them policies and bills know whose a pod is, which no author may choose.
    """
    given = {**dict(plan.labels), **dict(environment.labels)}
    return {key: given[key] for key in sorted(given)}


def run_annotations(plan: Plan, environment: Environment) -> dict[str, object]:
    """The annotations of Pipeline and PipelineRun; a run's reach its pods, and so its records.

    Labels are told once more: of those that a pod has, no one could say which people gave.
    """
    found: dict[str, object] = {"mlgen.dev/spec-digest": plan.spec_digest, "mlgen.dev/plan-digest": plan.digest}
    labels = given_labels(plan, environment)
    if labels:
        found["mlgen.dev/labels"] = canonical.encode(labels).decode()
    if plan.source:
        found["mlgen.dev/source"] = plan.source
    return found
