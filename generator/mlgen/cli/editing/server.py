"""The language server: what an editor tells of its files, and what it is answered."""

from __future__ import annotations

import logging
import os
import signal
import sys
from collections.abc import Callable
from typing import BinaryIO, NoReturn, cast

from lsprotocol import types

from mlgen.cli.editing.answers import answer_of_names, answer_of_places
from mlgen.cli.editing.session import Server
from mlgen.diagnostic import CannotAnswer, Fault, sentence

MOST_BYTES = 64 << 20  # of a message: a spec has one MiB at most, but an editor may show any file


class _Bounded:
    """What an editor says, as long as its messages are of a length that an editor's have. Read as the library does."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self.readline = stream.readline

    def read(self, size: int) -> bytes:
        if size > MOST_BYTES:
            why = f"a header announces {size:,} bytes"
            raise CannotAnswer("not-an-editor", "what speaks here is no editor", why=why, fix="start it from an editor")
        return self._stream.read(size)


def serve(stdin: BinaryIO, stdout: BinaryIO) -> int:
    """Serve until the editor leaves; the exit code: 0 when it said so first, as the protocol wants."""
    # What the library logs is for who debugs it; stderr is shown to people by many editors.
    logging.basicConfig(stream=sys.stderr, level=logging.DEBUG if os.environ.get("MLGEN_DEBUG") else logging.CRITICAL)
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _leave)
    server = make()
    server.start_io(cast("BinaryIO", _Bounded(stdin)), stdout)
    return 0 if server.protocol._shutdown else 1


def _leave(_number: int, _frame: object) -> NoReturn:
    # At once: the library would wait for the thread that waits for the editor's next message. Nothing is half done.
    os._exit(130)


def make() -> Server:
    """A server that knows all it answers."""
    server = Server()
    _keep(server)
    answer_of_places(server)
    answer_of_names(server)
    return server


def _keep(server: Server) -> None:
    """What the editor tells of files."""

    @server.feature(types.TEXT_DOCUMENT_DID_OPEN)
    def opened(ls: Server, params: types.DidOpenTextDocumentParams) -> None:
        ls.state.buffers.forget()
        _noted(ls, lambda: ls.schedule(ls.take(params.text_document.uri)))

    @server.feature(types.TEXT_DOCUMENT_DID_CHANGE)
    def changed(ls: Server, params: types.DidChangeTextDocumentParams) -> None:
        _noted(ls, lambda: ls.schedule(ls.take(params.text_document.uri)))

    @server.feature(types.TEXT_DOCUMENT_DID_SAVE)
    def saved(ls: Server, params: types.DidSaveTextDocumentParams) -> None:
        ls.state.buffers.forget()
        _noted(ls, lambda: ls.schedule(ls.path(params.text_document.uri)))

    @server.feature(types.TEXT_DOCUMENT_DID_CLOSE)
    def closed(ls: Server, params: types.DidCloseTextDocumentParams) -> None:
        path = ls.path(params.text_document.uri)
        if path is not None:
            ls.state.buffers.take(path, None)
            _noted(ls, lambda: ls.schedule(path))

    @server.feature(types.WORKSPACE_DID_CHANGE_WATCHED_FILES)
    def files_changed(ls: Server, _params: types.DidChangeWatchedFilesParams) -> None:
        ls.state.buffers.forget()
        for path in {ls.state.buffers.home(path).root: path for path in ls.state.buffers.open}.values():
            ls.schedule(path)

    @server.feature(types.INITIALIZED)
    async def begun(ls: Server, _params: types.InitializedParams) -> None:
        workspace = ls.client_capabilities.workspace
        watched = workspace.did_change_watched_files if workspace else None
        if watched is not None and watched.dynamic_registration:
            options = types.DidChangeWatchedFilesRegistrationOptions([types.FileSystemWatcher("**/*")])
            registration = types.Registration("files", types.WORKSPACE_DID_CHANGE_WATCHED_FILES, options)
            await ls.client_register_capability_async(types.RegistrationParams([registration]))


def _noted(server: Server, work: Callable[[], None]) -> None:
    """What a project's folder does not allow is said, and the session goes on."""
    try:
        work()
    except Fault as fault:
        server.log(f"{fault.code}: {sentence(fault.message)}")
