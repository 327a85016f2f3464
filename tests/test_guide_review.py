"""What the guide to reading a change says is so: its example is a real answer, its commands and keys are there."""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mlgen.cli.main import run
from mlgen.review.change import Effect
from tests.revisions import commit, run_git

ROOT = Path(__file__).parents[1]
GUIDE = ROOT / "generator/guides/review.md"
EXAMPLE = re.compile(r"(?<=\$ mlgen diff\n)(.*?)(?=^```$)", re.DOTALL | re.MULTILINE)
Answer = Callable[..., str]


@pytest.fixture
def answer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Answer:
    """Answers on the example of churn, in a repository where it was edited."""
    root = tmp_path / "churn"
    shutil.copytree(ROOT / "tests/examples/churn", root, ignore=shutil.ignore_patterns("expected"))
    monkeypatch.chdir(root)
    run_git(root, "init", "-q")
    assert run(["render"]) == 0
    first = commit(root)
    run_git(root, "tag", "v1.4")
    text = (root / "pipelines/churn.yaml").read_text()
    for old, new in (
        ("gpu: a100:2", "gpu: a100:4"),
        ("timeout: 6h", "timeout: 8h"),
        ("  prepare:", "  features:"),
        ("prepare.features", "features.features"),
        ("prepare.rows", "features.rows"),
        ('echo "trained for', 'echo "AUC'),
        ("train.auc > 0.99", "train.auc > 0.95"),
        ("weekly}}", "weekly}, rows: features.rows}"),
    ):
        assert old in text
        text = text.replace(old, new)
    (root / "pipelines/churn.yaml").write_text(text)
    assert run(["render"]) == 0
    run_git(root, "add", "tekton")  # or the example would say so
    capsys.readouterr()

    def call(*arguments: str, code: int = 0) -> str:
        assert run(["diff", *arguments]) == code
        out, err = capsys.readouterr()
        assert err == ""
        return out.replace(first[:12], "1b2c3d4e5f60")

    return call


def test_its_example_is_what_is_answered(answer: Answer) -> None:
    out = answer()
    if os.environ.get("MLGEN_ACCEPT"):
        GUIDE.write_text(EXAMPLE.sub(lambda _: out, GUIDE.read_text(), count=1))
    assert EXAMPLE.search(GUIDE.read_text())
    assert EXAMPLE.findall(GUIDE.read_text())[0] == out


def test_its_commands_are_ours(answer: Answer) -> None:
    commands = re.findall(r"^\| .* \| `mlgen diff ?(.*)` \|$", GUIDE.read_text(), re.MULTILINE)
    assert len(commands) == 8
    for command in commands:
        if "dev" not in command:  # the example has one environment
            answer(*command.split(), code=1 if "--exit-code" in command else 0)


def test_its_effects_and_keys_are_all(answer: Answer) -> None:
    text = GUIDE.read_text()
    assert re.findall(r"^\| `([a-z]+)` \|", text, re.MULTILINE) == [str(effect) for effect in Effect]
    keys = set(re.findall(r"`([a-zA-Z]+)`", text.partition("## The JSON")[2]))
    assert _keys(json.loads(answer("--format", "json"))) <= keys


def _keys(value: Any) -> set[str]:
    if isinstance(value, dict):
        return {key for key in value if key not in ("before", "after")} | {
            k for item in value.values() for k in _keys(item)
        }
    return {key for item in value for key in _keys(item)} if isinstance(value, list) else set()
