"""A project on the disk, and a session of `mlgen lsp` in it."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.editor.client import Client
from tests.editor.scenes import NAME, PROJECT, REGISTER, SPEC, TASK


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "pipelines/tasks").mkdir(parents=True)
    (tmp_path / "mlgen.yaml").write_text(PROJECT)
    (tmp_path / NAME).write_text(SPEC)
    (tmp_path / TASK).write_text(REGISTER)
    subprocess.run(["git", "init", "-q", tmp_path], check=True)
    return tmp_path.resolve()


@pytest.fixture
def client(root: Path) -> Iterator[Client]:
    found = Client(root)
    yield found
    found.kill()
