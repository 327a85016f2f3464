"""What a pull request's job runs, as it runs it: in a real repository, with what GitHub would set."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tests.cli.test_main import mlgen

ROOT = Path(__file__).parents[2]
ACTIONS = ROOT / ".github/actions"
BIN = Path(sys.executable).parent
WORKFLOWS = sorted((ROOT / ".github/workflows").glob("*.yml"))
DEFINITIONS = [*WORKFLOWS, *sorted(ACTIONS.glob("*/action.yml"))]


def git(folder: Path, *args: str) -> str:
    identity = ["-c", "user.name=a", "-c", "user.email=a@example.com"]
    done = subprocess.run(["git", *identity, *args], cwd=folder, check=True, capture_output=True, text=True)
    return done.stdout.strip()


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A new project whose first commit is what a pull request starts from."""
    folder = tmp_path / "repository"
    assert mlgen("init", str(folder)).returncode == 0
    spec = folder / "pipelines/line.yaml"
    spec.write_text(re.sub(r"image: \S+", f"image: registry.example/python@sha256:{'a' * 64}", spec.read_text()))
    project = folder / "mlgen.yaml"
    project.write_text(re.sub(r"(runtime_image: [^\s:]+):\S+", rf"\1@sha256:{'a' * 64}", project.read_text()))
    assert mlgen("render", cwd=folder).returncode == 0
    git(folder, "init", "-q", "-b", "main")
    git(folder, "add", "-A")
    git(folder, "commit", "-qm", "first")
    return folder


def review_environment(tmp_path: Path) -> dict[str, str]:
    """With this mlgen first on PATH, and nothing that a job would not have."""
    programs = tmp_path / "bin"
    programs.mkdir(exist_ok=True)
    start = programs / "mlgen"
    start.write_text(f'#!/bin/sh\nPYTHONPATH="{ROOT}/generator" exec "{sys.executable}" -m mlgen "$@"\n')
    start.chmod(0o755)
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("MLGEN_", "GITHUB_"))}
    return {**kept, "PATH": os.pathsep.join([str(programs), os.environ["PATH"]])}


def review(folder: Path, tmp_path: Path, **more: str) -> tuple[subprocess.CompletedProcess[str], Path]:
    environ = {
        **review_environment(tmp_path),
        "BASE": git(folder, "rev-parse", "HEAD"),
        "GITHUB_STEP_SUMMARY": str(tmp_path / "summary.md"),
        **more,
    }
    reports = tmp_path / "reports"
    command = [str(ACTIONS / "review/review.sh"), str(reports)]
    done = subprocess.run(command, cwd=folder, env=environ, capture_output=True, text=True, timeout=300, check=False)
    return done, reports


