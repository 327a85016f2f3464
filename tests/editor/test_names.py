"""Hover, definitions, references, renames, the outline and mendings."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlgen.editor import names, rename
from mlgen.editor.complete import complete
from mlgen.editor.hover import hover
from mlgen.editor.mend import mending
from mlgen.editor.outline import outline
from mlgen.editor.scene import Scene, look
from mlgen.spec.checks.context import Context
from mlgen.spec.load import load_pipeline
from tests.editor.scenes import FILES, MARK, REGISTER, around, at

SPEC = """\
version: 1
name: churn
params:
  epochs: {type: integer, default: 20, minimum: 1, description: "passes | `over` @all <b>"}
  target: {choices: [none, staging], default: none}
inputs: {raw: {uri: s3://b/raw.csv, type: dataset}}
tasks:
  prepare:
    run: x "$raw" > "$features"
    in: [inputs.raw]
    out: {features: dataset, rows: integer}
  train:
    image: ghcr.io/acme/churn:1.8
    run: |
      y "$features" --epochs "${epochs}"
    in: [prepare.features, params.epochs]
    out: {model: model, auc: metric}
    gpu: a100:2
    after: ["prepare"]
  register:
    use: ./tasks/register.yaml
    if: train.auc > 0.5 and params.target != "none" and prepare.rows < train.auc
    in: {model: train.model, stage: params.target}
"""


def marked(where: str) -> tuple[Scene, int, int]:
    """The scene of SPEC and a place in it, from 1: where the first such text has its mark."""
    plain = where.replace(MARK, "")
    assert plain in SPEC, plain
    scene, _, line, column = at(SPEC.replace(plain, where, 1))
    return scene, line + 1, column + 1


HOVERS = [
    ("params.ep¦ochs", ["Param `epochs`: integer, default `20`, at least 1", "`` passes | `over` @all <b> ``"]),
    ("prepare.fea¦tures", ["Out `features`: dataset of task `prepare`"]),
    ("[pre¦pare.features", ["Task `prepare`", "- in: `inputs.raw`", "- out: `features`: dataset, `rows`: integer"]),
    ("inputs.r¦aw", ["Input `raw`: dataset, `s3://b/raw.csv`"]),
    ("image: ghcr¦", ["pinned by mlgen.lock to", "`sha256:aaaa"]),
    ("gpu: a1¦00", ["GPU pool `a100`", "in `prod`: `nvidia.com/gpu`"]),
    ("if: train.auc >¦ 0.5", [
        "`train.auc > 0.5`: decided by task `train` when it ends",
        '`params.target != "none"`: decided before any pod starts',
        "`prepare.rows < train.auc`: decided by a pod of its own, `if-register`",
    ]),
    ("use: ./tasks¦", ["Task file `pipelines/tasks/register.yaml`", "`stage`: string, required, one of `staging`"]),
    ("in: {mod¦el: train", ["In of `pipelines/tasks/register.yaml`", "`model`: model, required"]),
    ("gp¦u: a100", ["**GPU**: A count of GPUs", "`unknown-pool`", "[Reference]("]),
    ("rows: inte¦ger", ["**Out**", "`integer`: A whole number"]),
    ("ver¦sion: 1", ["**Format**"]),
]  # fmt: skip


@pytest.mark.parametrize(("where", "told"), HOVERS)
def test_hover(where: str, told: list[str]) -> None:
    shown = hover(*marked(where))
    assert shown is not None
    for text in told:
        assert text in shown.text
    assert "@all" not in shown.text.replace("`` passes | `over` @all <b> ``", "")


def test_a_name_that_is_nowhere_has_no_meaning_of_its_own() -> None:
    scene, _, line, column = at(SPEC.replace("params.epochs]", "params.epo¦ch]"))
    shown = hover(scene, line + 1, column + 1)
    assert shown is None or "Param" not in shown.text


DEFINITIONS = [
    ("params.ep¦ochs", "pipelines/churn.yaml:4:3"),
    ("prepare.fea¦tures", "pipelines/churn.yaml:11:11"),
    ("[pre¦pare.features", "pipelines/churn.yaml:8:3"),
    ("inputs.r¦aw", "pipelines/churn.yaml:6:10"),
    ('after: ["prep¦are', "pipelines/churn.yaml:8:3"),
    ("train.au¦c > 0.5", "pipelines/churn.yaml:17:25"),
    ("use: ./tasks¦", "pipelines/tasks/register.yaml:1:1"),
    ("in: {mod¦el: train", "pipelines/tasks/register.yaml:4:6"),
    ("gpu: a1¦00", "mlgen.yaml:8:12"),
]


@pytest.mark.parametrize(("where", "place"), DEFINITIONS)
def test_definitions(where: str, place: str) -> None:
    scene, line, column = marked(where)
    found = names.at(scene, line, column)
    assert found is not None
    assert [str(span) for span in names.definitions(scene, found.name)] == [place]


def test_references_are_all_places_of_a_name() -> None:
    scene, line, column = marked("params.tar¦get !=")
    found = names.at(scene, line, column)
    assert found is not None
    lines = [(one.span.line, one.given) for one in names.all_of(scene, found.name)]
    assert lines == [(5, True), (22, False), (23, False)]


RENAMES = [
    ("params.ep¦ochs", "rounds", ["  rounds: {", "params.rounds]"],
     ['the program of task "train" still reads $epochs']),
    ("[pre¦pare.features", "ready", ["  ready:", "[ready.features", 'after: [ready]', "ready.rows <"], []),
    ("prepare.fea¦tures", "feats", ["{feats: dataset", "[prepare.feats,"],
     ['the program of task "train" still reads $features', 'the program of task "prepare" still reads $features']),
    ("train.au¦c > 0.5", "area", ["area: metric", "train.area > 0.5", "< train.area"], []),
    ("inputs.r¦aw", "source", ["{source: {uri", "[inputs.source]"], ['the program of task "prepare" still reads $raw']),
]  # fmt: skip


@pytest.mark.parametrize(("where", "new", "said", "left"), RENAMES)
def test_renames(where: str, new: str, said: list[str], left: list[str]) -> None:
    scene, line, column = marked(where)
    found = rename.rename(scene, line, column, new)
    text = rename.apply(SPEC, found.edits)
    for part in said:
        assert part in text
    assert sorted(found.left) == sorted(left)
    file = around().task_file("pipelines/tasks/register.yaml")
    assert file is not None

    def errors(version: str) -> list[str]:
        document = look("pipelines/churn.yaml", version, around()).document
        return [d.code for d in load_pipeline(document, {file.path: file}, Context(FILES))[1]]

    assert errors(text) == errors(SPEC)


@pytest.mark.parametrize(
    ("where", "new", "why"),
    [
        ("params.ep¦ochs", "target", "cannot be read|stands|a second time|target"),
        ("params.ep¦ochs", "Big Name", "is not a name"),
        ("params.ep¦ochs", "epochs_", "is not a name for a param"),
        ("[pre¦pare.features", "in", "cannot be called"),
        ("[pre¦pare.features", "train", "train"),
        ("in: {mod¦el: train", "m", "change it there"),
        ("gpu: a1¦00", "h100", "no name of a task"),
        ("versi¦on", "x", "no name of a task"),
    ],
)
def test_what_is_not_renamed(where: str, new: str, why: str) -> None:
    with pytest.raises(rename.NotRenamed, match=why):
        rename.rename(*marked(where), new)


def test_a_task_file_renames_its_own_names_and_says_who_is_not_reached() -> None:
    scene = look("pipelines/tasks/register.yaml", REGISTER, around())
    found = rename.rename(scene, 4, 7, "network")
    assert "in: {network: {type: model}" in rename.apply(REGISTER, found.edits)
    assert found.left == (
        "the script still reads $model",
        "pipelines that use this task file still say the old name: `mlgen check` finds them",
    )


def test_the_outline() -> None:
    scene, _, _, _ = at(SPEC + MARK)
    parts = {part.name: [child.name for child in part.parts] for part in outline(scene)}
    assert parts == {"params": ["epochs", "target"], "inputs": ["raw"], "tasks": ["prepare", "train", "register"]}
    train = next(part for part in outline(scene) if part.name == "tasks").parts[1]
    assert [out.name for out in train.parts] == ["model", "auc"]
    assert (train.whole.line, train.whole.end_line) == (12, 19)


@pytest.mark.parametrize(
    ("broken", "mended"),
    [
        ("params: {on: y}", 'params: {on: "y"}'),
        ("taks: {}", "tasks: {}"),
        ("tasks: {a: {run: x, out: {m: modle}}}", "tasks: {a: {run: x, out: {m: model}}}"),
        ("params: {epochs: 1}\ntasks: {a: {run: x, in: [params.epoch]}}",
         "params: {epochs: 1}\ntasks: {a: {run: x, in: [params.epochs]}}"),
    ],
)  # fmt: skip
def test_mendings(broken: str, mended: str) -> None:
    text = f"version: 1\nname: churn\n{broken}\n"
    document = look("pipelines/churn.yaml", text, around()).document
    found = load_pipeline(document, {}, Context(FILES))[1]
    edits = [offered[1] for finding in found if (offered := mending(document, finding))]
    assert rename.apply(text, edits) == f"version: 1\nname: churn\n{mended}\n"


@given(st.integers(0, len(SPEC)), st.integers(0, 40), st.text(alphabet="ab.: -[]{},\"'|>#\n¬🎉\u202e", max_size=8))
@settings(max_examples=150, deadline=None)
def test_nothing_that_is_asked_of_a_broken_file_ends_in_an_error(where: int, cut: int, typed: str) -> None:
    text = SPEC[:where] + typed + SPEC[where + cut :]
    scene = look("pipelines/churn.yaml", text, around())
    for line in range(1, text.count("\n") + 2, 3):
        for column in range(1, 60, 7):
            hover(scene, line, column)
            found = names.at(scene, line, column)
            if found is not None:
                names.definitions(scene, found.name)
    outline(scene)


def test_hostile_names_are_shown_as_code_or_not_at_all() -> None:
    hostile = "<img src=x>@all ](http://x) \\u202e"
    scene, lines, line, column = at(
        f'version: 1\nname: churn\nparams: {{"{hostile}": 1, ok: {{default: "{hostile}"}}}}\n'
        f'tasks:\n  "{hostile}": {{run: x, out: [o]}}\n  a: {{run: x, in: [params.ok, ¦]}}\n'
    )
    assert complete(scene, lines, line, column) == []
    told = hover(scene, 6, 27)
    assert told is not None
    assert told.text == "Param `ok`: string, default `<img src=x>@all ](http://x) \\u202e`"
    names_ = [child.name for part in outline(scene) for child in part.parts]
    assert all(name.isprintable() for name in names_)
