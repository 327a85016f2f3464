"""A small GitHub in this process: pull requests, and comments that are kept; it fails as it is told.

Source: GitHub's REST API reference, "List pull requests", "Issue comments".
"""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

BOT = "github-actions[bot]"


@dataclass
class GitHub:
    """pulls: as the API has them. comments: of any issue. failures: what the next requests of a method get instead."""

    pulls: list[dict[str, Any]] = field(default_factory=list)
    comments: list[dict[str, Any]] = field(default_factory=list)
    failures: dict[str, list[int]] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    url: str = ""

    def add(self, login: str, body: str, issue: int = 7) -> None:
        number = len(self.comments) + 1
        self.comments.append({"id": number, "issue": issue, "user": {"login": login}, "body": body})

    def answer(self, method: str, path: str, query: dict[str, list[str]], data: Any) -> Any:
        if path == "/repos/acme/ml/pulls":
            [head] = query["head"]
            return [p for p in self.pulls if head == f"{p['head']['user']['login']}:{p['head']['ref']}"]
        if match := re.fullmatch(r"/repos/acme/ml/issues/(\d+)/comments", path):
            if method == "POST":
                self.add(BOT, data["body"], int(match[1]))
                return self.comments[-1]
            page, size = int(query["page"][0]), int(query["per_page"][0])
            here = [c for c in self.comments if c["issue"] == int(match[1])]
            return here[(page - 1) * size : page * size]
        if match := re.fullmatch(r"/repos/acme/ml/issues/comments/(\d+)", path):
            self.comments[int(match[1]) - 1]["body"] = data["body"]
            return self.comments[int(match[1]) - 1]
        return None


@contextmanager
def serving(github: GitHub) -> Iterator[GitHub]:
    class Handler(BaseHTTPRequestHandler):
        def _do(self) -> None:
            split = urlsplit(self.path)
            github.asked.append(f"{self.command} {split.path}")
            length = int(self.headers.get("Content-Length") or 0)
            data = json.loads(self.rfile.read(length)) if length else None
            failures = github.failures.get(self.command, [])
            status, said = 200, None
            if self.headers["Authorization"] != "Bearer secret":
                status = 401
            elif failures:
                status = failures.pop(0)
            else:
                said = github.answer(self.command, split.path, parse_qs(split.query), data)
                status = 200 if said is not None else 404
            text = json.dumps(said).encode()
            self.send_response(status)
            if status == 429:
                self.send_header("Retry-After", "0")
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        do_GET = do_POST = do_PATCH = _do

        def log_message(self, *_args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    github.url = f"http://127.0.0.1:{server.server_address[1]}"
    try:
        yield github
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
