"""What these tests must be told of the cluster and of what stands beside it: environment variables.

A variable that is missing skips the tests that need it, with its name; with MLGEN_E2E_REQUIRED=true it fails them.
"""

from __future__ import annotations

import os

import pytest

VARIABLES = {
    "KUBECONFIG": "a cluster with Tekton, its feature flag set-security-context being true; kubectl is on PATH",
    "MLGEN_E2E_RUNTIME_IMAGE": "the image of the Containerfile, as the cluster's nodes pull it",
    "MLGEN_E2E_REGISTRY": "where the nodes pull busybox:1 from; without it, from the well-known place",
    "MLGEN_E2E_PYTHON_IMAGE": "an image with Python, as the cluster's nodes pull it",
    "MLGEN_E2E_SCIKIT_LEARN_IMAGE": "the image of pipelines/images/scikit-learn, as the cluster's nodes pull it",
    "MLGEN_E2E_S3_ENDPOINT": "an S3 server, by an address that pods and this machine reach",
    "MLGEN_E2E_S3_ACCESS_KEY": "the id of a key that may read, write and delete in the bucket",
    "MLGEN_E2E_S3_SECRET_KEY": "its secret",
    "MLGEN_E2E_S3_BUCKET": "a bucket that exists; each test has a prefix of its own in it",
    "MLGEN_E2E_GIT_REPOSITORY": "a repository's http URL, which pods and this machine reach; tests make branches in it",
    "MLGEN_E2E_GIT_USER": "who may push there",
    "MLGEN_E2E_GIT_TOKEN": "the password or token of that user",
    "MLGEN_E2E_ARGOCD_NAMESPACE": "the namespace of an Argo CD 3 in that cluster, which reaches the repository",
    "MLGEN_E2E_HOST": "the address by which pods reach this machine: here the proxies listen that break connections",
    "MLGEN_E2E_NODE_EXEC": "what runs a command on the node as root, say `docker exec mlgen-control-plane`",
    "MLGEN_E2E_KUBELET_RESTART": "a shell command that restarts the kubelet; else systemctl does, by _NODE_EXEC",
}


def need(name: str) -> str:
    """The value of a variable; without it the test that asks is skipped, or fails where all are required."""
    value = os.environ.get(name)
    if not value:
        reason = f"needs {name}: {VARIABLES[name]}"
        if os.environ.get("MLGEN_E2E_REQUIRED") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    return value
