"""The proxy passes everything on but what it is told to break: a test of faults must fail for no other reason."""

from __future__ import annotations

import http.client
import threading
from collections.abc import Iterator
from contextlib import closing
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from tests.e2e.proxy import Proxy, Verdict, always, every

LARGE = bytes(range(256)) * 4096  # 1 MiB


class Echo(BaseHTTPRequestHandler):
    """Keeps what it is given and gives it back."""

    protocol_version = "HTTP/1.1"
    kept = b""

    def do_PUT(self) -> None:
        body = b""
        if self.headers["Transfer-Encoding"] == "chunked":
            while size := int(self.rfile.readline(), 16):
                body += self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
        else:
            body = self.rfile.read(int(self.headers["Content-Length"]))
        type(self).kept = body
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.send_header("X-Host", self.headers["Host"])
        self.end_headers()

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(len(self.kept)))
        self.end_headers()
        self.wfile.write(self.kept)

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def proxy() -> Iterator[Proxy]:
    Echo.kept = b""
    upstream = ThreadingHTTPServer(("127.0.0.1", 0), Echo)
    threading.Thread(target=upstream.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
    proxy = Proxy(f"http://127.0.0.1:{upstream.server_port}", "127.0.0.1")
    yield proxy
    for server in (proxy, upstream):
        server.shutdown()
        server.server_close()


def ask(proxy: Proxy, method: str, body: bytes | Iterator[bytes] | None = None) -> tuple[int, str | None, bytes]:
    """Status, the host that the server was told, and the body."""
    with closing(http.client.HTTPConnection("127.0.0.1", proxy.server_port, timeout=5)) as client:
        client.request(method, "/thing", body, encode_chunked=isinstance(body, Iterator))
        with client.getresponse() as answer:
            return answer.status, answer.getheader("X-Host"), answer.read()


def test_bytes_and_the_host_pass_unchanged(proxy: Proxy) -> None:
    assert ask(proxy, "PUT", LARGE)[1] == f"127.0.0.1:{proxy.server_port}"  # signatures cover it
    assert ask(proxy, "GET")[2] == LARGE
    assert ask(proxy, "PUT", iter([LARGE, b"end"]))[0] == 200
    assert ask(proxy, "GET")[2] == LARGE + b"end"


def test_each_third_is_unavailable(proxy: Proxy) -> None:
    proxy.fault = every(3, Verdict.UNAVAILABLE)
    assert [ask(proxy, "PUT", b"x")[0] for _ in range(6)] == [200, 200, 503, 200, 200, 503]


@pytest.mark.parametrize("verdict", [Verdict.DROP, Verdict.LOSE_ANSWER, Verdict.CUT])
def test_a_connection_is_broken(proxy: Proxy, verdict: Verdict) -> None:
    proxy.fault = always(verdict)
    with pytest.raises((http.client.HTTPException, OSError)):
        ask(proxy, "PUT", LARGE)
    assert (Echo.kept == LARGE) is (verdict is Verdict.LOSE_ANSWER)


def test_an_answer_is_cut(proxy: Proxy) -> None:
    ask(proxy, "PUT", LARGE)
    proxy.fault = always(Verdict.CUT)
    with pytest.raises((http.client.HTTPException, OSError)):
        ask(proxy, "GET")


def test_a_fault_that_is_lifted_ends_the_wait(proxy: Proxy) -> None:
    proxy.fault = always(Verdict.HANG)
    threading.Timer(0.3, proxy.heal).start()
    with pytest.raises((http.client.HTTPException, OSError)):
        ask(proxy, "PUT", b"x")
    assert ask(proxy, "PUT", b"x")[0] == 200


def test_a_server_that_is_down_comes_back(proxy: Proxy) -> None:
    proxy.stop()
    with pytest.raises(ConnectionRefusedError):
        ask(proxy, "PUT", b"x")
    proxy.start()
    assert ask(proxy, "PUT", b"x")[0] == 200
