"""The pods of a task on several nodes are judged as its own, by the policies that are shipped."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from mlgen.cli.main import run

ROOT = Path(__file__).parents[2]
DIGEST = "sha256:" + "1" * 64
PROJECT = f"""version: 1
environments:
  dev:
    namespace: ml-dev
    artifacts: s3://ml-artifacts/dev
    ledger: {{url: "https://git.example/l.git"}}
    runtime_image: ghcr.io/mlgen/mlgen-runtime@{DIGEST}
    labels: {{cost-center: x}}
    gpus: {{default: {{resource: nvidia.com/gpu, tolerations: [{{key: nvidia.com/gpu, operator: Exists}}]}}}}
"""
SPEC = f"""version: 1
name: sum
owner: me
tasks:
  add:
    nodes: 3
    gpu: 2
    retries: 1
    image: ghcr.io/mlgen/py@{DIGEST}
    run: python3 add.py "$total"
    out: {{total: integer}}
    secrets: {{TOKEN: hf/token}}
    checkpoint: state
"""


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    shutil.copytree(ROOT / "policies", tmp_path / "policies")
    (tmp_path / "pipelines").mkdir()
    (tmp_path / "mlgen.yaml").write_text(PROJECT)
    (tmp_path / "pipelines" / "sum.yaml").write_text(SPEC)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_all_of_them_take_its_pods(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["check"]) == 0, capsys.readouterr().out


@pytest.mark.parametrize(("good", "bad", "said"), [
    ("gpu: 2", "gpu: 3", "7:10: error[policy]: 3 GPUs in one pod"),
    ("retries: 1", "retries: 2", "8:14: error[policy]: a task with a GPU is retried 1 times at most: add (2), add-n"),
    ("ghcr.io/mlgen/py", "ghcr.io/evil/py", "9:12: error[policy]: image from elsewhere than ghcr.io/mlgen/"),
])  # fmt: skip
def test_what_one_refuses_is_told_once_and_where_it_stands(
    project: Path, capsys: pytest.CaptureFixture[str], good: str, bad: str, said: str
) -> None:
    (project / "pipelines" / "sum.yaml").write_text(SPEC.replace(good, bad))
    assert run(["check"]) == 1
    told = capsys.readouterr().out
    assert f"pipelines/sum.yaml:{said}" in told
    assert told.count("error[") == 1, told
