"""An API server with a few objects in it: each, lists by label and field, page by page, logs, DELETE with a uid."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from mlgen.cluster.api import Api
from mlgen.cluster.connect import connect
from tests.cluster import kubeconfig

DATA = Path(__file__).parent / "data"
Object = dict[str, Any]
NAMESPACE = "cron-lab"


def recorded(name: str) -> dict[str, Any]:
    """A run on a real cluster (Tekton 1.15), with its TaskRuns and pods as they were at its end."""
    found: dict[str, Any] = json.loads((DATA / f"{name}.json").read_text())
    return found


@dataclass
class Cluster:
    """What the server has, and what it was asked. logs: by pod and container; an int is a status instead.

    fault: given method and path, a status to answer with; 0: none. It may change what the server has, too.
    """

    pipelineruns: list[Object] = field(default_factory=list)
    taskruns: list[Object] = field(default_factory=list)
    pods: list[Object] = field(default_factory=list)
    pipelines: list[Object] = field(default_factory=list)
    tasks: list[Object] = field(default_factory=list)
    logs: dict[tuple[str, str], bytes | int] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    fault: Callable[[str, str], int] = lambda _method, _path: 0
    url: str = ""

    def add(self, name: str) -> dict[str, Any]:
        """Put a recorded run in; its objects, to be changed."""
        found = recorded(name)
        self.pipelineruns.append(found["run"])
        self.taskruns += found["taskRuns"]
        self.pods += found["pods"]
        return found

    def kubeconfig(self, folder: Path) -> Path:
        """A file that leads here."""
        return kubeconfig.write(folder, self.url, token="t")

    def api(self, folder: Path) -> Api:
        return connect(str(self.kubeconfig(folder)), in_pod=False)


@contextmanager
def running() -> Iterator[Cluster]:
    """A server on this machine, as long as the block runs."""
    cluster = Cluster()
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"cluster": cluster}))
    cluster.url = f"http://127.0.0.1:{server.server_port}"
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    try:
        yield cluster
    finally:
        server.shutdown()
        server.server_close()


class _Handler(BaseHTTPRequestHandler):
    cluster: Cluster
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: object) -> None:
        pass

    def do_GET(self) -> None:
        url = urlsplit(self.path)
        query = {key: values[0] for key, values in parse_qs(url.query).items()}
        self.cluster.asked.append(f"GET {url.path}")
        if self._fails("GET", url.path):
            return
        parts = url.path.split("/")
        assert parts[parts.index("namespaces") + 1] == NAMESPACE
        if parts[-1] == "log":
            found = self.cluster.logs.get((parts[-2], query["container"]), b"")
            self._answer(200 if isinstance(found, bytes) else found, found if isinstance(found, bytes) else b"no")
            return
        if not hasattr(self.cluster, parts[-1]):
            there = [one for one in getattr(self.cluster, parts[-2]) if one["metadata"]["name"] == parts[-1]]
            missing = {"kind": "Status", "message": "not found"}
            self._answer(200 if there else 404, json.dumps(there[0] if there else missing).encode())
            return
        objects = [one for one in getattr(self.cluster, parts[-1]) if _matches(one, query)]
        start = int(query.get("continue", "0"))
        end = start + int(query.get("limit", str(len(objects) + 1)))
        metadata = {"continue": str(end)} if end < len(objects) else {}
        items = objects[start:end]
        if "PartialObjectMetadata" in self.headers["Accept"]:
            items = [{"metadata": one.get("metadata")} if isinstance(one, dict) else one for one in items]
        self._answer(200, json.dumps({"metadata": metadata, "items": items}).encode())

    def do_DELETE(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        plural, name = self.path.split("/")[-2:]
        self.cluster.asked.append(f"DELETE {name}")
        if self._fails("DELETE", self.path):
            return
        objects = getattr(self.cluster, plural)
        there = [one for one in objects if one["metadata"]["name"] == name]
        if not there or not body["preconditions"].items() <= there[0]["metadata"].items():
            self._answer(409 if there else 404, b'{"message": "another"}')
            return
        objects.remove(there[0])
        self._answer(200, b"{}")

    def _fails(self, method: str, path: str) -> bool:
        status = self.cluster.fault(method, path)
        if status:
            message = f"{method} {path} is answered with {status}"
            self._answer(status, json.dumps({"kind": "Status", "code": status, "message": message}).encode())
        return bool(status)

    def _answer(self, status: int, data: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)


def _matches(one: Object, query: dict[str, str]) -> bool:
    """An object that is not what it should be matches all: who asks must be ready for it."""
    try:
        labels = one["metadata"].get("labels", {})
        wanted = [pair.split("=") for pair in query.get("labelSelector", "").split(",") if pair]
        fields = [pair.split("=") for pair in query.get("fieldSelector", "").split(",") if pair]
        return all(labels.get(key) == value for key, value in wanted) and all(
            one["metadata"][key.removeprefix("metadata.")] == value for key, value in fields
        )
    except (AttributeError, KeyError, TypeError):
        return True
