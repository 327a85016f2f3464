"""One editor's session: the files that are open, their findings, and the scene of a place that is asked about."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Coroutine, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from lsprotocol import types
from pygls import uris
from pygls.exceptions import JsonRpcException, JsonRpcInvalidParams
from pygls.lsp.server import LanguageServer
from pygls.protocol import LanguageServerProtocol

from mlgen import __version__
from mlgen.cli.editing import words
from mlgen.cli.editing.buffers import Buffer, Buffers, Home, check, judge
from mlgen.diagnostic import Diagnostic, Fault, Span, sentence, sort
from mlgen.editor.positions import Encoding
from mlgen.editor.scene import Scene

PAUSE_SECONDS = 0.15  # without a key pressed, before files are checked
POLICY_PAUSE_SECONDS = 0.5  # and after that, before policies judge them


@dataclass
class _State:
    """uris: as the editor wrote them, by path. told: the findings that it was told, with the
    version of the text that they are of, by URI. checks: of projects, under
    way or waiting, by root. judged: what policies said last: it stays until they say something else."""

    buffers: Buffers = field(default_factory=Buffers)
    uris: dict[Path, str] = field(default_factory=dict)
    told: dict[str, tuple[int | None, list[Diagnostic]]] = field(default_factory=dict)
    checks: dict[Path, asyncio.Task[None]] = field(default_factory=dict)
    published: dict[Path, set[str]] = field(default_factory=dict)
    judged: dict[Path, list[Diagnostic]] = field(default_factory=dict)
    judging: asyncio.Lock = field(default_factory=asyncio.Lock)


class _Protocol(LanguageServerProtocol):
    """Every question has an answer: also one whose place, say, is no place. The library leaves it to wait for ever."""

    def structure_message(self, data: dict[str, Any]) -> Any:
        try:
            return super().structure_message(data)
        except JsonRpcException:
            if "method" in data and isinstance(data.get("id"), (int, str)):
                self._send_response(data["id"], error=JsonRpcInvalidParams().to_response_error())
            raise


class Server(LanguageServer):
    """One editor's session."""

    def __init__(self) -> None:
        sync = types.TextDocumentSyncKind.Incremental
        super().__init__("mlgen", __version__, text_document_sync_kind=sync, protocol_cls=_Protocol)
        self.state = _State()

    @property
    def encoding(self) -> Encoding:
        chosen = str(getattr(self.workspace.position_encoding, "value", self.workspace.position_encoding))
        return "utf-8" if chosen == "utf-8" else "utf-32" if chosen == "utf-32" else "utf-16"

    def path(self, uri: str) -> Path | None:
        """The file that a URI names, or None: it may be one that was never saved."""
        text = uris.to_fs_path(uri)
        if not uri.startswith("file:") or not text:
            return None
        path = Path(os.path.abspath(text))
        return path.parent.resolve() / path.name

    def uri(self, path: Path) -> str:
        return self.state.uris.get(path) or uris.from_fs_path(str(path)) or ""

    def take(self, uri: str) -> Path | None:
        """Have the text that the editor shows of a file now."""
        path = self.path(uri)
        if path is not None:
            document = self.workspace.get_text_document(uri)
            self.state.uris[path] = uri
            self.state.buffers.take(path, Buffer(document.source, document.version))
        return path

    def lines(self, home: Home, name: str) -> list[str]:
        """The lines of a file of a project; none where it cannot be read."""
        try:
            return words.split(home.files.read(name).decode(errors="replace"))
        except (OSError, ValueError):
            return []

    def scene(self, uri: str, line: int | None = None) -> tuple[Home, Scene] | None:
        path = self.path(uri)
        if path is None or path not in self.state.buffers.open:
            return None
        found = self.state.buffers.scene(path, line)
        return (self.state.buffers.home(path), found) if found is not None else None

    def told_of_now(self, uri: str) -> list[Diagnostic]:
        """The findings of the text as it is open; none while a newer one waits to be checked: their places moved."""
        path = self.path(uri)
        buffer = self.state.buffers.open.get(path) if path else None
        version, findings = self.state.told.get(uri, (None, []))
        return findings if buffer is not None and buffer.version == version else []

    def location(self, home: Home, span: Span) -> types.Location:
        range_ = words.range_of(self.lines(home, span.file), span, self.encoding)
        return types.Location(self.uri(home.root / span.file), range_)

    def schedule(self, path: Path | None) -> None:
        """Check the project of a file, once no key is pressed for a moment."""
        if path is None:
            return
        home = self.state.buffers.home(path)
        waiting = self.state.checks.pop(home.root, None)
        if waiting is not None:
            waiting.cancel()
        self.state.checks[home.root] = asyncio.ensure_future(self.quietly(self._check(home)))

    async def quietly(self, work: Coroutine[Any, Any, None]) -> None:
        """What nobody waits for, and whose failure must not end the session."""
        try:
            await work
        except Fault as fault:
            self.log(f"{fault.code}: {sentence(fault.message)}")
        except Exception as error:
            self.log(f"bug: {type(error).__name__}: {sentence(str(error))}")

    def log(self, text: str) -> None:
        self.window_log_message(types.LogMessageParams(types.MessageType.Warning, f"mlgen: {text}"))

    async def _check(self, home: Home) -> None:
        await asyncio.sleep(PAUSE_SECONDS)
        asked = self.state.buffers.of(home)
        versions = {name: self.state.buffers.open[home.root / name].version for name in asked}
        # In threads: a large project takes its time, and completion must not wait for it. A check that is cancelled
        # ends by itself, unheard; policies, which take longest, are judged by one at a time.
        checked = await asyncio.to_thread(check, home, asked)
        judged = self.state.judged.get(home.root, [])
        self._tell(home, versions, [*checked.found, *judged])
        await asyncio.sleep(POLICY_PAUSE_SECONDS)
        async with self.state.judging:
            new = await asyncio.to_thread(judge, checked) if asked else []
        for fault in checked.faults:
            self.log(f"{fault.code}: {sentence(fault.message)}")
        self.state.judged[home.root] = new
        if new != judged:
            self._tell(home, versions, [*checked.found, *new])

    def _tell(self, home: Home, versions: dict[str, int | None], found: Iterable[Diagnostic]) -> None:
        """Publish what was found in each file that is open or has findings; versions: of the open ones, by name."""
        by_file = {name: list[Diagnostic]() for name in versions}
        for one in sort(found) if versions else ():
            by_file.setdefault(one.span.file, []).append(one)
        now = {self.uri(home.root / name) for name in by_file}
        for uri in self.state.published.get(home.root, set()) - now:
            self._publish(uri, [], home, None)
        for name, findings in by_file.items():
            self._publish(self.uri(home.root / name), findings, home, versions.get(name))
        self.state.published[home.root] = now

    def _publish(self, uri: str, findings: list[Diagnostic], home: Home, version: int | None) -> None:
        known: dict[str, list[str]] = {}

        def lines(name: str) -> list[str]:
            return known[name] if name in known else known.setdefault(name, self.lines(home, name))

        def uri_of(name: str) -> str:
            return self.uri(home.root / name)

        self.state.told[uri] = version, findings
        told = [words.diagnostic(one, lines, uri_of, self.encoding) for one in findings]
        self.text_document_publish_diagnostics(types.PublishDiagnosticsParams(uri, told, version))


@dataclass(frozen=True)
class Asked:
    """A place of a file that is asked about; line and column from 1."""

    home: Home
    scene: Scene
    lines: list[str]
    line: int
    column: int


class Placed(Protocol):
    """A question about a place of a file, in the protocol's words."""

    @property
    def text_document(self) -> types.TextDocumentIdentifier: ...

    @property
    def position(self) -> types.Position: ...


def asked(server: Server, params: Placed) -> Asked | None:
    """What a question is about; None where the file is not one of ours."""
    found = server.scene(params.text_document.uri)
    if found is None:
        return None
    home, scene = found
    lines = server.lines(home, scene.file)
    line, column = words.place(lines, params.position, server.encoding)
    return Asked(home, scene, lines, line + 1, column + 1)
