"""A client of the Language Server Protocol over a process's pipes. Its framing is its own, to send garbage as well."""

from __future__ import annotations

import json
import os
import queue
import subprocess
import sys
import threading
from contextlib import suppress
from pathlib import Path
from typing import Any

GENERATOR = Path(__file__).parents[2] / "generator"
LONG = 60.0  # seconds after which an answer is not coming
ALL = {
    "textDocument": {
        "completion": {"completionItem": {"snippetSupport": True}},
        "publishDiagnostics": {"versionSupport": True},
    },
    "workspace": {"didChangeWatchedFiles": {"dynamicRegistration": True}},
    "window": {"showMessage": {}},
}


class Client:
    """A session with a server of its own."""

    def __init__(self, root: Path, command: list[str] | None = None) -> None:
        self.root, self._id = root, 0
        self.notes: queue.Queue[dict[str, Any]] = queue.Queue()
        self.answers: dict[int, queue.Queue[dict[str, Any]]] = {}
        self.process = subprocess.Popen(
            command or [sys.executable, "-m", "mlgen", "lsp"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd=root,
            env={**os.environ, "PYTHONPATH": str(GENERATOR)},
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def send(self, data: bytes) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(data)
        self.process.stdin.flush()

    def _message(self, content: dict[str, Any]) -> None:
        body = json.dumps({"jsonrpc": "2.0", **content}).encode()
        self.send(b"Content-Length: %d\r\n\r\n%s" % (len(body), body))

    def tell(self, method: str, **params: Any) -> None:
        self._message({"method": method, "params": params})

    def ask_all(self, method: str, **params: Any) -> dict[str, Any]:
        """The whole answer: "result" or "error"."""
        self._id += 1
        waiting = self.answers[self._id] = queue.Queue()
        self._message({"id": self._id, "method": method, "params": params})
        return waiting.get(timeout=LONG)

    def ask(self, method: str, **params: Any) -> Any:
        answer = self.ask_all(method, **params)
        assert "error" not in answer, answer
        return answer["result"]

    def _read(self) -> None:
        stream = self.process.stdout
        assert stream is not None
        while header := stream.readline():
            length = 0
            while header.strip():
                name, _, value = header.partition(b":")
                length = int(value) if name.lower() == b"content-length" else length
                header = stream.readline()
            message = json.loads(stream.read(length))
            if "method" in message and "id" in message:
                with suppress(OSError, ValueError):  # a test may have closed the pipe
                    self._message({"id": message["id"], "result": None})
            if "method" in message:
                self.notes.put(message)
            elif message.get("id") in self.answers:
                self.answers[message["id"]].put(message)

    def note(self, method: str, **wanted: Any) -> Any:
        """The next notification of a kind whose params have what is wanted; others before it are dropped."""
        while True:
            message = self.notes.get(timeout=LONG)
            params = message.get("params", {})
            if message["method"] == method and wanted.items() <= params.items():
                return params

    def begin(self, capabilities: dict[str, Any] | None = None) -> dict[str, Any]:
        uri = self.root.as_uri()
        found: dict[str, Any] = self.ask(
            "initialize", processId=os.getpid(), rootUri=uri, capabilities=ALL if capabilities is None else capabilities
        )
        self.tell("initialized")
        return found

    def uri(self, name: str) -> str:
        return (self.root / name).as_uri()

    def open(self, name: str, text: str | None = None, version: int = 1) -> None:
        text = (self.root / name).read_text() if text is None else text
        document = {"uri": self.uri(name), "languageId": "yaml", "version": version, "text": text}
        self.tell("textDocument/didOpen", textDocument=document)

    def change(self, name: str, text: str, version: int) -> None:
        self.tell(
            "textDocument/didChange",
            textDocument={"uri": self.uri(name), "version": version},
            contentChanges=[{"text": text}],
        )

    def close(self, name: str) -> None:
        self.tell("textDocument/didClose", textDocument={"uri": self.uri(name)})

    def findings(self, name: str, **wanted: Any) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.note("textDocument/publishDiagnostics", uri=self.uri(name), **wanted)[
            "diagnostics"
        ]
        return found

    def at(self, method: str, name: str, line: int, character: int, **more: Any) -> Any:
        position = {"line": line, "character": character}
        return self.ask(f"textDocument/{method}", textDocument={"uri": self.uri(name)}, position=position, **more)

    def end(self) -> int:
        """Leave as the protocol wants; the exit code."""
        self.ask("shutdown")
        self._message({"method": "exit"})
        return self.gone()

    def gone(self) -> int:
        return self.process.wait(timeout=LONG)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait(timeout=LONG)
        for stream in (self.process.stdin, self.process.stdout, self.process.stderr):
            if stream is not None:
                stream.close()
        self._reader.join(timeout=LONG)


def codes(findings: list[dict[str, Any]]) -> list[str]:
    """The codes of the errors among findings."""
    return [finding["code"] for finding in findings if finding["severity"] == 1]
