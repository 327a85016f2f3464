"""The user's cluster: that of the current context, in a pod that of its service account."""

from __future__ import annotations

import os

from mlgen.cluster import api


def connect() -> api.Api:
    """Raises CannotAnswer "no-kubeconfig"."""
    return api.connect(os.environ.get("KUBECONFIG") or None, in_pod="KUBERNETES_SERVICE_HOST" in os.environ)
