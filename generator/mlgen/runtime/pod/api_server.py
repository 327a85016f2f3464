"""The API server that a pod reaches, by the standard library: mlgen's client of clusters takes half a second to import.

Apart from `start`, so that nothing that only renders loads what could ask somebody.
"""

from __future__ import annotations

import http.client
import json
import ssl
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mlgen.diagnostic import CannotAnswer

ACCOUNT = "/var/run/secrets/kubernetes.io/serviceaccount"
PATIENCE_SECONDS = 30
MAX_ANSWER_BYTES = 64 << 20

Object = dict[str, Any]


class InCluster:
    """The API server of the cluster that a pod is in, as its account. Raises CannotAnswer outside of one."""

    def __init__(self, environ: Mapping[str, str], account: Path = Path(ACCOUNT)) -> None:
        try:
            self._host, self._port = environ["KUBERNETES_SERVICE_HOST"], int(environ["KUBERNETES_SERVICE_PORT"])
            self._context = ssl.create_default_context(cafile=str(account / "ca.crt"))
            self._token = account / "token"
        except (KeyError, ValueError, OSError) as error:
            raise CannotAnswer("not-in-cluster", f"this is no pod with an account: {error}") from None

    def ask(self, method: str, path: str, body: object = None) -> tuple[int, Object]:
        headers = {"Authorization": f"Bearer {self._token.read_text().strip()}", "Accept": "application/json"}
        if body is not None:
            headers["Content-Type"] = "application/merge-patch+json" if method == "PATCH" else "application/json"
        connection = http.client.HTTPSConnection(
            self._host, self._port, context=self._context, timeout=PATIENCE_SECONDS
        )
        try:
            connection.request(method, path, json.dumps(body) if body is not None else None, headers)
            answer = connection.getresponse()
            data = answer.read(MAX_ANSWER_BYTES)
            return answer.status, _object(data)
        except http.client.HTTPException as error:
            raise OSError(f"{type(error).__name__}: {error}") from None
        finally:
            connection.close()


def _object(data: bytes) -> Object:
    try:
        found = json.loads(data)
    except ValueError:
        return {"message": data[:200].decode(errors="replace")}
    return found if isinstance(found, dict) else {}
