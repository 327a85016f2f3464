"""`mlgen lsp` as a process: what it does with garbage, with an editor that dies, with signals, without its library."""

from __future__ import annotations

import signal
import sys

import pytest

from mlgen.cli import lsp
from mlgen.cli.main import run as mlgen
from tests.editor.client import Client, codes
from tests.editor.scenes import NAME


def test_garbage_ends_no_session(client: Client) -> None:
    client.begin()
    client.send(b"Content-Length: 9\r\n\r\nnot json!")
    client.send(b"X-Strange: 1\r\nContent-Length: 2\r\n\r\n[]")
    client.tell("textDocument/hover", nonsense=True)
    assert "error" in client.ask_all("no/suchMethod")
    client.tell("textDocument/didChange", textDocument={"uri": client.uri("never-opened.yaml"), "version": 1})
    client.open(NAME)
    assert codes(client.findings(NAME)) == []
    assert client.at("hover", NAME, 900, 900) is None
    assert client.end() == 0


def test_what_cannot_be_read_as_a_question_is_answered_all_the_same(client: Client) -> None:
    client.begin()
    client.open(NAME)
    for number, position in enumerate([{"line": -1, "character": 0}, {"line": 1.5, "character": "x"}, None, 2**70]):
        for method in ("hover", "completion", "definition", "rename"):
            params = {"textDocument": {"uri": client.uri(NAME)}, "position": position, "newName": "x"}
            assert client.ask_all(f"textDocument/{method}", **params)["error"]["code"] == -32602, (number, method)
    assert client.at("hover", NAME, 900, 900) is None
    assert client.end() == 0


def test_a_message_without_an_end_is_not_waited_for(client: Client) -> None:
    client.begin()
    client.send(b"Content-Length: 99999999999999\r\n\r\nx")
    assert client.gone() == 3


def test_an_editor_that_dies_takes_the_server_along(client: Client) -> None:
    client.begin()
    client.open(NAME)
    assert client.process.stdin is not None
    client.process.stdin.close()
    assert client.gone() == 1


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it(client: Client, number: int) -> None:
    client.begin()
    client.process.send_signal(number)
    assert client.gone() == 130


def test_leaving_without_a_farewell_is_a_no(client: Client) -> None:
    client.begin()
    client.tell("exit")
    assert client.gone() == 1


def test_without_the_extra_it_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert lsp.app is not None
    monkeypatch.setitem(sys.modules, "pygls.lsp.server", None)
    monkeypatch.delitem(sys.modules, "mlgen.cli.editing.session", raising=False)
    monkeypatch.delitem(sys.modules, "mlgen.cli.editing.server", raising=False)
    assert mlgen(["lsp"]) == 2
    told = capsys.readouterr()
    assert told.out == ""
    assert "error[no-lsp]" in told.err
    assert "pip install 'mlgen[lsp]'" in told.err
