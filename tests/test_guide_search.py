"""What the guide of searches says is so: its spec runs, its keys are the schema's, its Experiment is printed."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import yaml

from mlgen.cli.main import run
from mlgen.search.model import PRUNERS, Prune, Search
from mlgen.search.reports import MAX_REPORTS
from mlgen.spec.fans import MAX_ITEMS
from mlgen.spec.shape import schema

GUIDE = (Path(__file__).parents[1] / "generator/guides/search.md").read_text()
SPEC = GUIDE.partition("```yaml\n")[2].partition("```")[0]


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "pipelines").mkdir()
    (tmp_path / "mlgen.yaml").write_text("version: 1\n")
    (tmp_path / "pipelines/tune.yaml").write_text(SPEC)
    return tmp_path


def test_its_spec_runs(project: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert run(["check"]) == 0
    capfd.readouterr()
    assert run(["run", "pipelines/tune.yaml", "--format", "json"]) == 0
    answer = json.loads(capfd.readouterr().out)
    assert {task["status"] for task in answer["tasks"].values()} == {"Succeeded"}


def test_its_keys_and_numbers_are_ours() -> None:
    found = schema("pipeline")["$defs"]
    keys = list(dict.fromkeys(re.findall(r"^\| `([a-z]+)` \|", GUIDE, re.MULTILINE)))
    assert keys == ["search", "trials", "seed", "sampler", "prune", *PRUNERS]
    assert set(keys[:5]) <= set(found["sweep"]["properties"])
    assert f"{MAX_ITEMS:,} at most" in GUIDE
    assert f"{MAX_REPORTS} of them count" in GUIDE
    assert f"`startup` ({Prune('median').startup})" in GUIDE
    assert f"`warmup` ({Prune('median').warmup})" in GUIDE
    default = Search((), 1, "auc", True)
    assert f"startup: {default.startup}}}" in GUIDE
    assert default.parallel == 1


def test_its_experiment(project: Path, capfd: pytest.CaptureFixture[str]) -> None:
    digest = "sha256:" + "0" * 64
    prod = {
        "namespace": "ml",
        "artifacts": "s3://ml-artifacts/prod",
        "ledger": {"url": "https://git.example/l.git"},
        "runtime_image": f"r@{digest}",
    }
    (project / "mlgen.yaml").write_text(yaml.safe_dump({"version": 1, "environments": {"prod": prod}}))
    spec = SPEC.replace("tasks:\n", f"defaults: {{image: python@{digest}}}\ntasks:\n")
    (project / "pipelines/tune.yaml").write_text(spec)

    assert run(["render", "pipelines/tune.yaml", "--env", "prod", "--target", "katib"]) == 0
    assert yaml.safe_load(capfd.readouterr().out)["kind"] == "Experiment"
