"""To an API server, as the user logs in to it: by a kubeconfig, or by a pod's service account."""

from __future__ import annotations

import logging
from typing import Any

from mlgen.cluster.api import Api
from mlgen.diagnostic import CannotAnswer


def connect(kubeconfig: str | None, *, in_pod: bool) -> Api:
    """The cluster of the user's kubeconfig, by its current context; in a pod without one, that of its service account.

    kubeconfig: paths as in $KUBECONFIG, None for ~/.kube/config. Raises CannotAnswer "no-kubeconfig".
    """
    # Here: its import takes 0.3 s, and brings modules that only what talks to a cluster needs.
    from kubernetes import client, config

    logging.getLogger().addHandler(logging.NullHandler())  # what it logs is told in our words, or not at all
    configuration = client.Configuration()
    load: Any = config  # which has no types
    try:
        if in_pod and kubeconfig is None:
            load.load_incluster_config(client_configuration=configuration)
        else:
            load.load_kube_config(kubeconfig, client_configuration=configuration, persist_config=False)
    except Exception as error:  # also whatever YAML, base64 and programs that log in may raise
        told = isinstance(error, (config.ConfigException, OSError))
        raise CannotAnswer(
            "no-kubeconfig",
            "there is no cluster to ask",
            why=f"{kubeconfig or '~/.kube/config'}: {str(error).strip() if told else 'it is no kubeconfig'}",
            fix="`kubectl config current-context` must name one: set KUBECONFIG, or log in to the cluster",
        ) from None
    return Api(client.ApiClient(configuration))
