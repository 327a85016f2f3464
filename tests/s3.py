"""A small S3 in this process that fails as it is told: what a real one does not do on demand.

It speaks as much of the protocol as obstore uses, keeps objects in memory, and checks what clients rely on it to
check: the body's SHA-256, in the signature and as a checksum, and `If-None-Match`. It believes every signature.
Source: the API reference of Amazon S3, "PutObject", "GetObject", "Multipart upload", "Error responses".
"""

from __future__ import annotations

import base64
import hashlib
import re
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit
from xml.sax.saxutils import escape, unescape

BUCKET = "b"


@dataclass(frozen=True)
class Answer:
    """What a request gets in the place of its own answer: an error of S3's, or other text."""

    status: int
    code: str = ""
    body: str = ""


DROP = "drop"  # the connection ends before anything is done
LOSE = "lose"  # it ends after the work is done: the answer is lost
CUT = "cut"  # it ends in the middle of the answer's body
DAMAGE = "damage"  # a byte of the request's body arrives as another
HANG = "hang"  # nothing comes back
Trouble = str | Answer | None


@dataclass
class S3:
    """objects: by key. asked: (method, key or query) of every request. trouble: asked before each is served."""

    endpoint: str = ""
    objects: dict[str, bytes] = field(default_factory=dict)
    uploads: dict[str, dict[int, bytes]] = field(default_factory=dict)
    asked: list[tuple[str, str]] = field(default_factory=list)
    trouble: Callable[[str, str], Trouble] = lambda _method, _target: None
    stopped: threading.Event = field(default_factory=threading.Event)
    times: dict[str, datetime] = field(default_factory=dict)  # when each object was put
    clock: Callable[[], datetime] = lambda: datetime.now(UTC)

    def since(self, key: str) -> datetime:
        return self.times.setdefault(key, self.clock())

    @property
    def options(self) -> dict[str, str]:
        """Of a store in it."""
        keys = {"access_key_id": "key-id", "secret_access_key": "key-value"}
        return {"endpoint": self.endpoint, "region": "us-east-1", "secret": "s3-credentials", **keys}


@contextmanager
def serve() -> Iterator[S3]:
    """A server for as long as the block lasts."""
    s3 = S3()
    server = Server(("127.0.0.1", 0), type("Handler", (Handler,), {"s3": s3}))
    s3.endpoint = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield s3
    finally:
        s3.stopped.set()
        server.shutdown()
        server.server_close()
        thread.join()


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64

    def handle_error(self, request: object, client_address: object) -> None:
        """A connection that ended is what the tests are about."""


