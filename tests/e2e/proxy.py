"""A reverse proxy for HTTP that breaks on demand: what S3 and Git servers do on their bad days."""

from __future__ import annotations

import http.client
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from enum import Enum
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count
from typing import Any
from urllib.parse import urlsplit

BLOCK = 64 << 10
_HOP = {"connection", "keep-alive", "transfer-encoding", "content-length", "expect"}


class Verdict(Enum):
    """What becomes of one request."""

    PASS = "goes through"
    DROP = "its connection is closed without a word"
    HANG = "is never answered, while the fault lasts"
    UNAVAILABLE = "503 SlowDown"
    FORBIDDEN = "403 AccessDenied"
    NO_BUCKET = "404 NoSuchBucket"
    LOSE_ANSWER = "is carried out, and the connection closed before the answer"
    CUT = "is broken off in the middle of its body, or of the answer's where it has none"


ANSWERS = (Verdict.UNAVAILABLE, Verdict.FORBIDDEN, Verdict.NO_BUCKET)
Fault = Callable[[str, str], Verdict]  # (method, path) -> what becomes of it


def always(verdict: Verdict) -> Fault:
    return lambda method, path: verdict


def every(n: int, verdict: Verdict) -> Fault:
    """Each n-th request, the n-th first."""
    numbers, lock = count(1), threading.Lock()

    def fault(method: str, path: str) -> Verdict:
        with lock:
            return verdict if next(numbers) % n == 0 else Verdict.PASS

    return fault


class Proxy(ThreadingHTTPServer):
    """Listens on a port of its own and passes requests on to `upstream`. `fault` may be changed at any time.

    `stop` refuses connections, as a server does that is down, until `start`.
    """

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, upstream: str, host: str) -> None:
        """upstream: the server's URL. host: this machine's address, as pods know it."""
        super().__init__((host, 0), _Handler)
        parts = urlsplit(upstream)
        assert parts.scheme == "http", "the proxy reads what goes through it"
        assert parts.hostname
        self.upstream = (parts.hostname, parts.port or 80)
        self.url = f"http://{host}:{self.server_port}{parts.path}"
        self.fault = always(Verdict.PASS)
        self.seen: list[tuple[str, str, Verdict]] = []
        self.named: list[tuple[str, str]] = []  # requests with credentials: a client may try without, at first
        self._open: set[socket.socket] = set()
        self._serve()

    def stop(self) -> None:
        self.shutdown()
        self.server_close()
        for connection in list(self._open):
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def start(self) -> None:
        self.socket = socket.socket(self.address_family, self.socket_type)
        self.server_bind()  # to the same port
        self.server_activate()
        self._serve()

    def _serve(self) -> None:
        threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.2}, daemon=True).start()

    def finish_request(self, request: Any, client_address: Any) -> None:
        self._open.add(request)
        try:
            super().finish_request(request, client_address)
        finally:
            self._open.discard(request)

    def judge(self, method: str, path: str) -> Verdict:
        verdict = self.fault(method, path)
        self.seen.append((method, path, verdict))
        return verdict

    def heal(self) -> None:
        self.fault = always(Verdict.PASS)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A connection that broke is what this program is for, and no news."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Proxy
    timeout = 300

    def setup(self) -> None:
        super().setup()
        self.to_server = http.client.HTTPConnection(*self.server.upstream, timeout=120)

    def finish(self) -> None:
        self.to_server.close()
        super().finish()

    def log_message(self, format: str, *args: Any) -> None:
        pass

    def handle_expect_100(self) -> bool:
        return True  # answered by `_body`, where the verdict allows it

    def _answer(self) -> None:
        if "Authorization" in self.headers:
            self.server.named.append((self.command, self.path))
        verdict = self.server.judge(self.command, self.path)
        match verdict:
            case Verdict.DROP:
                self.close_connection = True
            case Verdict.HANG:
                fault, waited = self.server.fault, threading.Event()
                while self.server.fault is fault and not waited.wait(0.2):
                    pass
                self.close_connection = True
            case _ if verdict in ANSWERS:
                for _ in self._body():
                    pass
                self._say(verdict)
            case _:
                self._pass_on(verdict)

    do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = _answer

    def _pass_on(self, verdict: Verdict) -> None:
        length = self.headers.get("Content-Length")
        chunked = "chunked" in self.headers.get("Transfer-Encoding", "").lower()
        has_body = chunked or int(length or 0) > 0
        self.to_server.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
        for name, value in self.headers.items():
            if name.lower() not in _HOP:
                self.to_server.putheader(name, value)
        if chunked:
            self.to_server.putheader("Transfer-Encoding", "chunked")
        elif length is not None:
            self.to_server.putheader("Content-Length", length)
        self.to_server.endheaders()
        left = int(length or 0) // 2
        for block in self._body():
            if verdict is Verdict.CUT:
                self.to_server.send(block[: max(left, 0)] if not chunked else b"")
                left -= len(block)
                if left <= 0:
                    self.close_connection = True
                    self.to_server.close()
                    return
            else:
                self.to_server.send(b"%x\r\n%s\r\n" % (len(block), block) if chunked else block)
        if chunked:
            self.to_server.send(b"0\r\n\r\n")
        answer = self.to_server.getresponse()
        if verdict is Verdict.LOSE_ANSWER:
            answer.read()
            self.close_connection = True
            return
        self._hand_back(answer, cut=verdict is Verdict.CUT and not has_body)

    def _hand_back(self, answer: http.client.HTTPResponse, *, cut: bool) -> None:
        length = answer.getheader("Content-Length")
        bodiless = self.command == "HEAD" or answer.status in (204, 304)
        self.send_response_only(answer.status, answer.reason)
        for name, value in answer.getheaders():
            if name.lower() not in _HOP:
                self.send_header(name, value)
        if length is not None:
            self.send_header("Content-Length", length)
        elif not bodiless:
            self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        while not bodiless and (block := answer.read1(BLOCK)):
            if cut:
                self.wfile.write(block[: len(block) // 2])
                self.close_connection = True
                self.to_server.close()
                return
            self.wfile.write(block if length is not None else b"%x\r\n%s\r\n" % (len(block), block))
        if length is None and not bodiless:
            self.wfile.write(b"0\r\n\r\n")

    def _body(self) -> Iterator[bytes]:
        if self.headers.get("Expect", "").lower() == "100-continue":
            self.send_response_only(100)
            self.end_headers()
        if "chunked" in self.headers.get("Transfer-Encoding", "").lower():
            while size := int(self.rfile.readline().split(b";")[0], 16):
                yield self.rfile.read(size)
                self.rfile.readline()
            while self.rfile.readline().strip():
                pass
            return
        left = int(self.headers.get("Content-Length") or 0)
        while left and (block := self.rfile.read(min(left, BLOCK))):
            left -= len(block)
            yield block

    def _say(self, verdict: Verdict) -> None:
        status, _, code = verdict.value.partition(" ")
        body = f"<Error><Code>{code}</Code><Message>as the test asked</Message></Error>".encode()
        self.send_response_only(int(status))
        self.send_header("Content-Type", "application/xml")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)
