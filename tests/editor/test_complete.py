"""What is offered at a cursor, and nothing that check would refuse there."""

from __future__ import annotations

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlgen.editor.complete import Answer, complete
from mlgen.spec.checks.context import Context
from mlgen.spec.document import read
from mlgen.spec.load import load_pipeline
from tests.editor.scenes import FILES, MARK, around, at

HEAD = """\
version: 1
name: churn
params:
  epochs: 20
  target: {choices: [none, staging], default: none}
  flag: true
inputs: {raw: s3://b/raw.csv}
tasks:
  prepare:
    run: x "$raw"
    in: [inputs.raw]
    out: {features: dataset, rows: integer}
  train:
    run: y $features
    in: [prepare.features, params.epochs]
    out: {model: model, auc: metric, notes: {type: json}, curve: {type: plot, optional: true}}
  judge: {run: z, in: [train.model], out: {grade: string}}
"""
REFS = ["params.epochs", "params.flag", "params.target", "inputs.raw"]
# (what follows HEAD, or replaces it when it has `version`, what is offered: all of it, sorted by use)
CASES: list[tuple[str, list[str]]] = [
    # references: a half-written line, in lists and maps, in both styles
    ("  new:\n    run: x\n    in: [¦", ["judge.grade", "prepare.features", "prepare.rows", "train.auc", "train.curve",
                                       "train.model", "train.notes", *REFS]),
    ("  new:\n    run: x\n    in: [prepare.features, prep¦]", ["prepare.rows"]),
    ("  new:\n    run: x\n    in: [prepare.features, 'train.model', prepare.¦", ["prepare.rows"]),
    ("  new:\n    run: x\n    after: [judge, ¦", ["prepare", "train"]),
    ("  new:\n    run: x\n    in:\n      - param¦", ["params.epochs", "params.flag", "params.target"]),
    ("  new:\n    run: x\n    in:\n      m: train.m¦", ["train.model"]),
    ("  new: {run: x, in: {m: judge.¦}}", ["judge.grade"]),
    ("  new: {run: [x], in: [train.c¦]}", []),  # optional, which a command list may not read
    ("  new: {run: x, out: [grade], in: [judge.¦]}", []),  # the name is an out's already
    # a task file says what it takes
    ("  new:\n    use: ./tasks/register.yaml\n    in:\n      model: ¦", ["train.model", "inputs.raw"]),
    ("  new:\n    use: ./tasks/register.yaml\n    in:\n      model: train.model\n      ¦", ["stage"]),
    ("  new:\n    use: ./tasks/¦", ["./tasks/register.yaml"]),
    ("  new:\n    use: ¦", ["data/", "pipelines/", "src/"]),
    ("  new:\n    use: ../../¦", []),
    ("  new:\n    run: x\n    code: s¦", ["src/"]),
    ("  new:\n    use: ./tasks/register.yaml\n    me¦", ["memory"]),
    # what a finally task sees
    ("finally:\n  tell:\n    run: x\n    in: [¦", REFS),
    ("finally:\n  tell:\n    run: x\n    if: ¦", ["params.epochs", "params.flag", "params.target"]),
    ("  new:\n    use: ./tasks/register.yaml\n    in:\n      stage: ¦", ["judge.grade"]),  # `target` may be "none"
    # gates
    ("  new:\n    run: x\n    if: train.¦", ["train.auc"]),
    ("  new:\n    run: x\n    if: train.auc > 1 and params.target == ¦",
     ['"none"', '"staging"', "judge.grade", "prepare.rows", "train.auc", *REFS[:3]]),
    ('  new:\n    run: x\n    if: params.target != "¦', ["none", "staging"]),
    # after
    ("  new:\n    run: x\n    in: [train.auc]\n    after: [¦", ["judge", "prepare"]),
    # values
    ("  new:\n    run: x\n    gpu: ¦", ["a100:1", "default:1"]),
    ("  new:\n    run: x\n    out: {a: mo¦}", ["model"]),
    ("  new:\n    run: x\n    image: gh¦", ["ghcr.io/acme/churn:1.8"]),
    ("  new:\n    run: x\n    timeout: ¦", ["1h", "1h30m", "30m"]),
    ("  new:\n    run: x\n    out: {a: {type: json, optional: ¦}}", ["false", "true"]),
    # keys
    ("  new:\n    run: x\n    ret¦", ["retries"]),
    ("  new:\n    ru¦", ["run"]),
    ("  new:\n    run: |\n      if¦", []),
    ("  new:\n    run: x # a¦", []),
    ("fi¦", ["finally"]),
]  # fmt: skip


