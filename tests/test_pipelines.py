"""Our own repository is one of mlgen's: its specs hold, its manifests are fresh, its main example does what it says."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[1]


def mlgen(*args: str, cwd: Path) -> Any:
    """The JSON answer of a command that must succeed."""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])  # whose `python` has scikit-learn
    env = {**os.environ, "PYTHONPATH": str(ROOT / "generator"), "PATH": path}
    command = [sys.executable, "-m", "mlgen", *args, "--format", "json"]
    done = subprocess.run(command, cwd=cwd, env=env, capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads(done.stdout)


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """Our specs, their code and data, in a new Git repository."""
    shutil.copytree(ROOT / "pipelines", tmp_path / "pipelines", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "mlgen.yaml", tmp_path)
    who = ("-c", "user.name=A. Author", "-c", "user.email=author@example.com")
    for command in (["init", "-q", "-b", "main"], ["add", "."], [*who, "commit", "-q", "-m", "specs"]):
        subprocess.run(["git", *command], cwd=tmp_path, check=True)
    return tmp_path


def test_our_specs_have_no_findings() -> None:
    assert mlgen("check", cwd=ROOT)["findings"] == []


def test_a_model_is_trained_judged_and_traced_to_its_data(repository: Path) -> None:
    pytest.importorskip("sklearn", reason="needs scikit-learn and matplotlib, as extra `demo` has them")
    pytest.importorskip("matplotlib", reason="needs scikit-learn and matplotlib, as extra `demo` has them")
    # The gate on the metric is set so that this model does not pass, and a person gets a page to look at instead.
    run = mlgen("run", "pipelines/breast-cancer.yaml", "-p", "min_auc=0.9999", cwd=repository)
    assert run["state"] == "COMPLETE"
    statuses = {name: task["status"] for name, task in run["tasks"].items()}
    ran = dict.fromkeys(["prepare", "train", "validate", "review"], "Succeeded")
    assert statuses == {**ran, "report": "None"}

    shown = mlgen("runs", "show", run["run"], cwd=repository)
    metrics = {k: v for record in shown["records"] for k, v in metrics_of(record).items()}
    assert 0.98 < metrics["auc"] < 0.9999
    assert 0.92 < metrics["recall"] <= 1

    lineage = mlgen("lineage", f"breast-cancer/train/model@{run['run']}", "--up", cwd=repository)
    digests = {node["name"]: node["digest"] for node in lineage["nodes"] if node["kind"] == "artifact"}
    assert digests.keys() == {"model", "split", "raw"}
    assert digests["raw"] in (ROOT / "pipelines" / "breast-cancer.yaml").read_text()


def test_a_search_finds_a_network_and_hands_it_on(repository: Path) -> None:
    pytest.importorskip("sklearn", reason="needs scikit-learn and matplotlib, as extra `demo` has them")
    pytest.importorskip("matplotlib", reason="needs scikit-learn and matplotlib, as extra `demo` has them")
    run = mlgen("run", "pipelines/breast-cancer-tune.yaml", "-p", "epochs=6", cwd=repository)
    assert {task["status"] for task in run["tasks"].values()} == {"Succeeded"}

    records = [r["run"]["facets"]["mlgen_task"] for r in mlgen("runs", "show", run["run"], cwd=repository)["records"]]
    trials = [record for record in records if record["task"] == "fit"]
    assert sorted(trial["item"]["index"] for trial in trials) == list(range(12))
    assert {trial["state"] for trial in trials} <= {"COMPLETE", "ABORT"}
    (validated,) = [record for record in records if record["task"] == "validate"]
    assert validated["metrics"]["auc"] > 0.95


def test_a_language_model_beats_counting_and_is_packaged_with_its_card(repository: Path) -> None:
    pytest.importorskip("numpy", reason="needs numpy, as extra `demo` has it")
    # Pretraining is broken off in the middle, once, as a preempted node does it.
    run = mlgen("run", "pipelines/tiny-llm.yaml", "-p", "interrupt_at=350", cwd=repository)
    assert run["state"] == "COMPLETE"
    assert {task["status"] for task in run["tasks"].values()} == {"Succeeded"}

    facets = [
        record["run"]["facets"]["mlgen_task"] for record in mlgen("runs", "show", run["run"], cwd=repository)["records"]
    ]
    attempts = sorted(
        (facet["attempt"], facet["state"], facet["exitCode"]) for facet in facets if facet["task"] == "pretrain"
    )
    assert attempts == [(0, "FAIL", 75), (1, "COMPLETE", 0)]
    trials = [facet for facet in facets if facet["task"] == "finetune"]
    assert len(trials) == 4
    best = min(trials, key=lambda facet: facet["metrics"]["loss"])
    [judged] = [facet["metrics"] for facet in facets if facet["task"] == "judge"]
    domains = [facet["metrics"] for facet in facets if facet["task"] == "evaluate"]
    assert len(domains) == 3
    for found in domains:  # text that it never saw: better than counted pairs, and not too good to be true
        assert 5 < found["untuned"] < found["counted"]
    assert judged["perplexity"] in [found["tuned"] for found in domains if found["tuned"] < found["untuned"]]

    [package] = (repository / ".mlgen/artifacts/tiny-llm").glob("*/package*/package")
    assert sorted(file.name for file in package.iterdir()) == [
        "README.md", "config.json", "model.safetensors", "samples.txt", "tokenizer.json",
    ]  # fmt: skip
    card = (package / "README.md").read_text()
    assert f"rank {best['item']['values']['rank']}, learning rate {best['item']['values']['rate']}" in card
    assert card.count("| ") > 12
    assert "    Of Heaven " in card

    lineage = mlgen("lineage", f"tiny-llm/package/package@{run['run']}", "--up", cwd=repository)
    digests = {node["name"]: node["digest"] for node in lineage["nodes"] if node["kind"] == "artifact"}
    spec = (ROOT / "pipelines" / "tiny-llm.yaml").read_text()
    assert all(digests[book] in spec for book in ("story", "verse", "science"))


def metrics_of(record: dict[str, Any]) -> dict[str, float]:
    found: dict[str, float] = record["run"]["facets"]["mlgen_task"]["metrics"]
    return found