def test_a_change_is_told_in_words_and_nothing_is_wrong_with_it(repository: Path, tmp_path: Path) -> None:
    spec = repository / "pipelines/line.yaml"
    spec.write_text(spec.read_text().replace("memory: 256Mi", "memory: 512Mi"))
    assert mlgen("render", cwd=repository).returncode == 0
    done, reports = review(repository, tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    comment = (reports / "comment.md").read_text()
    assert comment.startswith("<!-- mlgen-diff -->\n\n### mlgen diff")
    assert "256Mi" in comment
    assert json.loads((reports / "mlgen.sarif").read_text())["version"] == "2.1.0"
    assert (tmp_path / "summary.md").read_text().endswith(comment)
    assert git(repository, "status", "--porcelain", "--", "mlgen.yaml", "policies", "src") == ""


def test_manifests_that_are_not_rendered_and_findings_are_no(repository: Path, tmp_path: Path) -> None:
    spec = repository / "pipelines/line.yaml"
    spec.write_text(spec.read_text().replace("memory: 256Mi", "memory: 512Mi"))
    done, reports = review(repository, tmp_path)
    assert done.returncode == 1
    assert "::error title=mlgen::says no: render --check" in done.stdout.splitlines()
    assert "**mlgen render --check** says no" in (reports / "comment.md").read_text()

    spec.write_text(spec.read_text().replace("split.train", "split.nothing", 1))
    done, reports = review(repository, tmp_path)
    assert done.returncode == 1
    [annotation] = [line for line in done.stdout.splitlines() if line.startswith("::error title=mlgen unknown-out,")]
    assert "file=pipelines/line.yaml,line=23," in annotation
    comment = (reports / "comment.md").read_text()
    assert comment.count("### mlgen") == 1, "the findings are told once, by check or in the place of the diff"
    assert "unknown-out" in comment


def test_no_diff_is_so_large_that_it_hides_a_finding(repository: Path, tmp_path: Path) -> None:
    """Who pads a change cannot make its comment read as if the policies said yes."""
    text = (repository / "pipelines/line.yaml").read_text()
    text = re.sub(r"image: \S+", f"image: elsewhere.example/python@sha256:{'a' * 64}", text)
    for number in range(40):
        file = repository / f"pipelines/line-{number}.yaml"
        file.write_text(text.replace("name: line", f"name: line-{number}"))
    assert mlgen("render", cwd=repository).returncode == 0
    done, reports = review(repository, tmp_path)
    assert done.returncode == 1
    assert (reports / "check.md").stat().st_size > 30_000
    comment = (reports / "comment.md").read_text()
    assert comment.startswith("**mlgen check** says no: see the job.\n")
    assert comment.count("image from elsewhere than") == 20, "the table of the worst"
    assert "… all of them: see the job." in comment
    assert "### mlgen diff: **runs**" in comment
    assert "did not fit" in comment
    assert 50_000 < len(comment.encode()) < 65_536
    assert comment.count("<details>") == comment.count("</details>")


def test_a_tag_that_no_lock_pins_is_no_unless_it_is_said_otherwise(repository: Path, tmp_path: Path) -> None:
    spec = repository / "pipelines/line.yaml"
    spec.write_text(re.sub(r"image: \S+", "image: registry.example/python:1", spec.read_text()))
    assert mlgen("render", cwd=repository).returncode == 0
    assert review(repository, tmp_path)[0].returncode == 1
    assert review(repository, tmp_path, LOCK="false")[0].returncode == 0


def test_without_a_base_there_is_no_diff(repository: Path, tmp_path: Path) -> None:
    done, reports = review(repository, tmp_path, BASE="")
    assert done.returncode == 0, done.stdout + done.stderr
    assert not (reports / "diff.md").exists()


def test_a_base_that_is_not_there_is_told_with_what_mends_it(repository: Path, tmp_path: Path) -> None:
    done, _ = review(repository, tmp_path, BASE="1" * 40)
    assert done.returncode == 1
    assert "no-such-revision" in done.stderr


def test_no_line_of_a_strangers_text_is_a_command(repository: Path, tmp_path: Path) -> None:
    """Between the tokens a runner takes no line for a command; outside of them only ours begin with one."""
    task = repository / "tekton/dev/manifests"
    [file, *_] = sorted(task.glob("task-*.yaml"))
    file.write_text(file.read_text() + "x: |\n  ::add-mask::a\n::set-output name=a::b\n##[add-path]/x\n")
    spec = repository / "pipelines/line.yaml"
    spec.write_text(spec.read_text() + '  "::error::x":\n    run: "::add-path::/x"\n')
    done, _ = review(repository, tmp_path)
    token = None
    for line in done.stdout.splitlines():
        said = line.strip()
        if token is not None:
            token = None if said == f"::{token}::" else token
        elif said.startswith("::stop-commands::"):
            token = said.removeprefix("::stop-commands::")
            assert len(token) >= 32
        elif said.startswith(("::", "##[")):
            assert re.match(r"::(group|endgroup|error|warning|notice)\b", said), said
            assert "add-path::/x" not in said.split("::", 2)[1]


@pytest.mark.parametrize("file", DEFINITIONS, ids=lambda file: str(file.relative_to(ROOT / ".github")))
def test_what_is_used_is_pinned_and_has_no_right_that_it_does_not_need(file: Path) -> None:
    text = file.read_text()
    for used in re.findall(r"uses: (\S+)", text):
        assert re.fullmatch(r"\$/\.github/\S+|[\w./-]+@[0-9a-f]{40}", used), used
    data = yaml.safe_load(text)
    for step in data.get("runs", {}).get("steps", []):
        # What an expression gives is a stranger's text: it reaches a shell as a variable only.
        assert "${{" not in step.get("run", "")
    jobs = data.get("jobs", {})
    if jobs:
        assert data["permissions"] in ({}, {"contents": "read"})
    writing = {job for job, one in jobs.items() if "write" in (one.get("permissions") or {}).values()}
    for job in writing:
        steps = jobs[job].get("steps", [])
        assert not any("checkout" in step.get("uses", "") for step in steps), f"{job} reads what it may be sent"
        assert file.name in ("report.yml", "review-report.yml")


def _lint(program: str, *args: str, cwd: Path) -> None:
    found = shutil.which(program, path=f"{BIN}{os.pathsep}{os.environ['PATH']}")
    if found is None:
        pytest.skip(f"{program} is not installed: use `python3 generator/dev.py test`")
    done = subprocess.run([found, *args], cwd=cwd, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_what_init_lays_down_is_well_formed(repository: Path) -> None:
    assert {p.name for p in (repository / ".github/workflows").iterdir()} == {"mlgen.yml", "mlgen-report.yml"}
    _lint("actionlint", cwd=repository)
    for file in (repository / ".github/workflows").iterdir():
        text = file.read_text()
        assert "MLGEN_REF" not in text
        # As it is where mlgen was installed from Git: by the commit, which its author cannot move.
        assert "@v" not in text or "put the commit that it names in its place" in text
        file.write_text(re.sub(r"@v\S+.*", f"@{'a' * 40} # v1", text))
    _lint("zizmor", "--quiet", "--offline", ".github", cwd=repository)
