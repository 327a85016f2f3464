"""What the guide of secrets says is so: its files are read, its lines are run, its tables name what is rendered."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest
import yaml

from mlgen.cli.main import run
from mlgen.spec.document import read
from mlgen.spec.external import STORES, TOKENS
from mlgen.spec.load import load_project

ROOT = Path(__file__).parents[1]
GUIDE = (ROOT / "generator/guides/secrets.md").read_text()
TASKS, PROJECT = re.findall(r"^```yaml\n(.*?)^```$", GUIDE, re.DOTALL | re.MULTILINE)
[SHELL] = re.findall(r"^```sh\n(.*?)^```$", GUIDE, re.DOTALL | re.MULTILINE)
IMAGE = "image: 'busybox@sha256:" + "0" * 64 + "'"


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "pipelines").mkdir()
    (tmp_path / ".gitignore").write_text(".mlgen/\n")
    spec = TASKS.replace("python train.py ", f'test "$HF_TOKEN" = abc\n    {IMAGE} ')
    (tmp_path / "pipelines/churn.yaml").write_text(f"version: 1\nname: churn\n{spec}")
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("HF_TOKEN", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    (tmp_path / "home").mkdir()
    (tmp_path / "home/.hf-token").write_text("abc\n")
    subprocess.run(["git", "init", "-q"], check=True)
    return tmp_path


def test_its_lines_keep_a_secret_that_a_run_takes(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (root / "mlgen.yaml").write_text("version: 1\n")
    *kept, command = SHELL.splitlines()
    subprocess.run(["sh", "-ec", "\n".join(kept)], check=True)
    assert run(command.split()[1:]) == 0, capsys.readouterr()


def test_its_project_renders_what_it_says(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (root / "mlgen.yaml").write_text(PROJECT)
    assert run(["check"]) == 0, capsys.readouterr()
    assert run(["render", "--env", "prod"]) == 0
    made = [yaml.safe_load(file.read_bytes()) for file in (root / "tekton/prod/manifests").glob("*.yaml")]
    kinds = [data["kind"] for data in made]
    assert kinds.count("ExternalSecret") == 4
    assert {"SecretStore", "GithubAccessToken", "ECRAuthorizationToken"} <= set(kinds)
    accounts = {data["metadata"]["name"] for data in made if data["kind"] == "ServiceAccount"}
    assert accounts == {"mlgen-runner", "mlgen-ledger-prod", "mlgen-secrets-prod"}


@pytest.mark.parametrize("kind", STORES)
def test_its_table_has_each_store(kind: str) -> None:
    [cell] = re.findall(rf"^\| `(\{{{kind}: .*?\}})` \|", GUIDE, re.MULTILINE)
    text = PROJECT.replace("{aws: {region: eu-west-1}}", cell.replace("…", "x"))
    assert load_project(read("mlgen.yaml", text.encode()))[1] == []


def test_its_table_has_each_token() -> None:
    assert all(f"`{kind}`" in GUIDE for kind in TOKENS)
