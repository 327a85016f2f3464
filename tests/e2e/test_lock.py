"""`mlgen lock` with the registry that the cluster's nodes pull from."""

from __future__ import annotations

import json
import subprocess
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from mlgen.review.change import short
from tests.e2e.settings import need
from tests.registry.hub import drop, push

ROOT = Path(__file__).parents[2]


def mlgen(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "mlgen", *arguments]
    environ = {"PYTHONPATH": str(ROOT / "generator"), "PATH": "/usr/bin:/bin", "HOME": str(folder)}
    return subprocess.run(command, cwd=folder, env=environ, capture_output=True, text=True, timeout=300, check=False)


@pytest.fixture
def registry() -> str:
    return need("MLGEN_E2E_REGISTRY")


@pytest.fixture
def pushed(registry: str) -> Iterator[tuple[str, list[str]]]:
    """A repository of the test's own, and what is pushed to it."""
    repository, digests = f"mlgen-e2e-lock/{uuid.uuid4().hex[:8]}", list[str]()
    yield repository, digests
    drop(registry, repository, digests)


def test_the_images_of_the_cluster_are_locked_and_rendered(tmp_path: Path, registry: str) -> None:
    busybox, python = f"{registry}/busybox:1", need("MLGEN_E2E_PYTHON_IMAGE")
    tasks = f"{{a: {{run: echo, image: '{busybox}'}}, b: {{run: echo, image: '{python}'}}}}"
    (tmp_path / "pipelines").mkdir()
    (tmp_path / "pipelines/a.yaml").write_text(f"version: 1\nname: a\ntasks: {tasks}\n")
    (tmp_path / "mlgen.yaml").write_text("version: 1\n")
    done = mlgen(tmp_path, "lock", "--format", "json")
    assert done.returncode == 0, done.stderr
    assert {entry["image"] for entry in json.loads(done.stdout)["added"]} == {busybox, python}
    assert mlgen(tmp_path, "lock", "--check", "--upgrade").returncode == 0
    assert mlgen(tmp_path, "check").stdout == "1 spec checked: nothing to mend\n"


def test_a_tag_that_moves_is_seen_when_it_is_asked_for(
    tmp_path: Path, registry: str, pushed: tuple[str, list[str]]
) -> None:
    repository, digests = pushed
    digests.append(first := push(registry, repository, "1.8", "one"))
    image = f"{registry}/{repository}:1.8"
    (tmp_path / "pipelines").mkdir()
    (tmp_path / "pipelines/a.yaml").write_text(f"version: 1\nname: a\ntasks: {{a: {{run: echo, image: '{image}'}}}}\n")
    (tmp_path / "mlgen.yaml").write_text("version: 1\n")
    assert f"added    {image}  {short(first)}" in mlgen(tmp_path, "lock").stdout
    digests.append(second := push(registry, repository, "1.8", "two"))
    assert mlgen(tmp_path, "lock").stdout == "mlgen.lock: 1 kept\n"
    assert mlgen(tmp_path, "lock", "--check").returncode == 0
    moved = mlgen(tmp_path, "lock", "--check", "--upgrade")
    assert (moved.returncode, moved.stdout.splitlines()[0]) == (
        1,
        f"moved    {image}  {short(first)} → {short(second)}",
    )
    assert f"changed  {image}  {short(first)} → {short(second)}" in mlgen(tmp_path, "lock", "--upgrade").stdout
