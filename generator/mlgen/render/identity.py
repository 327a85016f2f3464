"""Kind ServiceAccount: who pods are in a cloud, without a key. The cloud's own webhook or metadata server does more.

None of them needs the account's token of Kubernetes, which no pod of ours mounts: AWS's and Azure's webhooks project a
token of their own, for the cloud alone; Google's nodes ask for one themselves.
Sources: aws/amazon-eks-pod-identity-webhook README; azure.github.io/azure-workload-identity "Labels and annotations";
Google Cloud "Authenticate to Google Cloud APIs from GKE workloads".
"""

from __future__ import annotations

from mlgen.render.staging import Data
from mlgen.spec.external import Identity
from mlgen.spec.project import Environment

_ANNOTATIONS = {
    "aws": "eks.amazonaws.com/role-arn",
    "gcp": "iam.gke.io/gcp-service-account",
    "azure": "azure.workload.identity/client-id",
}


def notes(identity: Identity | None) -> Data:
    """Of a ServiceAccount, by which its cloud knows it; none where it is nobody there."""
    return {} if identity is None else {_ANNOTATIONS[identity.cloud]: identity.name}


def pod_labels(environment: Environment) -> Data:
    """Of the pods that need an identity, for the webhook that gives it: Azure's acts on these alone."""
    identity = environment.identity
    return {"azure.workload.identity/use": "true"} if identity is not None and identity.cloud == "azure" else {}


def account(environment: Environment, name: str, identity: Identity | None) -> Data:
    """A ServiceAccount. No pod that does not ask for it has its token."""
    metadata: Data = {
        "name": name,
        "namespace": environment.namespace,
        "labels": {"mlgen.dev/env": environment.name, **dict(environment.labels)},
    }
    if identity is not None:
        metadata["annotations"] = notes(identity)
    return {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": metadata, "automountServiceAccountToken": False}
