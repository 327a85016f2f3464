"""What tests of commands share: a project in a repository, and a command line in this process."""

from __future__ import annotations

from pathlib import Path

import pytest

from mlgen.cli.main import run
from tests.cli.pinned import Say, make


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    make(tmp_path / "r")
    monkeypatch.chdir(tmp_path / "r")
    return tmp_path / "r"


@pytest.fixture
def say(capsys: pytest.CaptureFixture[str]) -> Say:
    def call(*arguments: str) -> tuple[int, str, str]:
        code = run(list(arguments))
        return (code, *capsys.readouterr())

    return call
