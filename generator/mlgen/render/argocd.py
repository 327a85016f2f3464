"""Kinds AppProject and Application of Argo CD: what syncs an environment's manifests, and all that it may touch.

Kind Namespace: where that is, under the labels by which policies and Pod Security hold there. All of it is for an
administrator to apply, once and whenever it changes: who may merge into the repository must not be able to widen what a
merge may do.
"""

from __future__ import annotations

import re

from mlgen import canonical
from mlgen.render import triggered
from mlgen.render.manifests import MADE_BY, Manifest
from mlgen.render.names import HASH_LENGTH
from mlgen.render.secrets import kinds
from mlgen.render.staging import Data
from mlgen.spec.project import ArgoCD, Environment, Project

PROJECT_FILE = "mlgen.yaml"
FOLDER, CLUSTER_FOLDER = "argocd", "cluster"  # for two clusters, where Argo CD is in another one
MAX_NAME = 63  # Argo CD puts it into labels
IN_CLUSTER = "https://kubernetes.default.svc"
RESTRICTED = {"pod-security.kubernetes.io/enforce": "restricted"}

# Every kind that is rendered below manifests/, and no other; those of secrets only where asked for. (group, kind)
KINDS = (
    ("", "ConfigMap"),
    ("", "ServiceAccount"),
    ("batch", "CronJob"),
    ("batch", "Job"),
    ("rbac.authorization.k8s.io", "Role"),
    ("rbac.authorization.k8s.io", "RoleBinding"),
    ("tekton.dev", "Pipeline"),
    ("tekton.dev", "Task"),
)

# ServerSideApply: a Pipeline may be larger than the annotation in which client-side apply keeps its last version.
# ApplyOutOfSyncOnly: a merge that changes one pipeline of hundreds writes that one.
# PruneLast: what is new is there before what is old goes. FailOnSharedResource: two Applications would undo each other.
SYNC_OPTIONS = (
    "ApplyOutOfSyncOnly=true",
    "FailOnSharedResource=true",
    "PruneLast=true",
    "ServerSideApply=true",
)


def argocd_manifests(project: Project, environment: Environment, folder: str = "") -> list[Manifest]:
    """What Argo CD needs for an environment; nothing where mlgen.yaml does not ask for it.

    folder: of the project, posix, below the root of its repository; "" for the root itself.
    """
    settings, repository = project.argocd, project.repository
    if settings is None or repository is None:
        return []
    name = application_name(repository, folder, environment.name)
    made: list[Data] = [
        _object("AppProject", name, settings, environment, _project(repository, settings, environment)),
        _object(
            "Application", name, settings, environment, _application(name, repository, folder, settings, environment)
        ),
    ]
    namespace = namespace_of(environment)
    return [
        *(_manifest(environment, FOLDER, name, "Argo CD", data) for data in made),
        _manifest(environment, CLUSTER_FOLDER, str(environment.namespace), f"{environment.name}'s cluster", namespace),
    ]


def namespace_of(environment: Environment) -> Data:
    """The Namespace of an environment, as bindings of policies and Pod Security know it."""
    labels = {"mlgen.dev/env": environment.name, **RESTRICTED}
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": environment.namespace, "labels": labels}}


def _manifest(environment: Environment, folder: str, name: str, kept: str, data: Data) -> Manifest:
    comment = (
        f"{MADE_BY}{PROJECT_FILE} for the environment {environment.name}; do not edit:",
        f"change {PROJECT_FILE}, then `mlgen render --env {environment.name}`",
        "",
        f"For who keeps {kept}: `kubectl apply -f` this folder, once and after each change. Argo CD does not sync it.",
    )
    return Manifest(f"{environment.name}/{folder}/{str(data['kind']).lower()}-{name}.yaml", comment, data)


def application_name(repository: str, folder: str, environment: str) -> str:
    """What the AppProject and the Application of an environment are called.

    All repositories' are in one namespace, and to apply one over another's takes that over in silence: so the digest of
    all that tells projects apart is in the name, and not only the words that people know it by.
    """
    whole = repository.rstrip("/").removesuffix(".git")
    digest = canonical.digest([whole, folder, environment]).removeprefix("sha256:")[:HASH_LENGTH]
    last = re.sub(r"[^a-z0-9]+", "-", re.split(r"[/:]", whole)[-1].lower()).strip("-") or "ml"
    return f"{f'{last}-{environment}'[: MAX_NAME - HASH_LENGTH - 1].rstrip('-')}-{digest}"


def _object(kind: str, name: str, settings: ArgoCD, environment: Environment, spec: Data) -> Data:
    # No finalizer: to delete an Application must not take runs, and the CronJob that tells of them, with it.
    metadata = {"name": name, "namespace": settings.namespace, "labels": {"mlgen.dev/env": environment.name}}
    return {"apiVersion": "argoproj.io/v1alpha1", "kind": kind, "metadata": metadata, "spec": spec}


def _destination(settings: ArgoCD, environment: Environment) -> Data:
    cluster = dict(settings.clusters).get(environment.name)
    where = {"server": IN_CLUSTER} if cluster is None else {"name": cluster}
    return {**where, "namespace": environment.namespace}


def _project(repository: str, settings: ArgoCD, environment: Environment) -> Data:
    return {
        "description": f"The pipelines of {repository} in {environment.namespace}",
        "sourceRepos": [repository],
        "destinations": [_destination(settings, environment)],
        # Nothing, and not even the namespace: whoever may write its labels takes policies and Pod Security off it.
        "clusterResourceWhitelist": [],
        "namespaceResourceWhitelist": [
            {"group": group, "kind": kind}
            for group, kind in sorted({*KINDS, *kinds(environment), *(triggered.KINDS if environment.triggers else ())})
        ],
    }


def _application(name: str, repository: str, folder: str, settings: ArgoCD, environment: Environment) -> Data:
    below = f"{folder}/" if folder else ""
    return {
        "project": name,
        "source": {
            "repoURL": repository,
            "targetRevision": settings.revision,
            "path": f"{below}tekton/{environment.name}/manifests",  # never runs/: each sync would start them
        },
        "destination": _destination(settings, environment),
        "syncPolicy": {
            "automated": {"prune": True, "selfHeal": True},
            "syncOptions": list(SYNC_OPTIONS),
            # Without an end: after a night without Tekton's webhook nobody has to press a button. With refresh: what
            # is tried again is the newest commit, which may be the one that mends it.
            "retry": {
                "limit": -1,
                "backoff": {"duration": "10s", "factor": 2, "maxDuration": "5m"},
                "refresh": True,
            },
        },
    }
