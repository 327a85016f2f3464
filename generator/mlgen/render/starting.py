"""What starts a pipeline by itself has alike, be it a time or an event: who may, and the pod that creates the run."""

from __future__ import annotations

from dataclasses import dataclass

from mlgen import canonical
from mlgen.diagnostic import visible
from mlgen.plan.model import Plan
from mlgen.render import identity, staging
from mlgen.render.cronjob import job_labels, plain_container
from mlgen.render.manifests import MADE_BY, Manifest
from mlgen.render.names import manifest_path, of_environment, pipeline_labels, run_annotations
from mlgen.render.pipelinerun import pipeline_run
from mlgen.render.staging import Data
from mlgen.runtime.pod import start
from mlgen.schedules.model import Concurrency
from mlgen.spec.project import Environment

TRIES = 3  # of pods beyond the first, where none could be asked: the run is one, by its name
DEADLINE_SECONDS = 600
MAX_ACCOUNT = 63
KEPT_SECONDS = 3600  # of a pod that ended, so that somebody can look at what it said
VOLUME = "mlgen-start"
_VERBS = {
    Concurrency.ALLOW: ["create"],
    Concurrency.FORBID: ["create", "list"],
    Concurrency.REPLACE: ["create", "list", "patch"],
}


@dataclass(frozen=True, slots=True)
class Mounted:
    mount: Data
    volume: Data


def account_name(plan: Plan, environment: str) -> str:
    """Who starts a pipeline. The same whatever starts it: policies allow accounts by name."""
    return of_environment(f"mlgen-start-{plan.name}", environment, MAX_ACCOUNT)


def account_objects(plan: Plan, environment: Environment) -> list[Data]:
    """Who starts a pipeline, and may: what its schedules, and its triggers where they are looked at, ask for."""
    starts: list[Concurrency] = [schedule.concurrency for schedule in plan.schedules]
    starts += [trigger.concurrency for trigger in plan.triggers] if environment.triggers else []
    if not starts:
        return []
    verbs = max((_VERBS[concurrency] for concurrency in starts), key=len)
    rule: Data = {"apiGroups": ["tekton.dev"], "resources": ["pipelineruns"], "verbs": verbs}
    return rights(environment, account_name(plan, environment.name), [rule])


def rights(environment: Environment, name: str, rules: list[Data]) -> list[Data]:
    """An account and what it may in its namespace. It is nobody in a cloud: it reads no bucket."""
    group = "rbac.authorization.k8s.io"
    role: Data = {"apiGroup": group, "kind": "Role", "name": name}
    subject: Data = {"kind": "ServiceAccount", "name": name, "namespace": environment.namespace}
    return [
        identity.account(environment, name, None),
        an_object(environment, name, f"{group}/v1", "Role", rules=rules),
        an_object(environment, name, f"{group}/v1", "RoleBinding", roleRef=role, subjects=[subject]),
    ]


def an_object(
    environment: Environment, name: str, version: str, kind: str, *, plan: Plan | None = None, **body: object
) -> Data:
    """plan: whose the object is; of none, it has the environment's labels only."""
    labels = job_labels(environment) if plan is None else pipeline_labels(plan, environment)
    metadata: Data = {"name": name, "namespace": environment.namespace, "labels": labels}
    return {"apiVersion": version, "kind": kind, "metadata": metadata, **body}


def document(plan: Plan, environment: Environment, label: str, name: str, what: Data) -> Data:
    """The ConfigMap that the pod reads: what starts it, and the PipelineRun of runs/ with a label that says so."""
    run = pipeline_run(plan, environment, run_annotations(plan, environment))
    metadata = run["metadata"]
    assert isinstance(metadata, dict)
    metadata = {key: value for key, value in metadata.items() if key != "generateName"}
    metadata["labels"] = {**metadata["labels"], label: name}
    found = {**what, "pipeline": plan.name, "run": {**run, "metadata": metadata}}
    return an_object(
        environment, name, "v1", "ConfigMap", plan=plan, data={start.FILE: canonical.encode(found).decode()}
    )


def job_spec(plan: Plan, environment: Environment, metadata: Data, pod: Data) -> Data:
    """Of the Job whose pod creates a run: its owner is the pipeline's."""
    return {
        "backoffLimit": TRIES,
        "activeDeadlineSeconds": DEADLINE_SECONDS,
        "ttlSecondsAfterFinished": KEPT_SECONDS,
        "template": {"metadata": {"labels": pipeline_labels(plan, environment), **metadata}, "spec": pod},
    }


def pod_spec(
    environment: Environment, name: str, account: str, *, env: list[Data] | None = None, more: Mounted | None = None
) -> Data:
    """The pod that creates the run. name: of its ConfigMap; more: what is mounted besides."""
    mounts: list[Data] = [{"name": VOLUME, "mountPath": start.FOLDER, "readOnly": True}]
    volumes: list[Data] = [{"name": VOLUME, "configMap": {"name": name}}]
    if more is not None:
        mounts, volumes = [*mounts, more.mount], [*volumes, more.volume]
    spec: Data = {
        "serviceAccountName": account,
        "automountServiceAccountToken": True,
        "enableServiceLinks": False,
        "restartPolicy": "Never",
        "securityContext": staging.pod_security(environment),
        "containers": [plain_container(staging.container("start", environment, ["start"], env or [], mounts))],
        "volumes": volumes,
    }
    if environment.image_pull_secrets:
        spec["imagePullSecrets"] = [{"name": one} for one in environment.image_pull_secrets]
    return spec


def as_manifests(plan: Plan, environment: Environment, objects: list[Data]) -> list[Manifest]:
    comment = (
        f"{MADE_BY}{visible(plan.source)} for the environment {environment.name}; do not edit:",
        f"change the spec, then `mlgen render --env {environment.name}`",
    )
    return [Manifest(manifest_path(environment, str(data["kind"]), _name_of(data)), comment, data) for data in objects]


def _name_of(data: Data) -> str:
    metadata = data["metadata"]
    assert isinstance(metadata, dict)
    return str(metadata["name"])
