"""Reads of the cluster within this process: tests look often, and a kubectl for each look is a tenth of a second."""

from __future__ import annotations

import json
import os
import re
import time
from functools import cache
from typing import Any
from urllib.parse import urlencode

from tests.e2e.settings import need

Json = dict[str, Any]


def get(path: str, **query: str) -> Json:
    """The object or list at a path of the API server."""
    found: Json = json.loads(_read(path, query))
    return found


def log(namespace: str, pod: str, container: str) -> str:
    """What a container has printed so far; nothing where it has not begun, or is gone."""
    try:
        return _read(f"/api/v1/namespaces/{namespace}/pods/{pod}/log", {"container": container})
    except LookupError:
        return ""


def _read(path: str, query: dict[str, str]) -> str:
    """Raises LookupError where there is no such thing, or (400) where there is none yet."""
    client = _client()
    headers: dict[str, str] = {}
    client.update_params_for_auth(headers, [], ["BearerToken"], path, "GET", None)
    url = f"{client.configuration.host}{path}?{urlencode(query)}"
    for wait_seconds in (1, 1, 2, 0):
        answer = client.rest_client.pool_manager.request("GET", url, headers=headers, timeout=30)
        if answer.status < 500:  # else a kubelet that just removes a container, whose log is asked for
            break
        time.sleep(wait_seconds)
    text: str = answer.data.decode(errors="replace")
    if answer.status in (400, 404):
        raise LookupError(text)
    assert answer.status in (200, 204), f"{path}: {answer.status} {text}"  # 204: a log in which nothing is yet
    return text


@cache
def _client() -> Any:
    need("KUBECONFIG")
    from kubernetes import client, config  # here: half a second, which a session that skips these tests need not spend

    configuration: Any = client.Configuration()
    load: Any = config  # which has no types
    configuration.connection_pool_maxsize = 32  # tests run at once
    load.load_kube_config(os.environ["KUBECONFIG"], client_configuration=configuration)
    return client.ApiClient(configuration)


def send(method: str, path: str, body: Json | None = None) -> tuple[int, Json, list[str]]:
    """The status, the body and the warnings of a request that may be refused."""
    client = _client()
    headers = {"Content-Type": "application/json"}
    client.update_params_for_auth(headers, [], ["BearerToken"], path, method, None)
    data = None if body is None else json.dumps(body).encode()
    url = f"{client.configuration.host}{path}"
    answer = client.rest_client.pool_manager.request(method, url, headers=headers, body=data, timeout=60)
    warnings = [_unquoted(w) for w in answer.headers.getlist("Warning")]
    return answer.status, json.loads(answer.data), warnings


def _unquoted(warning: str) -> str:
    """The text of a Warning header: 299 - "text" (RFC 7234 §5.5)."""
    return re.sub(r"\\(.)", r"\1", warning.partition('"')[2].rpartition('"')[0])
