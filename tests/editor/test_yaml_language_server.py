"""The published schemas in the YAML server of VS Code and Neovim (npm: yaml-language-server), if there is one."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from mlgen.editor import schemas
from tests.editor.client import Client

SERVER = os.environ.get("MLGEN_YAML_LANGUAGE_SERVER") or shutil.which("yaml-language-server")
pytestmark = pytest.mark.skipif(
    SERVER is None, reason="no yaml-language-server on PATH, nor its path in MLGEN_YAML_LANGUAGE_SERVER"
)
NAME = "pipelines/churn.yaml"
SPEC = """\
# yaml-language-server: $schema=../schemas/pipeline.v1.json
version: 1
name: churn
tasks:
  train:
    run: x
    out: {m: file}
    memory: 1Gi
    \n  \n"""
CAPABILITIES = {
    "textDocument": {
        "completion": {"completionItem": {"snippetSupport": True, "documentationFormat": ["markdown"]}},
        "hover": {"contentFormat": ["markdown"]},
    }
}


@pytest.fixture
def client(tmp_path: Path) -> Iterator[Client]:
    (tmp_path / "schemas").mkdir()
    (tmp_path / "pipelines").mkdir()
    for kind in schemas.KINDS:
        (tmp_path / f"schemas/{kind}.v1.json").write_text(schemas.published(kind))
    assert SERVER is not None
    found = Client(tmp_path, [SERVER, "--stdio"])
    found.begin(CAPABILITIES)
    settings = {"yaml": {"hover": True, "completion": True, "validate": True}}
    found.tell("workspace/didChangeConfiguration", settings=settings)
    found.open(NAME, SPEC)
    assert found.findings(NAME) == []
    yield found
    found.kill()


def offered(client: Client, line: int, character: int) -> dict[str, dict[str, Any]]:
    return {item["label"]: item for item in client.at("completion", NAME, line, character)["items"]}


def test_keys_and_their_meaning(client: Client) -> None:
    keys = offered(client, 8, 4)
    assert {"in", "if", "after", "gpu", "timeout"} <= keys.keys()
    assert "run" not in keys
    assert "How long the author's program may run" in keys["timeout"]["documentation"]["value"]


def test_choices_and_their_meaning(client: Client) -> None:
    values = offered(client, 6, 13)
    assert {"model", "metric", "dataset", "json"} <= values.keys()
    assert "[object Object]" not in values
    assert values["metric"]["documentation"]["value"].startswith("A number that judges a model")


def test_snippets(client: Client) -> None:
    snippets = offered(client, 9, 2)
    text = snippets["task on a GPU"]["textEdit"]["newText"]
    assert "\n  gpu: ${3:default}:${4:1}\n" in text
    assert '"\\$${3:features}"' in snippets["task"]["textEdit"]["newText"]


def test_hover(client: Client) -> None:
    shown = client.at("hover", NAME, 7, 6)["contents"]["value"]
    assert "Memory asked for, and the limit" in shown
    assert "`over-limit`" in shown


def test_a_mistake_is_shown(client: Client) -> None:
    client.change(NAME, SPEC.replace("memory:", "memmory:"), 2)
    found = client.findings(NAME)
    assert any("memmory" in finding["message"] for finding in found)
