"""What the guide of formats says is so: its formats, keys and commands are ours."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import pytest
import yaml

from mlgen.cli.main import run
from mlgen.cli.reporting import ReportForm
from mlgen.reports import github, markdown, sarif

GUIDE = (Path(__file__).parents[1] / "generator/guides/formats.md").read_text()


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", "summary.md")
    (tmp_path / "pipelines").mkdir()
    (tmp_path / "mlgen.yaml").write_text("version: 1\n")
    (tmp_path / "pipelines/a.yaml").write_text("version: 1\nname: b\ntasks: {a: {run: echo}}\n")
    return tmp_path


def test_its_table_has_the_formats() -> None:
    assert re.findall(r"^\| `([a-z]+)` \|", GUIDE, re.MULTILINE) == [
        "text", "json", "github", "sarif", "junit", "gitlab", "markdown",
    ]  # fmt: skip
    assert len(ReportForm) == 7
    assert f"the {github.MOST} worst errors and {github.MOST} worst warnings" in GUIDE
    assert f"at most {sarif.MOST:,} results" in GUIDE
    assert f"at most {markdown.LIMIT:,} characters" in GUIDE


def test_its_commands_write_what_they_say(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    commands = re.findall(r"^(?:- run: |  script: )?(mlgen check .*)$", GUIDE, re.MULTILINE)
    assert len(commands) == 3
    for command in commands:
        words = shlex.split(command.replace("$GITHUB_STEP_SUMMARY", "summary.md"))
        assert run(words[1:]) == 1
        for file in re.findall(r"=(\S+)", " ".join(words)):
            assert (project / file).stat().st_size > 100
    capsys.readouterr()


def test_its_recipes_are_yaml_that_names_the_files_written() -> None:
    recipes = [yaml.safe_load(text) for text in re.findall(r"^```yaml\n(.*?)^```$", GUIDE, re.DOTALL | re.MULTILINE)]
    assert [type(recipe) for recipe in recipes] == [list, dict]
    for recipe in recipes:
        text = json.dumps(recipe)
        for file in re.findall(r"(?:sarif|gitlab|junit)=(\S+?)[ \"\\]", text):
            assert text.count(file) == 2


def test_its_keys_are_those_of_json(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run(["check", "--format", "json"])
    answer = json.loads(capsys.readouterr().out)
    part = GUIDE.partition("## Keys of json")[2].partition("`mlgen render")[0]
    told = re.findall(r"`([A-Za-z]+)`", part)
    assert set(told) - {"error", "warning"} == answer["findings"][0].keys()
    assert set(re.findall(r'"([a-z]+)"', part)) == {*answer, *answer["summary"]}
