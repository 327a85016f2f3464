"""What the guide of sweeps says is so: its spec runs, its commands answer."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from mlgen.cli.main import run
from tests.spec.texts import plan_of

GUIDE = (Path(__file__).parents[1] / "generator/guides/sweeps.md").read_text()


def block(language: str) -> str:
    found = re.search(rf"^```{language}\n(.*?)^```$", GUIDE, re.DOTALL | re.MULTILINE)
    assert found is not None
    return found[1]


def test_its_commands_do_what_they_say(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("HOME", "XDG_CONFIG_HOME", "XDG_CACHE_HOME"):
        monkeypatch.setenv(name, str(tmp_path / "home"))
    (tmp_path / "pipelines").mkdir()
    (tmp_path / "mlgen.yaml").write_text("version: 1\n")
    (tmp_path / "pipelines/tune.yaml").write_text(block("yaml"))
    monkeypatch.chdir(tmp_path)
    said = {}
    for line in block("sh").splitlines():
        words = shlex.split(line, comments=True)[1:]
        assert run(words) == 0, capsys.readouterr().err
        said[" ".join(words[:2])] = capsys.readouterr().out
    assert (
        "sweep of 6 trials of depth and rate, 2 at once, 1 may fail, picks max auc" in said["plan pipelines/tune.yaml"]
    )
    shown = said["runs show"]
    assert "train  6 items: 6 succeeded; the best by max auc is train[4]" in shown
    assert re.search(r"^  \*  4 +9 +0\.1 +0\.9 +succeeded", shown, re.MULTILINE)
    assert said["logs first"] == "trial 4: depth 9, rate 0.1\n"
    assert re.search(
        r"tune\.train\[4\] .*\n.*variables  depth=9, rate=0\.1$", said["lineage tune/train/model"], re.MULTILINE
    )
    assert "first" in said["runs list"]
    assert run(["logs", "first", "report"]) == 0
    assert capsys.readouterr().out == "depth 9 has 0.9\n9 0.1\n[10,10]\neu\nus\n"


@pytest.mark.parametrize("written", re.findall(r"`((?:sweep|for): \{.*?\})`(?=[ ,])", GUIDE))
def test_what_its_table_writes_is_a_spec(written: str) -> None:
    made = "  task: {run: a, out: {out: json}}\n"
    plan = plan_of(f"version: 1\nname: demo\ntasks:\n{made}  t:\n    run: b\n    {written}\n".encode())
    assert plan.task("t").fan is not None
