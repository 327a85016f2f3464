"""What the guide of several nodes says is so: its spec runs, its commands answer."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from mlgen.cli.main import run

GUIDE = (Path(__file__).parents[1] / "generator/guides/nodes.md").read_text()


def block(language: str) -> str:
    found = re.search(rf"^```{language}\n(.*?)^```$", GUIDE, re.DOTALL | re.MULTILINE)
    assert found is not None
    return found[1]


def test_its_commands_do_what_they_say(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("HOME", "XDG_CONFIG_HOME", "XDG_CACHE_HOME"):
        monkeypatch.setenv(name, str(tmp_path / "home"))
    for path, text in {
        "mlgen.yaml": "version: 1\n",
        "pipelines/sum.yaml": block("yaml"),
        "code/add.py": block("python"),
    }.items():
        (tmp_path / path).parent.mkdir(exist_ok=True)
        (tmp_path / path).write_text(text)
    monkeypatch.chdir(tmp_path)
    said = {}
    for line in block("sh").splitlines():
        words = shlex.split(line, comments=True)[1:]
        assert run(words) == 0, capsys.readouterr().err
        said[" ".join(words[:2])] = capsys.readouterr().out
    assert "3 nodes, each 1 cpu" in re.sub(r"each [0-9.]+m? cpu", "each 1 cpu", said["plan pipelines/sum.yaml"])
    assert sorted(said["logs first"].splitlines()) == [f"[{rank}] rank {rank} of 3 is done" for rank in range(3)]
    assert "30" in said["runs show"]
