"""`mlgen render`, as people call it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.revisions import repository, run_git

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "tests" / "examples" / "churn"


def mlgen(*args: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    environ = {k: v for k, v in os.environ.items() if not k.startswith("MLGEN_")}
    return subprocess.run(
        [sys.executable, "-m", "mlgen", *args],
        cwd=cwd,
        env={**environ, "PYTHONPATH": str(ROOT / "generator")},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


@pytest.fixture
def project(tmp_path: Path) -> Path:
    shutil.copytree(EXAMPLE, tmp_path / "p", ignore=shutil.ignore_patterns("expected"))
    return tmp_path / "p"


def tree(root: Path) -> dict[str, str]:
    return {p.relative_to(root).as_posix(): p.read_text() for p in root.rglob("*") if p.is_file()}


def test_it_writes_below_tekton_and_says_what(project: Path) -> None:
    done = mlgen("render", "--env", "prod", cwd=project)
    assert (done.returncode, done.stderr) == (0, "")
    assert tree(project / "tekton") == tree(EXAMPLE / "expected")
    assert "wrote   tekton/prod/manifests/pipeline-churn.yaml\n" in done.stdout
    assert done.stdout.endswith("14 written, 0 removed, 0 unchanged in tekton/\n")
    again = mlgen("render", "--env", "prod", "--format", "json", cwd=project / "src")
    assert json.loads(again.stdout) == {"written": [], "removed": [], "unchanged": 14, "untracked": []}


def test_check_says_what_differs_and_writes_nothing(project: Path) -> None:
    mlgen("render", "--env", "prod", cwd=project)
    assert mlgen("render", "--env", "prod", "--check", cwd=project).returncode == 0
    spec = project / "pipelines" / "churn.yaml"
    spec.write_text(spec.read_text().replace("python tell.py", "python say.py"))
    before = tree(project)
    done = mlgen("render", "--env", "prod", "--check", cwd=project)
    assert (done.returncode, done.stderr) == (1, "")
    lines = done.stdout.splitlines()
    (tell,) = (EXAMPLE / "expected" / "prod" / "manifests").glob("task-churn-tell-*.yaml")
    assert f"stale     tekton/prod/manifests/{tell.name}" in lines
    assert "different tekton/prod/manifests/pipeline-churn.yaml" in lines
    assert lines[-1] == "4 files differ; to mend: mlgen render --env prod"
    done = mlgen("render", "../pipelines/churn.yaml", "--out", "../tekton", "--check", cwd=project / "src")
    lines = done.stdout.splitlines()
    assert f"different {project}/tekton/prod/manifests/pipeline-churn.yaml" in lines
    assert lines[-1] == "4 files differ; to mend: mlgen render ../pipelines/churn.yaml --out ../tekton"
    assert tree(project) == before
    found = json.loads(mlgen("render", "--env", "prod", "--check", "--format", "json", cwd=project).stdout)
    kinds = [(d["kind"], d["path"].startswith("prod/manifests/task-churn-tell-")) for d in found["differences"]]
    assert sorted(kinds) == [("different", False), ("different", False), ("missing", True), ("stale", True)]


def test_stdout_has_it_all_and_nothing_else(project: Path) -> None:
    done = mlgen("render", "--env", "prod", "--stdout", cwd=project)
    expected = tree(EXAMPLE / "expected")
    assert done.stdout == "".join(f"---\n# tekton/{path}\n{expected[path]}" for path in sorted(expected))
    assert not (project / "tekton").exists()


def test_a_finding_of_the_environment_has_its_place_and_nothing_is_written(project: Path) -> None:
    spec = project / "pipelines" / "churn.yaml"
    text = spec.read_text().replace("memory: 64Gi", "memory: 512Gi")
    spec.write_text(text.replace("image: ghcr.io/acme/", "image: evil.example/"))
    done = mlgen("render", "--env", "prod", cwd=project)
    assert (done.returncode, done.stdout) == (1, "")
    assert "pipelines/churn.yaml:16:10: error[image-registry]" in done.stderr
    assert "error[over-limit]" in done.stderr
    assert not (project / "tekton").exists()


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["--env", "prd"], "those that are: prod"),
        (["--env", "local"], "`namespace`"),
        (["--stdout", "--check"], "exclude each other"),
        (["pipelines/none.yaml"], "there is no file"),
    ],
)
def test_what_is_asked_wrongly_exits_2(project: Path, args: list[str], said: str) -> None:
    done = mlgen("render", *args, cwd=project)
    assert (done.returncode, done.stdout) == (2, "")
    assert said in done.stderr
    assert not (project / "tekton").exists()


def test_a_full_disk_exits_3_and_leaves_whole_files(project: Path) -> None:
    script = f"ulimit -f 4; exec {sys.executable} -m mlgen render --env prod"
    done = subprocess.run(
        ["sh", "-c", script],
        cwd=project,
        env={**os.environ, "PYTHONPATH": str(ROOT / "generator")},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 3
    assert "Traceback" not in done.stderr
    expected = tree(EXAMPLE / "expected")
    assert tree(project / "tekton").items() <= expected.items()
    mlgen("render", "--env", "prod", cwd=project)
    assert tree(project / "tekton") == expected


@pytest.mark.parametrize(
    ("link", "command"),
    [
        ("tekton", ["render"]),
        ("out", ["render", "--out", "out/below"]),
        (".mlgen", ["run", "pipelines/churn.yaml"]),
        (".mlgen", ["ledger", "fold"]),
        ("pipelines", ["run", "pipelines/churn.yaml"]),
    ],
)
def test_no_link_leads_out_of_the_repository(link: str, command: list[str], project: Path, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    if (project / link).exists():
        (project / link).rename(outside)
    else:
        outside.mkdir()
    before = tree(outside)
    (project / link).symlink_to(outside)
    done = mlgen(*command, cwd=project)
    assert done.returncode == 2, done.stderr
    assert "a link" in done.stderr
    assert tree(outside) == before


def test_out_may_lie_anywhere(project: Path, tmp_path: Path) -> None:
    assert mlgen("render", "--out", str(tmp_path / "elsewhere"), cwd=project).returncode == 0
    assert (tmp_path / "elsewhere" / "prod" / "manifests").is_dir()


def test_an_environment_that_is_no_more_leaves_nothing_of_ours(project: Path) -> None:
    mlgen("render", cwd=project)
    gone = project / "tekton" / "gone" / "manifests"
    shutil.copytree(project / "tekton" / "prod" / "manifests", gone)
    (gone / "own.yaml").write_text("kind: ConfigMap\n")
    differ = mlgen("render", "--check", cwd=project)
    assert differ.returncode == 1
    assert "stale     tekton/gone/manifests/pipeline-churn.yaml" in differ.stdout
    for narrower in (["--env", "prod"], ["--out", "tekton"], ["pipelines/churn.yaml"]):
        assert mlgen("render", *narrower, "--check", cwd=project).returncode == 0
    assert mlgen("render", cwd=project).returncode == 0
    assert list(tree(gone)) == ["own.yaml"]
    assert mlgen("render", "--check", cwd=project).returncode == 0


def test_the_last_spec_takes_its_manifests_with_it(project: Path) -> None:
    mlgen("render", cwd=project)
    for spec in (project / "pipelines").glob("*.yaml"):
        spec.unlink()
    assert mlgen("render", "--check", cwd=project).returncode == 1
    assert mlgen("render", cwd=project).returncode == 0
    # Runs may be in flight: what tells of them stays as long as their environment.
    kinds = {name.rpartition("/")[2].split("-mlgen-ledger-")[0] for name in tree(project / "tekton")}
    assert kinds == {"configmap", "cronjob", "role", "rolebinding", "serviceaccount"}
    assert mlgen("render", "--check", cwd=project).returncode == 0


def test_what_mlgen_did_not_make_is_mended_by_no_rendering(project: Path) -> None:
    mlgen("render", cwd=project)
    manifests = project / "tekton/prod/manifests"
    (manifests / "x.yaml").write_text("kind: X\n")
    done = mlgen("render", "--check", cwd=project)
    assert done.stdout.splitlines()[-1] == "1 file differs; to mend: move away what mlgen did not make"
    (manifests / "pipeline-churn.yaml").unlink()
    done = mlgen("render", "--check", "--format", "github", cwd=project)
    assert '"tekton/prod/manifests/pipeline-churn.yaml" is missing' in done.stdout
    done = mlgen("render", "--check", cwd=project)
    assert done.stdout.splitlines()[-1] == (
        "2 files differ; to mend: move away what mlgen did not make, then mlgen render"
    )


def test_what_git_has_not_got_is_told_with_the_command_that_adds_it(project: Path) -> None:
    """`git commit -a` takes changed Pipelines without their new Tasks, and `--check` says yes to both."""
    mlgen("render", cwd=project)
    (project / ".gitignore").write_text(".mlgen/\n")
    repository(project, {})
    assert "Git" not in mlgen("render", cwd=project).stdout
    spec = project / "pipelines" / "churn.yaml"
    spec.write_text(spec.read_text().replace("python tell.py", "python say.py"))
    (project / "tekton/prod/manifests/notes.txt").write_text("")  # told as a stray, and not to be added
    assert mlgen("render", cwd=project).stdout.splitlines()[-1] == "1 file is not in Git yet: git add tekton"
    (tell,) = (project / "tekton/prod/manifests").glob("task-churn-tell-*.yaml")
    (project / "tekton/prod/manifests/notes.txt").unlink()
    run_git(project, "commit", "-qam", "x")
    done = mlgen("render", "--check", "--out", "../tekton", cwd=project / "src")
    assert done.returncode == 0
    assert done.stdout.splitlines()[-1] == "1 file is not in Git yet: git add ../tekton"
    found = json.loads(mlgen("render", "--check", "--format", "json", cwd=project).stdout)
    assert found == {"differences": [], "untracked": [f"prod/manifests/{tell.name}"]}
    assert "\nnote    1 file is not in Git yet: git add tekton\n" in mlgen("diff", cwd=project).stdout
    # Git may ignore it: by a line for all that is called `runs`, as many have one.
    (project / ".gitignore").write_text(".mlgen/\ntask-*\n")
    assert mlgen("render", cwd=project).stdout.endswith("1 file is not in Git yet: git add --force tekton\n")
    run_git(project, "add", "--force", "tekton")
    assert "Git" not in mlgen("render", cwd=project).stdout
    assert "Git" not in mlgen("diff", cwd=project).stdout
    # A folder that is ignored as a whole is kept elsewhere; outside of Git nothing is asked.
    run_git(project, "rm", "-rq", "--cached", "tekton")
    (project / ".gitignore").write_text(".mlgen/\ntekton/\n")
    assert "Git" not in mlgen("render", cwd=project).stdout
    shutil.rmtree(project / ".git")
    assert "Git" not in mlgen("render", cwd=project).stdout
