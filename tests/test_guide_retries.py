"""What the guide of retries says is so: its specs are valid, and what it promises happens."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from mlgen.cli.main import run

GUIDE = (Path(__file__).parents[1] / "generator/guides/retries.md").read_text()
SPECS = [text for text in re.findall(r"```yaml\n(.*?)```", GUIDE, re.DOTALL) if "environments" not in text]


@pytest.fixture(autouse=True)
def _project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "pipelines").mkdir()
    (setting,) = re.findall(r"spot: (\{node_selector.*\})", GUIDE)
    config = {
        "version": 1,
        "environments": {
            "prod": {
                "namespace": "ml",
                "artifacts": "s3://ml-artifacts/prod",
                "runtime_image": f"ghcr.io/acme/runtime@sha256:{'0' * 64}",
                "ledger": {"url": "https://git.example/acme/ledger.git"},
                "spot": yaml.safe_load(setting),
            }
        },
    }
    (tmp_path / "mlgen.yaml").write_text(yaml.safe_dump(config))


def test_its_specs_are_valid(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    train, charge, spot = SPECS
    head = f"version: 1\nname: guide\ndefaults: {{image: 'python@sha256:{'0' * 64}'}}\n"
    (tmp_path / "pipelines/guide.yaml").write_text(head + train + spot + charge)
    assert run(["check"]) == 0, capsys.readouterr().out
    assert run(["explain", "no-spot"]) == 0
    capsys.readouterr()
    assert run(["plan", "pipelines/guide.yaml"]) == 0
    assert "on spot nodes" in capsys.readouterr().out


def test_a_training_that_was_killed_continues_and_a_run_that_resumes_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    script = """
      n=$(cat "$state/n" 2>/dev/null || echo 0); echo "begins at $n"
      echo $((n + 1)) > "$state/n.tmp"; mv "$state/n.tmp" "$state/n"
      case $n in 0) kill -9 $$;; 1) exit 2;; esac"""
    task = f"    run: |{script}\n    retries: {{count: 3, on: [infrastructure, 75]}}\n    checkpoint: state\n"
    (tmp_path / "pipelines/guide.yaml").write_text(f"version: 1\nname: guide\ntasks:\n  train:\n{task}")
    assert run(["run", "pipelines/guide.yaml", "--name", "first"]) == 1
    capsys.readouterr()
    assert run(["runs", "show", "first"]) == 0
    shown = capsys.readouterr().out
    assert "not tried again: exit code 2 is the program's own" in shown
    assert "before: failed: the program was ended by SIGKILL" in shown
    assert run(["run", "pipelines/guide.yaml", "--resume", "first", "--name", "second"]) == 0
    logs = {path.parent.name: path.read_text() for path in tmp_path.glob(".mlgen/runs/*/train-*/log")}
    assert sorted(log.strip() for log in logs.values())[-1] == "begins at 2"
