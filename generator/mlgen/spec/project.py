"""mlgen.yaml as typed, frozen data: where things run, where bytes and records go."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from mlgen.spec.external import ExternalSecrets, Identity


@dataclass(frozen=True, slots=True)
class S3:
    """How a bucket is reached. secret: a Secret with keys AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY."""

    endpoint: str | None = None
    region: str | None = None
    secret: str | None = None


@dataclass(frozen=True, slots=True)
class Ledger:
    """url None: this repository. fold: task, run or cron. secret: username+password or ssh-privatekey+known_hosts.

    signers: the path of an allowed_signers file, below the project's folder; None: nobody asks who signed.
    """

    url: str | None = None
    branch: str = "ledger"
    secret: str | None = None
    fold: str = "task"
    interval_seconds: int = 10
    signers: str | None = None


@dataclass(frozen=True, slots=True)
class GpuPool:
    """resource: the extended resource asked for. tolerations: as Kubernetes has them."""

    resource: str
    node_selector: tuple[tuple[str, str], ...] = ()
    tolerations: tuple[dict[str, Any], ...] = ()
    queue_seconds: int | None = None


@dataclass(frozen=True, slots=True)
class Spot:
    """How pods get to nodes that may be taken away. tolerations: as Kubernetes has them."""

    node_selector: tuple[tuple[str, str], ...] = ()
    tolerations: tuple[dict[str, Any], ...] = ()


@dataclass(frozen=True, slots=True)
class Limits:
    """The most that one task may ask for; None: no limit."""

    gpu: int | None = None
    memory_bytes: int | None = None
    timeout_seconds: int | None = None


@dataclass(frozen=True, slots=True)
class Environment:
    """One environment. An environment with a namespace is rendered; `local` has none.

    limit_cpu: whether containers may take no more cpu than they ask for, also when nobody else wants it.
    workspaces: kind of volume -> StorageClass. priorities: name -> PriorityClass. queues: name -> LocalQueue of Kueue.
    identity: of the service account, which is rendered then. external_secrets: None where other people make Secrets.
    triggers: whether events start pipelines there, by Tekton Triggers.
    pin: the id of the commit that its specs, task files, code and lock are read from; None: the work tree.
    """

    name: str
    namespace: str | None = None
    artifacts: str = ".mlgen/artifacts"
    s3: S3 = field(default_factory=S3)
    buckets: tuple[tuple[str, S3], ...] = ()
    ledger: Ledger = field(default_factory=Ledger)
    service_account: str = "default"
    user: int = 1000
    runtime_image: str | None = None
    image_pull_secrets: tuple[str, ...] = ()
    gpus: tuple[tuple[str, GpuPool], ...] = ()
    registries: tuple[str, ...] = ()
    limits: Limits = field(default_factory=Limits)
    limit_cpu: bool = False
    queue_seconds: int = 3600
    staging_seconds: int = 3600
    labels: tuple[tuple[str, str], ...] = ()
    pin: str | None = None
    identity: Identity | None = None
    external_secrets: ExternalSecrets | None = None
    spot: Spot | None = None
    workspaces: tuple[tuple[str, str], ...] = ()
    priorities: tuple[tuple[str, str], ...] = ()
    queues: tuple[tuple[str, str], ...] = ()
    triggers: bool = False

    def pool(self, name: str) -> GpuPool | None:
        return dict(self.gpus).get(name)


@dataclass(frozen=True, slots=True)
class ArgoCD:
    """What syncs the manifests. namespace: of Argo CD itself. revision: branch, tag or commit of the repository.

    clusters: environment -> the name that Argo CD has for its cluster; without one: the cluster of Argo CD.
    """

    namespace: str = "argocd"
    revision: str = "main"
    clusters: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class SourceRepository:
    """Another repository, whose tasks specs use. ref: a branch, a tag or the full id of a commit."""

    url: str
    ref: str


@dataclass(frozen=True, slots=True)
class Project:
    """mlgen.yaml. environments: by name; `local` is always there. argocd: None where it is not asked for."""

    repository: str | None = None
    environments: tuple[Environment, ...] = (Environment("local"),)
    argocd: ArgoCD | None = None
    sources: Mapping[str, SourceRepository] = field(default_factory=dict)

    def environment(self, name: str) -> Environment | None:
        return next((e for e in self.environments if e.name == name), None)

    def pinned(self, lock_of: Callable[[Environment], Mapping[str, str]]) -> Project:
        """The same with the digests of images that are named by a tag.

        lock_of: the lock that an environment is rendered by, image reference -> digest; asked where there is a tag.
        """
        return replace(self, environments=tuple(_pinned(e, lock_of) for e in self.environments))

    @property
    def rendered(self) -> tuple[Environment, ...]:
        """The environments that have manifests."""
        return tuple(e for e in self.environments if e.namespace is not None)


def _pinned(environment: Environment, lock_of: Callable[[Environment], Mapping[str, str]]) -> Environment:
    image = environment.runtime_image
    if image is None or "@" in image or not (digest := lock_of(environment).get(image)):
        return environment
    return replace(environment, runtime_image=f"{image}@{digest}")
