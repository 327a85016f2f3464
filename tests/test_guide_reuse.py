"""What the guide of tasks used again says is so: its files are a project that runs, its commands are ours."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from mlgen.cli.main import run

GUIDE = (Path(__file__).parents[1] / "generator/guides/reuse.md").read_text()
BLOCKS = dict(re.findall(r"^```yaml\n# (\S+)\n(.*?)^```$", GUIDE, re.DOTALL | re.MULTILINE))
TRAIN = """\
import os
open(os.environ["model"], "w").write(open(os.environ["features"]).read())
open(os.environ["auc"], "w").write("0." + os.environ["epochs"])
assert "note" not in os.environ
"""


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    files = {"src/train/train.py": TRAIN, "data/raw.csv": "2\n1\n", **BLOCKS, "mlgen.yaml": "version: 1\n"}
    for path, text in files.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(text)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_its_project_runs(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert sorted(BLOCKS) == ["mlgen.yaml", "pipelines/churn.yaml", "tasks/prep@1.yaml", "tasks/train@1.yaml"]
    assert run(["check"]) == 0, capsys.readouterr()
    assert run(["run", "pipelines/churn.yaml"]) == 0, capsys.readouterr()
    out = capsys.readouterr().out
    assert "prep-clean" in out
    assert "auc = 0.2" in out
    (project / "mlgen.yaml").write_text(BLOCKS["mlgen.yaml"])
    assert run(["check"]) == 0, "a source that nobody uses asks for nothing"


@pytest.mark.usefixtures("project")
def test_its_commands_are_ours(capsys: pytest.CaptureFixture[str]) -> None:
    commands = set(re.findall(r"\| `(mlgen [^`]*)` \|", GUIDE))
    assert len(commands) >= 7
    for command in sorted(commands):
        code = run(command.split()[1:])
        asks = "lock" in command and command != "mlgen lock --check"  # of the image, by a tag
        assert code in ((1, 3) if asks else (0, 1)), command
        assert "error[options]" not in capsys.readouterr().err


@pytest.mark.usefixtures("project")
def test_keys_of_its_json(capsys: pytest.CaptureFixture[str]) -> None:
    import json

    run(["tasks", "list", "--format", "json"])
    (one, *_) = json.loads(capsys.readouterr().out)["tasks"]
    assert all(f"`{key}`" in GUIDE for key in one)
