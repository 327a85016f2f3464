"""Kind CronJob and what it needs: every minute `mlgen ledger reconcile`, which folds what waits in the spool."""

from __future__ import annotations

from collections.abc import Iterable

from mlgen.render import identity, staging
from mlgen.render.emit import emit
from mlgen.render.manifests import MADE_BY, Manifest
from mlgen.render.names import manifest_path, of_environment
from mlgen.render.staging import Data
from mlgen.runtime.pod import contract as pod
from mlgen.spec.project import S3, Environment, Ledger
from mlgen.spec.quantities import duration_text

PROJECT_FILE = "mlgen.yaml"

MAX_NAME = 52  # characters of a CronJob's: its Jobs add eleven, and theirs must fit into a label's 63
_NAME = "mlgen-ledger"

SCHEDULE = "* * * * *"
START_SECONDS = 120  # a start that is later than this is left out: the next one does its work
DEADLINE_SECONDS = 600  # of one pass; whatever it did not come to, the next one does
KEPT_SECONDS = 3600  # of a pod that ended, so that somebody can look at what it said

_CONFIG, _SCRATCH = "/mlgen-config", "/mlgen-scratch"
_CONFIG_VOLUME, _SCRATCH_VOLUME = "mlgen-config", "mlgen-scratch"

# What `mlgen.cluster` asks of the API server, and nothing else.
_RULES: tuple[tuple[str, tuple[str, ...], tuple[str, ...]], ...] = (
    ("tekton.dev", ("pipelineruns", "taskruns"), ("list",)),
    ("", ("pods",), ("list", "delete")),
    ("", ("pods/log",), ("get",)),
)


def cron_manifests(environment: Environment, known: Iterable[Environment]) -> list[Manifest]:
    """The CronJob of an environment with a namespace, its account, its rights and its mlgen.yaml.

    known: all environments of the project: those whose records wait in the same spool are told to it, or it would
    take their records for forged ones.
    """
    comment = (
        f"{MADE_BY}{PROJECT_FILE} for the environment {environment.name}; do not edit:",
        f"change {PROJECT_FILE}, then `mlgen render --env {environment.name}`",
    )
    name = cron_name(environment.name)
    sharing = [e for e in known if e.artifacts == environment.artifacts and e.name != environment.name]
    objects: list[Data] = [
        identity.account(environment, name, environment.identity),  # it reads and clears the bucket, as a run's pods do
        _object(environment, "rbac.authorization.k8s.io/v1", "Role", rules=[_rule(*rule) for rule in _RULES]),
        _object(
            environment,
            "rbac.authorization.k8s.io/v1",
            "RoleBinding",
            roleRef={"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": name},
            subjects=[{"kind": "ServiceAccount", "name": name, "namespace": environment.namespace}],
        ),
        _object(environment, "v1", "ConfigMap", data={PROJECT_FILE: project_text([environment, *sharing])}),
        _object(environment, "batch/v1", "CronJob", spec=_cron_job(environment)),
    ]
    return [Manifest(manifest_path(environment, str(data["kind"]), name), comment, data) for data in objects]


def cron_name(environment: str) -> str:
    """What the CronJob of an environment is called, and all that belongs to it. Two share a namespace unharmed."""
    return of_environment(_NAME, environment, MAX_NAME)


def project_text(environments: Iterable[Environment]) -> str:
    """A mlgen.yaml with what reconciling and folding read of some environments."""
    found: Data = {e.name: _environment(e) for e in sorted(environments, key=lambda e: e.name)}
    return emit({"version": 1, "environments": found}).decode()


def _environment(environment: Environment) -> Data:
    given: Data = {
        "namespace": environment.namespace,
        "artifacts": environment.artifacts,
        "s3": _s3(environment.s3),
        "ledger": _ledger(environment.ledger),
        "runtime_image": environment.runtime_image,
    }
    return {key: value for key, value in given.items() if value}


