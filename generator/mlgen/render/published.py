"""Kind Job, as Argo CD's PreSync hook: whether all that the manifests pin is in the bucket, before any is synced."""

from __future__ import annotations

from collections.abc import Iterable

from mlgen import canonical
from mlgen.plan.model import Plan
from mlgen.render import identity, staging
from mlgen.render.cronjob import job_labels, plain_container
from mlgen.render.manifests import MADE_BY, Manifest
from mlgen.render.names import HASH_LENGTH, manifest_path
from mlgen.render.staging import Data
from mlgen.runtime import documents
from mlgen.runtime.publish import wanted
from mlgen.spec.project import Environment

NAME = "mlgen-published"
MAX_NAME = 63 - len("-12345")  # its pod's has five more characters
SOURCE = "pipelines/"  # all of them: a rendering of some specs leaves it as it is
DEADLINE_SECONDS = 300
KEPT_SECONDS = 3600  # so that somebody can read what it said

_HOOK: Data = {
    "argocd.argoproj.io/hook": "PreSync",
    "argocd.argoproj.io/hook-delete-policy": "BeforeHookCreation",
}
_SCRATCH_VOLUME, _SCRATCH = "mlgen-scratch", "/mlgen-scratch"


def published_manifests(plans: Iterable[Plan], environment: Environment) -> list[Manifest]:
    """The Job of an environment; none where nothing is pinned. plans: all that are rendered there.

    It reads the bucket as a task's pods do, and needs no other right. Its name says what it asks for, so that to apply
    it without Argo CD changes no Job that is there.
    """
    found: dict[str, str] = {}  # key -> what it is and whose, for people
    for plan in sorted(plans, key=lambda plan: plan.name):
        for item in wanted([plan]):
            found.setdefault(item.key, f"{item} of {plan.name}")
    if not found:
        return []
    comment = (
        f"{MADE_BY}{SOURCE} for the environment {environment.name}; do not edit:",
        f"change the specs, then `mlgen render --env {environment.name}`",
        "",
        "Argo CD runs it before each sync. If it fails, its log says what was not published, and nothing is changed.",
    )
    # $$: Kubernetes makes one of two, and of $(HOME) what that holds.
    spec = _job(environment, [f"{key}={what}".replace("$", "$$") for key, what in sorted(found.items())])
    name = _name(environment, spec)
    data: Data = {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {
            "name": name,
            "namespace": environment.namespace,
            "labels": job_labels(environment),
            "annotations": _HOOK,
        },
        "spec": spec,
    }
    return [Manifest(manifest_path(environment, "Job", name), comment, data)]


def _name(environment: Environment, spec: Data) -> str:
    digest = canonical.digest(spec).removeprefix("sha256:")[:HASH_LENGTH]
    head = f"{NAME}-{environment.name}"[: MAX_NAME - HASH_LENGTH - 1].rstrip("-")
    return f"{head}-{digest}"


def _job(environment: Environment, keys: list[str]) -> Data:
    platform = staging.platform(environment, inputs=False, folds=False)
    document = documents.of_published(env=environment.name, artifacts=environment.artifacts, platform=platform)
    container = staging.container(
        "published",
        environment,
        ["published", *keys],
        [
            staging.DOLLAR_VARIABLE,
            staging.document_variable(document),
            *(staging.variable(name, _SCRATCH) for name in ("HOME", "TMPDIR")),
            *staging.credentials(environment.s3),
        ],
        [{"name": _SCRATCH_VOLUME, "mountPath": _SCRATCH}],
    )
    spec: Data = {
        # As the pods of runs: with workload identity, that is who may read the bucket.
        "serviceAccountName": environment.service_account,
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "restartPolicy": "Never",
        "securityContext": staging.pod_security(environment),
        "containers": [plain_container(container)],
        "volumes": [{"name": _SCRATCH_VOLUME, "emptyDir": {}}],
    }
    if environment.image_pull_secrets:
        spec["imagePullSecrets"] = [{"name": name} for name in environment.image_pull_secrets]
    return {
        "backoffLimit": 0,  # Argo CD tries again
        "activeDeadlineSeconds": DEADLINE_SECONDS,
        "ttlSecondsAfterFinished": KEPT_SECONDS,
        "template": {
            "metadata": {"labels": {**job_labels(environment), **identity.pod_labels(environment)}},
            "spec": spec,
        },
    }
