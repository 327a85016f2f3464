"""What the tests of this folder share: a tree of folders, and pods that end with their test."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from mlgen.runtime.protocol import Tree
from mlgen.runtime.stage_in import prepare
from tests import rights
from tests.rights import Rights
from tests.runtime.pods import MODEL, ROWS, MakePod, Pod


@pytest.fixture(autouse=True)
def _as_in_a_cloud(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """No pod asks to delete what the guide does not name."""
    found = rights.bind(monkeypatch, Rights(rights.named(), tmp_path_factory.mktemp("rights") / "refused"))
    yield
    assert found.refused == []


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    made = Tree(tmp_path / "tree", tmp_path / "state")
    made.root.mkdir()
    made.state.mkdir()
    prepare(made)
    return made


@pytest.fixture
def make(tmp_path: Path) -> Iterator[MakePod]:
    made: list[Pod] = []

    def pod(**options: Any) -> Pod:
        found = Pod(tmp_path / f"pod{len(made)}", tmp_path / "store", **options)
        made.append(found)
        return found

    yield pod
    for one in made:
        one.end()


@pytest.fixture
def pod(make: MakePod) -> Pod:
    return make(outs=(MODEL, ROWS))