def _s3(s3: S3) -> Data:
    given: Data = {"endpoint": s3.endpoint, "region": s3.region, "secret": s3.secret}
    return {key: value for key, value in given.items() if value}


def _ledger(ledger: Ledger) -> Data:
    given: Data = {
        "url": ledger.url,
        "branch": ledger.branch,
        "secret": ledger.secret,
        "fold": ledger.fold,
        "interval": duration_text(ledger.interval_seconds),
    }
    return {key: value for key, value in given.items() if value}


def _object(environment: Environment, version: str, kind: str, **body: object) -> Data:
    metadata: Data = {
        "name": cron_name(environment.name),
        "namespace": environment.namespace,
        "labels": job_labels(environment),
    }
    return {"apiVersion": version, "kind": kind, "metadata": metadata, **body}


def job_labels(environment: Environment) -> Data:
    return {"mlgen.dev/env": environment.name, **dict(environment.labels)}


def _rule(group: str, resources: tuple[str, ...], verbs: tuple[str, ...]) -> Data:
    return {"apiGroups": [group], "resources": list(resources), "verbs": list(verbs)}


def _cron_job(environment: Environment) -> Data:
    return {
        "schedule": SCHEDULE,
        "concurrencyPolicy": "Forbid",
        "startingDeadlineSeconds": START_SECONDS,
        "successfulJobsHistoryLimit": 1,
        "failedJobsHistoryLimit": 1,
        "jobTemplate": {
            "metadata": {"labels": job_labels(environment)},
            "spec": {
                "backoffLimit": 0,  # the next minute is another try
                "activeDeadlineSeconds": DEADLINE_SECONDS,
                "ttlSecondsAfterFinished": KEPT_SECONDS,
                "template": {
                    "metadata": {"labels": {**job_labels(environment), **identity.pod_labels(environment)}},
                    "spec": _pod(environment),
                },
            },
        },
    }


def _pod(environment: Environment) -> Data:
    secret = environment.ledger.secret
    # With a path of its own the file is one: a mounted ConfigMap has links, which a project's files may not be.
    mounts: list[Data] = [
        {"name": _CONFIG_VOLUME, "mountPath": f"{_CONFIG}/{PROJECT_FILE}", "subPath": PROJECT_FILE, "readOnly": True},
        {"name": _SCRATCH_VOLUME, "mountPath": _SCRATCH},
    ]
    volumes: list[Data] = [
        {"name": _CONFIG_VOLUME, "configMap": {"name": cron_name(environment.name)}},
        {"name": _SCRATCH_VOLUME, "emptyDir": {}},
    ]
    env = [staging.variable(name, _SCRATCH) for name in ("HOME", "TMPDIR")]
    if secret is not None:
        mounts.append(staging.LEDGER_MOUNT)
        volumes.append(staging.secret_volume(secret))
        env.append(staging.variable("MLGEN_LEDGER_SECRET", pod.LEDGER_SECRET))
    reconcile = staging.container(
        "reconcile",
        environment,
        ["ledger", "reconcile", "--env", environment.name, "-C", _CONFIG],
        [*env, *staging.credentials(environment.s3)],
        mounts,
    )
    spec: Data = {
        "serviceAccountName": cron_name(environment.name),
        "automountServiceAccountToken": True,
        "enableServiceLinks": False,
        "restartPolicy": "Never",
        "securityContext": staging.pod_security(environment),
        "containers": [plain_container(reconcile) | {"command": ["mlgen"]}],
        "volumes": volumes,
    }
    if environment.image_pull_secrets:
        spec["imagePullSecrets"] = [{"name": name} for name in environment.image_pull_secrets]
    return spec


def plain_container(step: Data) -> Data:
    """A step of a Task as a container of a pod."""
    resources = step.pop("computeResources")
    return {
        **step,
        "resources": resources,
        "securityContext": {**staging.SECURITY, "readOnlyRootFilesystem": True},
        "terminationMessagePolicy": "FallbackToLogsOnError",  # so that `kubectl describe` says why it failed
    }
