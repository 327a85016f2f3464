"""What all tests share."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

E2E = Path(__file__).parent / "e2e"


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What one process runs where two share the tests: a file, and all that is done to the one cluster."""
    for item in items:
        item.add_marker(
            pytest.mark.xdist_group(
                "cluster" if item.path.parent == E2E else item.path.relative_to(E2E.parent).as_posix()
            )
        )


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
