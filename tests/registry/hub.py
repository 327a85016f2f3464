"""A registry in this process that answers as it is told: what a real one does not do on demand. And a real one."""

from __future__ import annotations

import hashlib
import json
import shutil
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import ProxyHandler, Request, build_opener

import pytest

INDEX = "application/vnd.oci.image.index.v1+json"
OPENER = build_opener(ProxyHandler({}))
USER, PASSWORD = "ci", "not-a-secret"
# Of the password, by bcrypt with few rounds: the only hash that the registry takes.
HTPASSWD = f"{USER}:$2b$04$yKV9tmwdBm.ojXq5pkED5.ntT5r0TJECBsvzj/usWR/k5U/yNWIzy\n"


@dataclass(frozen=True)
class Asked:
    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes = b""


@dataclass(frozen=True)
class Reply:
    """endless: what follows the body has no end. hang: nothing comes at all."""

    status: int = 200
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    endless: bool = False
    hang: bool = False


def image(text: str = "an image", kind: str = INDEX) -> Reply:
    """The manifest of an image, with its digest."""
    body = json.dumps({"schemaVersion": 2, "mediaType": kind, "manifests": [], "text": text}).encode()
    return Reply(200, body, {"Content-Type": kind, "Docker-Content-Digest": digest(body)})


def digest(body: bytes) -> str:
    return f"sha256:{hashlib.sha256(body).hexdigest()}"


@dataclass
class Hub:
    """answer: what is replied to a request. asked: all requests so far."""

    host: str = ""
    answer: Callable[[Asked], Reply] = lambda _asked: Reply(404)
    asked: list[Asked] = field(default_factory=list)
    stopped: threading.Event = field(default_factory=threading.Event)

    @property
    def lines(self) -> list[str]:
        return [f"{one.method} {one.path}" for one in self.asked]


@contextmanager
def serve(certificate: Path | None = None) -> Iterator[Hub]:
    """A hub on loopback for as long as the block lasts. certificate: with its key, for https."""
    hub = Hub()
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"hub": hub}))
    if certificate is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        server.socket = context.wrap_socket(server.socket, server_side=True)
    server.daemon_threads = True
    hub.host = f"127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield hub
    finally:
        hub.stopped.set()
        server.shutdown()
        server.server_close()
        thread.join()


class _Handler(BaseHTTPRequestHandler):
    hub: Hub
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: Any) -> None:
        pass

    def do_GET(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        asked = Asked(self.command, self.path, dict(self.headers.items()), body)
        self.hub.asked.append(asked)
        reply = self.hub.answer(asked)
        if reply.hang:
            self.hub.stopped.wait(60)
            return
        self.send_response(reply.status)
        for name, value in reply.headers.items():
            self.send_header(name, value)
        if not reply.endless:
            self.send_header("Content-Length", str(len(reply.body)))
        else:
            self.send_header("Connection", "close")  # and closes it: who sends again meets no race
        self.end_headers()
        with suppress(OSError):
            if self.command != "HEAD":
                self.wfile.write(reply.body)
                while reply.endless and not self.hub.stopped.is_set():
                    self.wfile.write(b"x" * (1 << 16))

    do_HEAD = do_POST = do_GET


def certificate(folder: Path) -> Path:
    """A certificate of 127.0.0.1, and its key, in one file."""
    if shutil.which("openssl") is None:
        pytest.skip("needs openssl")
    key, cert, both = (folder / name for name in ("key.pem", "cert.pem", "both.pem"))
    made = ["-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-subj", "/CN=hub"]
    files = ["-addext", "subjectAltName=IP:127.0.0.1", "-keyout", str(key), "-out", str(cert)]
    subprocess.run(["openssl", "req", *made, *files], check=True, capture_output=True)
    both.write_bytes(key.read_bytes() + cert.read_bytes())
    return both


@contextmanager
def real(folder: Path, *, login: bool = False) -> Iterator[str]:
    """The host of a real registry on loopback, for as long as the block lasts; it asks for a login, if so wanted."""
    program = shutil.which("docker-registry")
    if program is None:
        pytest.skip("needs Debian's docker-registry")
    with socket.create_server(("127.0.0.1", 0)) as free:
        host = f"127.0.0.1:{free.getsockname()[1]}"
    config: dict[str, Any] = {
        "version": "0.1",
        "log": {"level": "error", "accesslog": {"disabled": True}},
        "storage": {"filesystem": {"rootdirectory": str(folder / "registry")}},
        "http": {"addr": host},
    }
    if login:
        (folder / "htpasswd").write_text(HTPASSWD)
        config["auth"] = {"htpasswd": {"realm": "a registry", "path": str(folder / "htpasswd")}}
    (folder / "registry.yml").write_text(json.dumps(config))
    with subprocess.Popen([program, "serve", str(folder / "registry.yml")], stderr=subprocess.DEVNULL) as process:
        try:
            _wait(host, process)
            yield host
        finally:
            process.terminate()


def _wait(host: str, process: subprocess.Popen[bytes]) -> None:
    address, _, port = host.partition(":")
    for _ in range(600):
        with suppress(OSError), socket.create_connection((address, int(port)), timeout=1):
            return
        assert process.poll() is None, "the registry ended"
        time.sleep(0.05)
    raise AssertionError("the registry does not listen")


def push(host: str, repository: str, tag: str, text: str, authorization: str | None = None) -> str:
    """Put an index under a tag of a registry, or under one more, as `docker push` would; its digest."""
    reply = image(text)
    headers = {"Content-Type": INDEX} | ({"Authorization": authorization} if authorization else {})
    url = f"http://{host}/v2/{repository}/manifests/{tag}"
    with OPENER.open(Request(url, reply.body, headers, method="PUT"), timeout=60) as answer:
        assert answer.status == 201
    return digest(reply.body)


def drop(host: str, repository: str, digests: Iterable[str]) -> None:
    """Take manifests out of a registry, where it allows that."""
    for one in digests:
        with suppress(HTTPError):
            OPENER.open(Request(f"http://{host}/v2/{repository}/manifests/{one}", method="DELETE"), timeout=60).close()
