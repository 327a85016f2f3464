"""A Git host for tests: real `git http-backend` over HTTP, with users, a count of what it answers, and faults."""

from __future__ import annotations

import base64
import os
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

WRITER, READER = ("mlgen", "s3cret-of-writer"), ("reader", "s3cret-of-reader")
Fault = Callable[[str], str]


def no_fault(_path: str) -> str:
    return ""


@dataclass
class GitHost:
    """root: a folder of bare repositories. fault: of a request's path, what goes wrong with it.

    "drop": no answer at all; "late": it is done, and the answer is lost; "drip": it comes at 50 bytes a
    second; a status code: only that is answered.
    """

    root: Path
    url: str = ""
    fault: Fault = no_fault
    old: bool = False  # it speaks the protocol's first version, in which objects are not given by their ids
    chunked: bool = True  # it takes what is sent without its length
    requests: list[str] = field(default_factory=list)
    sent_bytes: int = 0
    received_bytes: int = 0

    def repository(self, name: str, **settings: str) -> Path:
        """A new bare repository."""
        path = self.root / f"{name}.git"
        form = settings.pop("object_format", "sha1")
        subprocess.run(["git", "init", "-q", "--bare", f"--object-format={form}", path], check=True)
        values = {"uploadpack.allowFilter": "true", "http.receivepack": "true"}
        values |= {key.replace("_", "."): value for key, value in settings.items()}
        for key, value in values.items():
            subprocess.run(["git", "--git-dir", path, "config", key, value], check=True)
        return path


@contextmanager
def serve(root: Path) -> Iterator[GitHost]:
    """A host on a port of this machine."""
    host = GitHost(root)
    root.mkdir(parents=True, exist_ok=True)
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(host))
    server.daemon_threads = True
    host.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield host
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def secret(folder: Path, user: tuple[str, str] = WRITER) -> Path:
    """The files of a Secret, as kubelet mounts them."""
    folder.mkdir(exist_ok=True)
    for name, text in zip(("username", "password"), user, strict=True):
        (folder / name).write_text(text)
    return folder


def _user(header: str) -> tuple[str, ...]:
    return tuple(base64.b64decode(header.removeprefix("Basic ")).decode().split(":"))


def _handler(host: GitHost) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_: object) -> None:
            """Nothing is printed."""

        def do_GET(self) -> None:
            self._answer()

        def do_POST(self) -> None:
            self._answer()

        def _answer(self) -> None:
            body = self._body()
            host.received_bytes += len(body)
            user = _user(self.headers.get("Authorization", "Og=="))
            host.requests.append(f"{self.command} {self.path}")
            fault = host.fault(self.path)
            if not host.chunked and self.headers.get("Transfer-Encoding") == "chunked":
                fault = "411"
            if fault == "drop":
                self.close_connection = True
            elif fault.isdigit():
                self._say(int(fault))
            elif user not in (WRITER, READER):
                self._say(401)
            elif "receive-pack" in self.path and user != WRITER:
                self._say(403)
            else:
                self._backend(body, fault)

        def _body(self) -> bytes:
            if self.headers.get("Transfer-Encoding") != "chunked":
                return self.rfile.read(int(self.headers.get("Content-Length", 0)))
            parts = []
            while size := int(self.rfile.readline(), 16):
                parts.append(self.rfile.read(size))
                self.rfile.readline()
            self.rfile.readline()
            return b"".join(parts)

        def _say(self, status: int, headers: tuple[tuple[str, str], ...] = (), body: bytes = b"") -> None:
            self.send_response(status)
            for name, value in headers:
                self.send_header(name, value)
            if status == 401:
                self.send_header("WWW-Authenticate", 'Basic realm="git"')
            if status in (301, 302):
                self.send_header("Location", f"{host.url}/elsewhere{self.path}")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)
            host.sent_bytes += len(body)

        def _backend(self, body: bytes, fault: str) -> None:
            path, _, query = self.path.partition("?")
            env = {
                "PATH": os.environ["PATH"],
                "GIT_PROJECT_ROOT": str(host.root),
                "GIT_HTTP_EXPORT_ALL": "1",
                "GIT_CONFIG_GLOBAL": os.devnull,
                "GIT_PROTOCOL": "" if host.old else self.headers.get("Git-Protocol", ""),
                "PATH_INFO": path,
                "QUERY_STRING": query,
                "REQUEST_METHOD": self.command,
                "CONTENT_TYPE": self.headers.get("Content-Type", ""),
                "CONTENT_LENGTH": str(len(body)),
                "HTTP_CONTENT_ENCODING": self.headers.get("Content-Encoding", ""),
                "REMOTE_USER": "x",
            }
            done = subprocess.run(["git", "http-backend"], env=env, input=body, capture_output=True, check=False)
            head, _, data = done.stdout.partition(b"\r\n\r\n")
            headers = dict(line.split(": ", 1) for line in head.decode().splitlines())
            if fault == "late":
                self.close_connection = True
                return
            if fault == "drip":
                self._drip(data)
                return
            self._say(int(headers.pop("Status", "200").split()[0]), tuple(headers.items()), data)

        def _drip(self, data: bytes) -> None:
            self.close_connection = True
            self.send_response(200)
            self.send_header("Content-Type", f"application/x-{self.path.rpartition('/')[2]}-result")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            with suppress(OSError):  # who asked has gone
                for at in range(0, len(data), 5):
                    self.wfile.write(data[at : at + 5])
                    time.sleep(0.1)

    return Handler
