"""Kind CronJob of a schedule, and what it needs: at each time its pod creates the PipelineRun of that time, once.

The CronJob's own concurrencyPolicy is about pods that are gone after a second. What it says of runs is done by the pod,
which therefore may also list them, and for `replace` cancel them; where runs may overlap it may create them, no more.
"""

from __future__ import annotations

from mlgen import canonical
from mlgen.diagnostic import visible
from mlgen.plan.model import Plan
from mlgen.render import identity, staging
from mlgen.render.cronjob import MAX_NAME, job_labels, plain_container
from mlgen.render.manifests import MADE_BY, Manifest
from mlgen.render.names import manifest_path, of_environment, run_annotations
from mlgen.render.pipelinerun import pipeline_run
from mlgen.render.staging import Data
from mlgen.runtime.pod import start
from mlgen.schedules.model import Concurrency, Schedule
from mlgen.spec.project import Environment

TRIES = 3  # of pods beyond the first, where none could be asked: the run is one, by its name
DEADLINE_SECONDS = 600
MAX_ACCOUNT = 63
KEPT_SECONDS = 3600  # of a pod that ended, so that somebody can look at what it said
_VOLUME = "mlgen-start"
_JOB_LABEL = "batch.kubernetes.io/job-name"
_VERBS = {
    Concurrency.ALLOW: ["create"],
    Concurrency.FORBID: ["create", "list"],
    Concurrency.REPLACE: ["create", "list", "patch"],
}


def schedule_manifests(plan: Plan, environment: Environment) -> list[Manifest]:
    """What starts a plan that `check_limits` finds nothing against: a CronJob and its ConfigMap for each schedule, and
    one account for all of them, with its rights."""
    if not plan.schedules:
        return []
    comment = (
        f"{MADE_BY}{visible(plan.source)} for the environment {environment.name}; do not edit:",
        f"change the spec, then `mlgen render --env {environment.name}`",
    )
    account = account_name(plan, environment.name)
    objects = _account(plan, environment, account)
    for schedule in plan.schedules:
        name = schedule_name(plan, schedule, environment.name)
        document = _document(plan, schedule, environment, name)
        objects += [
            _object(environment, name, "v1", "ConfigMap", data={start.FILE: document}),
            _object(environment, name, "batch/v1", "CronJob", spec=_cron_job(schedule, environment, name, account)),
        ]
    return [Manifest(manifest_path(environment, str(data["kind"]), _name_of(data)), comment, data) for data in objects]


def schedule_name(plan: Plan, schedule: Schedule, environment: str) -> str:
    """What the CronJob of a schedule is called, and what its pod reads."""
    return of_environment(f"{plan.name}-{schedule.digest}", environment, MAX_NAME)


def account_name(plan: Plan, environment: str) -> str:
    """Who starts a pipeline. The same whatever its schedules say: policies allow accounts by name."""
    return of_environment(f"mlgen-start-{plan.name}", environment, MAX_ACCOUNT)


def _account(plan: Plan, environment: Environment, name: str) -> list[Data]:
    group = "rbac.authorization.k8s.io"
    verbs = max((_VERBS[schedule.concurrency] for schedule in plan.schedules), key=len)
    rule: Data = {"apiGroups": ["tekton.dev"], "resources": ["pipelineruns"], "verbs": verbs}
    role: Data = {"apiGroup": group, "kind": "Role", "name": name}
    subject: Data = {"kind": "ServiceAccount", "name": name, "namespace": environment.namespace}
    return [
        identity.account(environment, name, None),  # it is nobody in a cloud: it reads no bucket
        _object(environment, name, f"{group}/v1", "Role", rules=[rule]),
        _object(environment, name, f"{group}/v1", "RoleBinding", roleRef=role, subjects=[subject]),
    ]


def _name_of(data: Data) -> str:
    metadata = data["metadata"]
    assert isinstance(metadata, dict)
    return str(metadata["name"])


def _object(environment: Environment, name: str, version: str, kind: str, **body: object) -> Data:
    metadata: Data = {"name": name, "namespace": environment.namespace, "labels": job_labels(environment)}
    return {"apiVersion": version, "kind": kind, "metadata": metadata, **body}


def _document(plan: Plan, schedule: Schedule, environment: Environment, name: str) -> str:
    """What the pod reads: the schedule, and the PipelineRun of runs/ with a label that says who starts it."""
    run = pipeline_run(plan, environment, run_annotations(plan, environment))
    metadata = run["metadata"]
    assert isinstance(metadata, dict)
    metadata = {key: value for key, value in metadata.items() if key != "generateName"}
    metadata["labels"] = {**metadata["labels"], start.LABEL: name}
    found = {
        "cronJob": name,
        "pipeline": plan.name,
        "schedule": schedule.to_json(),
        "run": {**run, "metadata": metadata},
    }
    return canonical.encode(found).decode()


def _cron_job(schedule: Schedule, environment: Environment, name: str, account: str) -> Data:
    pod_labels = job_labels(environment)
    return {
        "schedule": schedule.cron,
        "timeZone": schedule.zone,
        "concurrencyPolicy": schedule.concurrency.capitalize(),
        "startingDeadlineSeconds": schedule.catch_up_seconds,
        "successfulJobsHistoryLimit": 1,
        "failedJobsHistoryLimit": 1,
        "jobTemplate": {
            "metadata": {"labels": job_labels(environment)},
            "spec": {
                "backoffLimit": TRIES,
                "activeDeadlineSeconds": DEADLINE_SECONDS,
                "ttlSecondsAfterFinished": KEPT_SECONDS,
                "template": {"metadata": {"labels": pod_labels}, "spec": _pod(environment, name, account)},
            },
        },
    }


def _pod(environment: Environment, name: str, account: str) -> Data:
    job: Data = {"name": "MLGEN_JOB", "valueFrom": {"fieldRef": {"fieldPath": f"metadata.labels['{_JOB_LABEL}']"}}}
    mounts: list[Data] = [{"name": _VOLUME, "mountPath": start.FOLDER, "readOnly": True}]
    spec: Data = {
        "serviceAccountName": account,
        "automountServiceAccountToken": True,
        "enableServiceLinks": False,
        "restartPolicy": "Never",
        "securityContext": staging.pod_security(environment),
        "containers": [plain_container(staging.container("start", environment, ["start"], [job], mounts))],
        "volumes": [{"name": _VOLUME, "configMap": {"name": name}}],
    }
    if environment.image_pull_secrets:
        spec["imagePullSecrets"] = [{"name": one} for one in environment.image_pull_secrets]
    return spec
