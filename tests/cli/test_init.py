"""`mlgen init` makes a repository in which check, run and render succeed at once, and touches nothing that is there."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from mlgen.cli import init
from mlgen.cli.schema import Kind, text
from tests.cli.test_main import mlgen

ROOT = Path(__file__).parents[2]


@pytest.fixture
def made(tmp_path: Path) -> Path:
    done = mlgen("init", str(tmp_path / "new"))
    assert done.returncode == 0, done.stderr
    return tmp_path / "new"


def files(folder: Path) -> dict[str, bytes]:
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def test_it_checks_runs_and_renders_at_once(made: Path) -> None:
    if shutil.which("python3") is None:
        pytest.skip("the template's programs want python3 on PATH")
    check = mlgen("check", "--format", "json", cwd=made)
    assert (check.returncode, json.loads(check.stdout)["summary"]["errors"]) == (0, 0)
    # The tag of its image is the one thing that only its author can pin.
    assert {f["code"] for f in json.loads(check.stdout)["findings"]} == {"unpinned-image"}

    run = mlgen("run", "pipelines/line.yaml", "--format", "json", cwd=made)
    assert run.returncode == 0, run.stderr
    told = json.loads(run.stdout)
    assert {t["status"] for t in told["tasks"].values()} == {"Succeeded"}
    shown = json.loads(mlgen("runs", "show", told["run"], "--format", "json", cwd=made).stdout)
    values = {k: v for r in shown["records"] for k, v in r["run"]["facets"]["mlgen_task"]["values"].items()}
    assert values == {"rows": len((made / "data/points.csv").read_text().splitlines()) - 1}

    lineage = json.loads(mlgen("lineage", "line/fit/model", "--up", "--format", "json", cwd=made).stdout)
    assert {n["name"] for n in lineage["nodes"] if n["kind"] == "artifact"} == {"model", "train", "points"}

    assert mlgen("render", "--env", "dev", cwd=made).returncode == 0
    assert mlgen("render", "--env", "dev", "--check", cwd=made).returncode == 0


def test_its_pipeline_starts_by_itself_once_who_keeps_the_cluster_lets_it(made: Path) -> None:
    spec, params = made / "pipelines" / "line.yaml", made / "policies" / "params.yaml"
    spec.write_text(spec.read_text().replace("\nowner: ml\n", '\nowner: ml\nschedule: "0 3 * * 1"\n'))
    found = json.loads(mlgen("check", "--format", "json", cwd=made).stdout)["findings"]
    [asked] = [one for one in found if one["severity"] == "error"]
    assert (asked["file"], "serviceAccounts in policies/params.yaml" in asked["fix"]) == (
        "pipelines/line.yaml",
        True,
    )
    params.write_text(params.read_text().replace("mlgen-ledger-dev", "mlgen-ledger-dev mlgen-start-line-dev"))
    assert mlgen("check", cwd=made).returncode == 0


def test_what_it_says_comes_next_does(tmp_path: Path) -> None:
    done = mlgen("init", "new", cwd=tmp_path)
    wrote = [line.removeprefix("wrote new/") for line in done.stdout.splitlines() if line.startswith("wrote ")]
    made = tmp_path / "new"
    assert wrote == sorted(files(made))
    commands = [line.split("  ")[1] for line in done.stdout.splitlines() if line.startswith("  mlgen ")]
    assert "mlgen policy test" in commands
    for command in commands:
        if command != "mlgen lock":  # it asks registries
            assert mlgen(*command.split()[1:], cwd=made).returncode == 0, command
    for folder in ("tekton/dev/cluster/", "tekton/dev/argocd/"):
        assert f"kubectl apply -f {folder} " in done.stdout
        assert list((made / folder).iterdir())
    assert f"Guides: {init.GUIDES}\n" in done.stdout


def test_its_images_that_are_stand_ins_say_so(made: Path) -> None:
    """A host below .example is nobody's, so `mlgen lock` says that it is not there; RFC 2606."""
    locked = json.loads(mlgen("lock", "--check", "--format", "json", cwd=made).stdout)
    assert [one["image"] for one in locked["added"]] == ["python:3.12-slim", "registry.example/mlgen-runtime:0.1.0"]


def test_a_gate_that_is_false_leaves_the_report_out(made: Path) -> None:
    run = mlgen("run", "pipelines/line.yaml", "-p", "min_r2=0.999", "--format", "json", cwd=made)
    assert run.returncode == 0, run.stderr
    assert json.loads(run.stdout)["tasks"]["report"]["status"] == "None"


def test_what_it_writes_is_what_git_should_keep(made: Path) -> None:
    assert mlgen("run", "pipelines/line.yaml", cwd=made).returncode == 0
    subprocess.run(["git", "init", "-q"], cwd=made, check=True)
    subprocess.run(["git", "add", "."], cwd=made, check=True)
    kept = subprocess.run(["git", "ls-files"], cwd=made, check=True, capture_output=True, text=True).stdout.split()
    assert {"mlgen.yaml", ".gitignore", "pipelines/line.yaml", "src/fit.py", "schemas/pipeline.v1.json"} <= set(kept)
    assert not [name for name in kept if name.startswith(".mlgen")]


def test_the_schemas_are_the_published_ones(made: Path) -> None:
    for kind in Kind:
        written = (made / f"schemas/{kind}.v1.json").read_text()
        assert written == text(kind) == (ROOT / f"schemas/{kind}.v1.json").read_text() == mlgen("schema", kind).stdout


def test_a_second_time_is_refused_and_changes_nothing(made: Path) -> None:
    (made / "mlgen.yaml").write_text("version: 1\n")
    (made / "src/fit.py").unlink()
    before = files(made)
    again = mlgen("init", cwd=made)
    assert again.returncode == 2
    assert "error[already-there]" in again.stderr
    assert files(made) == before


def test_files_that_are_there_are_kept(tmp_path: Path) -> None:
    (tmp_path / ".gitignore").write_text("mine\n")
    done = mlgen("init", cwd=tmp_path)
    assert done.returncode == 0
    assert "kept  .gitignore, which was there" in done.stdout
    assert (tmp_path / ".gitignore").read_text() == "mine\n"
    assert (tmp_path / "mlgen.yaml").is_file()


def test_what_was_cut_off_can_be_repeated(made: Path) -> None:
    # mlgen.yaml is written last: a kill before it leaves some of the other files.
    whole = files(made)
    (made / "mlgen.yaml").unlink()
    shutil.rmtree(made / "schemas")
    assert mlgen("init", cwd=made).returncode == 0
    assert files(made) == whole
