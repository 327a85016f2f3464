"""The guide to CI: its workflows are those that `init` lays down, its recipes run."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import yaml

from tests.workflows.test_review import ROOT, git, repository, review_environment

__all__ = ["repository"]  # a fixture

GUIDE = (ROOT / "generator/guides/ci.md").read_text()
BLOCKS = re.findall(r"^```(yaml|sh)\n(.*?)^```$", GUIDE, re.DOTALL | re.MULTILINE)


def documents() -> list[object]:
    return [yaml.safe_load(text) for kind, text in BLOCKS if kind == "yaml"]


def test_its_workflows_say_what_those_of_init_say(repository: Path) -> None:
    for shown, name in zip(documents()[:2], ("mlgen.yml", "mlgen-report.yml"), strict=True):
        laid = yaml.safe_load((repository / ".github/workflows" / name).read_text())
        laid.pop("concurrency", None)
        [job] = laid["jobs"].values()
        job["uses"] = re.sub("@.*", "@<commit>", job["uses"])
        assert isinstance(shown, dict)
        shown[True] = {key: value or None for key, value in shown[True].items()}  # `on` is a boolean to YAML 1.1
        assert shown == laid


def test_its_recipes_are_answered(repository: Path, tmp_path: Path) -> None:
    git(repository, "commit", "-q", "--allow-empty", "-m", "second")
    [shell] = [text for kind, text in BLOCKS if kind == "sh"]
    gitlab = next(d for d in documents() if isinstance(d, dict) and "mlgen" in d)["mlgen"]
    environ = {**review_environment(tmp_path), "CI_MERGE_REQUEST_DIFF_BASE_SHA": git(repository, "rev-parse", "HEAD~1")}
    for command in [*gitlab["script"], *shell.splitlines()]:
        done = subprocess.run(
            ["sh", "-ec", command],
            cwd=repository,
            env=environ,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"
    for file in [*gitlab["artifacts"]["paths"], *gitlab["artifacts"]["reports"].values()]:
        assert (repository / file).stat().st_size > 0


def test_its_hooks_are_there() -> None:
    ours = {hook["id"] for hook in yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text())}
    named = next(d for d in documents() if isinstance(d, dict) and "repos" in d)["repos"][0]["hooks"]
    assert {hook["id"] for hook in named} == ours


def test_the_actions_and_workflows_that_it_names_exist() -> None:
    for path in re.findall(r"mlgen/mlgen/(\.github/\S+?)@", GUIDE):
        file = ROOT / path
        assert file.is_file() or (file / "action.yml").is_file(), path
