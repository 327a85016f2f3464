"""What all tests share."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest


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
