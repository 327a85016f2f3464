"""An API server whose every answer a test gives: a function of method, path, query and body."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from mlgen.cluster.api import Api
from mlgen.cluster.connect import connect
from tests.cluster import kubeconfig

Json = dict[str, Any]


@dataclass(frozen=True)
class Asked:
    method: str
    path: str
    query: dict[str, str]
    body: Any = None

    @property
    def watches(self) -> bool:
        return "watch" in self.query


@dataclass(frozen=True)
class Answer:
    """body: JSON, text as it is, or None: the connection breaks without an answer. lines: of a watch; then it ends."""

    status: int = 200
    body: Any = None
    lines: tuple[Json, ...] | None = None


def status(code: int, message: str) -> Answer:
    return Answer(code, {"kind": "Status", "message": message, "code": code})


@dataclass
class Server:
    url: str
    asked: list[Asked] = field(default_factory=list)

    def api(self, folder: Path) -> Api:
        return connect(str(kubeconfig.write(folder, self.url, token="secret-token")), in_pod=False)


@contextmanager
def serving(answer: Callable[[Asked], Answer]) -> Iterator[Server]:
    """A server on this machine, as long as the block runs."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_: object) -> None:
            pass

        def _any(self) -> None:
            assert self.headers["Authorization"] == "Bearer secret-token"
            url = urlsplit(self.path)
            size = int(self.headers.get("Content-Length", 0))
            body = json.loads(self.rfile.read(size)) if size else None
            query = {key: values[0] for key, values in parse_qs(url.query).items()}
            asked = Asked(self.command, url.path, query, body)
            server.asked.append(asked)
            self._send(answer(asked))

        do_GET = do_POST = do_PATCH = _any

        def _send(self, found: Answer) -> None:
            self.close_connection = True
            if found.body is None and found.lines is None:
                return
            text = found.body if isinstance(found.body, str) else json.dumps(found.body)
            data = (
                text.encode() if found.lines is None else b"".join(json.dumps(x).encode() + b"\n" for x in found.lines)
            )
            with suppress(OSError):
                self.send_response(found.status)
                self.send_header("Connection", "close")
                self.end_headers()
                self.wfile.write(data)

    http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    http.daemon_threads = True
    server = Server(f"http://127.0.0.1:{http.server_port}")
    threading.Thread(target=http.serve_forever, args=(0.01,), daemon=True).start()
    try:
        yield server
    finally:
        http.shutdown()
        http.server_close()