@pytest.mark.parametrize(("more", "offered"), CASES)
def test_what_is_offered(more: str, offered: list[str]) -> None:
    assert [answer.label for answer in complete(*at(HEAD + more))] == offered


def test_a_task_is_not_offered_what_waits_for_it() -> None:
    text = HEAD.replace("in: [inputs.raw]", "in: [¦]")
    offered = {answer.label for answer in complete(*at(text))}
    assert not {"train.model", "judge.grade", "prepare.rows"} & offered
    assert "inputs.raw" in offered
    after = HEAD.replace("in: [prepare.features, params.epochs]", "after: [¦]")
    assert [answer.label for answer in complete(*at(after))] == ["prepare"]


OTHERS: list[tuple[str, str, list[str]]] = [
    ("mlgen.yaml", "version: 1\nenvironments:\n  prod:\n    ledger: {fold: ¦}\n", ["cron", "run", "task"]),
    ("mlgen.yaml", "version: 1\nenvironments:\n  prod:\n    arti¦\n", ["artifacts"]),
    (
        "mlgen.yaml",
        "version: 1\nenvironments:\n  prod:\n    gpus:\n      a:\n        tolerations:\n          - ef¦\n",
        ["effect"],
    ),
    ("pipelines/tasks/t.yaml", "version: 1\nkind: task\nin: {a: {type: di¦}}\n", ["directory"]),
    ("pipelines/tasks/t.yaml", "version: 1\nkind: task\nin:\n  ¦\n", ["in", "in, choices"]),
    ("mlgen.lock", "version: 1\nim¦\n", ["images"]),
]


@pytest.mark.parametrize(("file", "text", "offered"), OTHERS)
def test_what_is_offered_in_other_files(file: str, text: str, offered: list[str]) -> None:
    assert [answer.label for answer in complete(*at(text, file))] == offered


def laid_down(lines: list[str], answer: Answer) -> str:
    line = lines[answer.line]
    return "\n".join(
        [*lines[: answer.line], line[: answer.start] + answer.text + line[answer.end :], *lines[answer.line + 1 :]]
    )


# Not gate-type: what a gate compares depends on the other side, which is written next.
WRONG = frozenset({
    "cycle", "unknown-task", "unknown-out", "unknown-param", "unknown-input", "bad-ref", "finally-ref", "unknown-in",
    "name-collision", "redundant-after", "optional-needs-script", "edge-type",
})  # fmt: skip


@pytest.mark.parametrize(
    "more",
    [
        "  new:\n    run: x $epochs $flag $target\n    in: [params.epochs, ¦]\n",
        "  new:\n    run: x\n    in: {m: ¦}\n",
        "  new:\n    run: [x]\n    in: {m: ¦}\n",
        "  new:\n    run: x\n    after: [¦]\n",
        "  new:\n    use: ./tasks/register.yaml\n    in: {stage: {value: prod}, model: ¦}\n",
        "finally:\n  new: {run: x, in: [¦]}\n",
        "  new:\n    run: x\n    if: train.auc > ¦\n",
    ],
)
def test_check_finds_nothing_wrong_with_what_is_offered(more: str) -> None:
    scene, lines, line, column = at(HEAD + more)
    answers = complete(scene, lines, line, column)
    assert answers
    for answer in answers:
        document = read(scene.file, laid_down(lines, answer).encode())
        file = around().task_file("pipelines/tasks/register.yaml")
        assert file is not None
        found = load_pipeline(document, {file.path: file}, Context(FILES))[1]
        wrong = [d.code for d in found if d.span.line == line + 1]
        assert not WRONG.intersection(wrong), answer.label


@given(st.integers(0, 2000), st.text(alphabet="ab.: -[]{},\"'|>#\n¬🎉", max_size=6))
@settings(max_examples=150, deadline=None)
def test_no_edit_of_a_spec_ends_in_an_error(where: int, typed: str) -> None:
    where %= len(HEAD)
    complete(*at(HEAD[:where] + typed + MARK + HEAD[where:]))


def test_a_huge_or_hostile_file_takes_bounded_time() -> None:
    for text in ("[" * 500_000, "a: {" * 100_000, ("- " * 300 + "\n") * 1000, "x" * (1 << 20), "a: " + "b, " * 300_000):
        before = time.process_time()
        complete(*at(text + MARK))
        assert time.process_time() - before < 20
