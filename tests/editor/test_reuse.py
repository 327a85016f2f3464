"""What an editor shows of tasks in a version and of nested pipelines."""

from __future__ import annotations

import pytest

from mlgen.editor import names
from mlgen.editor.complete import complete
from mlgen.editor.hover import hover
from mlgen.editor.scene import Around, look
from mlgen.spec.checks.context import Context
from mlgen.spec.document import read
from mlgen.spec.load import load_project
from mlgen.spec.used import Used
from tests.editor.scenes import MARK, REGISTER, Memory

PREP = """\
version: 1
name: prep
description: Rows to features
params: {rows: 100}
inputs: {raw: {type: dataset}}
outs: {features: build.features}
tasks:
  build: {run: x, in: [params.rows, inputs.raw], out: {features: dataset}}
"""
SPEC = """\
version: 1
name: churn
inputs: {raw: {uri: s3://b/raw.csv, type: dataset}}
outs: [prep.features]
tasks:
  prep: {use: prep@1, in: {raw: inputs.raw}}
  go: {use: shared/register@2, in: {model: prep.features}}
"""
PROJECT = 'version: 1\nsources: {shared: {url: "https://git.example/ml.git", ref: v3}}\n'
FILES = Memory(
    {
        "pipelines/churn.yaml": "",
        "tasks/prep@1.yaml": PREP,
        "tasks/prep@2.yaml": PREP,
        "tasks/plain.yaml": REGISTER,
        "vendor/shared/tasks/register@2.yaml": REGISTER,
        "vendor/other/tasks/hidden@1.yaml": REGISTER,
    }
)


def around() -> Around:
    document = read("mlgen.yaml", PROJECT.encode())
    project = load_project(document)[0]
    used = Used(lambda path: read(path, FILES.texts[path].encode()), Context(FILES, project, {}, project.sources))
    return Around(FILES, project, document, {}, lambda path: used.file(path)[0] if path in FILES.texts else None)


def test_versions_are_offered_where_a_task_is_named() -> None:
    text = SPEC + "  new:\n    use: \n"
    scene = look("pipelines/churn.yaml", text, around(), line=8)
    offered = [one.label for one in complete(scene, text.split("\n"), 8, 9)]
    assert offered[:3] == ["prep@1", "prep@2", "shared/register@2"]
    assert "other/hidden@1" not in offered


@pytest.mark.parametrize(
    ("where", "told", "goes"),
    [
        ("prep¦@1", ["whose tasks are laid in, `tasks/prep@1.yaml`", "`rows`: integer"], "tasks/prep@1.yaml:1:1"),
        ("shared/reg¦", ["Task file `vendor/shared/tasks/register@2.yaml`"], "vendor/shared/tasks/register@2.yaml:1:1"),
        ("{ra¦w: inputs.raw}", ["`raw`: dataset"], "tasks/prep@1.yaml:5:10"),
        ("model: prep.fea¦tures", ["Out `features`: dataset of task `prep`"], "tasks/prep@1.yaml:6:8"),
        ("[pr¦ep.features]", ["Task `prep`"], "pipelines/churn.yaml:6:3"),
    ],
)  # fmt: skip
def test_hover_and_definition_go_into_what_is_used(where: str, told: list[str], goes: str) -> None:
    plain = where.replace(MARK, "")
    at = SPEC.index(plain) + where.index(MARK)
    scene = look("pipelines/churn.yaml", SPEC, around())
    line, column = SPEC[:at].count("\n") + 1, at - SPEC.rfind("\n", 0, at)
    found = hover(scene, line, column)
    assert found is not None
    assert all(text in found.text for text in told), found.text
    name = names.at(scene, line, column)
    assert name is not None
    assert [str(span) for span in names.definitions(scene, name.name)] == [goes]
