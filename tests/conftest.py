"""What all tests share."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from xdist.scheduler import LoadScopeScheduling

from tests import rights
from tests.rights import Rights

E2E = "tests/e2e/"


class ByFile(LoadScopeScheduling):  # type: ignore[misc] # xdist brings no types
    """What one process runs where two share the tests: a file, and all that is done to the one cluster."""

    def _split_scope(self, nodeid: str) -> str:
        file: str = nodeid.split("::", maxsplit=1)[0]
        return E2E if file.startswith(E2E) else file


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> ByFile:
    return ByFile(config, log)


@pytest.fixture(scope="session", autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory) -> None:
    """No test reads or writes the user's cache: indexes of ledgers, mirrors."""
    patch = pytest.MonkeyPatch()
    patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))


@pytest.fixture(autouse=True)
def here() -> Iterator[None]:
    """A command that runs in this process with -C leaves the process in that folder: the next test begins here."""
    folder = os.getcwd()
    yield
    os.chdir(folder)


@pytest.fixture
def bare(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project without specs, in which this process is; its user has no settings of Git's or of ours."""
    for name in ("HOME", "XDG_CONFIG_HOME", "XDG_CACHE_HOME"):
        monkeypatch.setenv(name, str(tmp_path / "home"))
    root = tmp_path / "project"
    (root / "pipelines").mkdir(parents=True)
    (root / "mlgen.yaml").write_text("version: 1\n")
    monkeypatch.chdir(root)
    return root


@pytest.fixture
def least(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Iterator[Rights]:
    """Stores that let nothing be deleted but what must be; and who asks for more asks for what the guide names."""
    found = rights.bind(monkeypatch, Rights(rights.named()[:1], tmp_path_factory.mktemp("rights") / "refused"))
    yield found
    assert [key for key in found.refused if not key.startswith(rights.named())] == []
