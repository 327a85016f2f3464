"""The user's cluster: that of the current context, in a pod that of its service account."""

from __future__ import annotations

import os

from mlgen.cluster import connect as cluster
from mlgen.cluster.api import Api


def connect() -> Api:
    """Raises CannotAnswer "no-kubeconfig"."""
    return cluster.connect(os.environ.get("KUBECONFIG") or None, in_pod="KUBERNETES_SERVICE_HOST" in os.environ)
