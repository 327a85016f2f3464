"""The examples: whole manifests, as people review them. `just accept` rewrites what is expected."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from mlgen.cli.projects.workspace import Workspace
from mlgen.render.files import compare, scope_of, write
from mlgen.render.rendering import render_all
from tests import oracle
from tests.oracle import Oracle, needs_oracle

ROOT = Path(__file__).parents[2]
EXAMPLES = sorted(path.parent for path in (ROOT / "tests" / "examples").glob("*/mlgen.yaml"))


def rendered(root: Path) -> dict[str, bytes]:
    workspace = Workspace(root)
    rendering = render_all(workspace.plans(workspace.specs(None)), workspace.project.rendered)
    assert not rendering.problems
    return rendering.files


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.name)
def test_an_example_is_rendered_as_expected(example: Path) -> None:
    workspace = Workspace(example)
    files, scope = rendered(example), scope_of([], workspace.project.rendered, whole=True)
    if os.environ.get("MLGEN_ACCEPT"):
        write(example / "expected", files, scope)
    assert compare(example / "expected", files, scope) == []


@pytest.fixture(scope="module")
def admission() -> Iterator[Oracle]:
    with oracle.running() as found:
        yield found


@needs_oracle
@pytest.mark.parametrize("root", [ROOT, *EXAMPLES], ids=lambda path: path.name)
def test_tekton_stores_every_object_as_it_is_written(root: Path, admission: Oracle) -> None:
    for text in rendered(root).values():
        data = yaml.load(text, Loader=yaml.CSafeLoader)
        if data["apiVersion"] == "tekton.dev/v1":  # for others a real API server answers: tests/e2e/test_admission.py
            admission.insist(data)