class Handler(BaseHTTPRequestHandler):
    s3: S3
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1

    def handle_one_request(self) -> None:
        self.raw_requestline = self.rfile.readline(65537)
        if not self.raw_requestline or not self.parse_request():
            self.close_connection = True
            return
        url = urlsplit(self.path)
        self.key = unquote(url.path).removeprefix(f"/{BUCKET}").removeprefix("/")
        self.query = {name: values[0] for name, values in parse_qs(url.query, keep_blank_values=True).items()}
        self.s3.asked.append((self.command, self.key or url.query))
        self.trouble = self.s3.trouble(self.command, self.key or url.query)
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        if self.trouble == HANG:
            self.s3.stopped.wait()
        if self.trouble in (DROP, HANG):
            self.drop()
        elif isinstance(self.trouble, Answer):
            wrong = self.trouble
            self.answer(wrong.status, wrong.body.encode() or error(wrong.code))
        else:
            if self.trouble == DAMAGE and body:
                body = bytes([body[0] ^ 1]) + body[1:]
            getattr(self, f"do_{self.command}")(body)
        self.wfile.flush()

    def drop(self) -> None:
        self.close_connection = True
        self.connection.shutdown(socket.SHUT_RDWR)

    def answer(self, status: int, body: bytes = b"", **headers: str) -> None:
        if self.trouble == LOSE:
            return self.drop()
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        if "content_length" not in headers:
            self.send_header("content-length", str(len(body)))
        self.end_headers()
        if self.trouble == CUT:
            self.wfile.write(body[: len(body) // 2])
            self.wfile.flush()
            return self.drop()
        self.wfile.write(body)

    def refuse(self, status: int, code: str) -> None:
        self.answer(status, error(code))

    def do_PUT(self, body: bytes) -> None:
        signed = self.headers["x-amz-content-sha256"]
        checksum = self.headers.get("x-amz-checksum-sha256")
        digest = hashlib.sha256(body)
        if signed != digest.hexdigest():
            return self.refuse(400, "XAmzContentSHA256Mismatch")
        if checksum and base64.b64decode(checksum) != digest.digest():
            return self.refuse(400, "BadDigest")
        if "partNumber" in self.query:
            self.s3.uploads[self.query["uploadId"]][int(self.query["partNumber"])] = body
        elif self.headers.get("if-none-match") == "*" and self.key in self.s3.objects:
            return self.refuse(412, "PreconditionFailed")
        else:
            self.s3.objects[self.key] = body
            self.s3.times[self.key] = self.s3.clock()
        self.answer(200, etag=tag(body))

    def do_POST(self, body: bytes) -> None:
        if "delete" in self.query:
            keys = re.findall(r"<Key>(.*?)</Key>", body.decode())
            for key in keys:
                self.s3.objects.pop(unescape(key), None)
            deleted = "".join(f"<Deleted><Key>{key}</Key></Deleted>" for key in keys)
            return self.answer(200, xml(f"<DeleteResult>{deleted}</DeleteResult>"))
        if "uploads" in self.query:
            upload = f"upload{len(self.s3.uploads)}"
            self.s3.uploads[upload] = {}
            text = f"<UploadId>{upload}</UploadId>"
            return self.answer(200, xml(f"<InitiateMultipartUploadResult>{text}</InitiateMultipartUploadResult>"))
        numbers = [int(number) for number in re.findall(r"<PartNumber>(\d+)</PartNumber>", body.decode())]
        parts = self.s3.uploads[self.query["uploadId"]]
        self.s3.objects[self.key] = b"".join(parts[number] for number in numbers)
        text = f"<ETag>{escape(tag(body))}</ETag>"
        self.answer(200, xml(f"<CompleteMultipartUploadResult>{text}</CompleteMultipartUploadResult>"))

    @property
    def date(self) -> str:
        return format_datetime(self.s3.since(self.key), usegmt=True)

    def do_HEAD(self, _body: bytes) -> None:
        data = self.s3.objects.get(self.key)
        if data is None:
            return self.answer(404)
        self.answer(200, content_length=str(len(data)), etag=tag(data), last_modified=self.date)

    def do_GET(self, _body: bytes) -> None:
        if "list-type" in self.query:
            return self.answer(200, listing(self.s3, self.query))
        data = self.s3.objects.get(self.key)
        if data is None:
            return self.refuse(404, "NoSuchKey")
        etag = tag(data)
        if self.headers.get("if-match", etag) != etag:
            return self.refuse(412, "PreconditionFailed")
        wanted = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("range", ""))
        if wanted is None:
            return self.answer(200, data, etag=etag, last_modified=self.date)
        first = int(wanted[1])
        last = min(int(wanted[2] or len(data)), len(data) - 1)
        where = f"bytes {first}-{last}/{len(data)}"
        self.answer(206, data[first : last + 1], etag=etag, last_modified=self.date, content_range=where)

    def do_DELETE(self, _body: bytes) -> None:
        if "uploadId" in self.query:
            self.s3.uploads.pop(self.query["uploadId"], None)
        else:
            self.s3.objects.pop(self.key, None)
        self.answer(204)

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing: tests say what went wrong."""


def tag(data: bytes) -> str:
    return f'"{hashlib.md5(data, usedforsecurity=False).hexdigest()}"'


def xml(text: str) -> bytes:
    return f'<?xml version="1.0" encoding="UTF-8"?>{text}'.encode()


def error(code: str) -> bytes:
    # As Amazon's 403 does, the text says what it calculated: nothing of it may reach anybody's log.
    told = "<AWSAccessKeyId>key-id</AWSAccessKeyId><StringToSign>key-value</StringToSign>"
    return xml(f"<Error><Code>{code}</Code><Message>no</Message>{told}</Error>") if code else b""


def listing(s3: S3, query: dict[str, str]) -> bytes:
    items = "".join(
        f"<Contents><Key>{escape(key)}</Key><Size>{len(data)}</Size><ETag>{escape(tag(data))}</ETag>"
        f"<LastModified>{s3.since(key):%Y-%m-%dT%H:%M:%S.000Z}</LastModified></Contents>"
        for key, data in sorted(s3.objects.items())
        if key.startswith(query.get("prefix", "")) and key > query.get("start-after", "")
    )
    return xml(f"<ListBucketResult><IsTruncated>false</IsTruncated>{items}</ListBucketResult>")
