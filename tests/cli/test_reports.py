"""`mlgen check --format … --report …`, as jobs call it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import pytest

from mlgen.cli.reporting import ReportForm
from tests.reports import lab
from tests.reports.hostile import TEXTS

GENERATOR = Path(__file__).parents[2] / "generator"
WRONG = "version: 1\nname: wrong\nparams: {x: 1}\ntasks:\n  a: {run: echo, in: [b.c]}\n"
TOLD = [("unused", "pipelines/wrong.yaml", 3), ("unknown-task", "pipelines/wrong.yaml", 5)]


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project in a folder of a Git repository."""
    for name in ("GITHUB_WORKSPACE", "CI_PROJECT_DIR"):
        monkeypatch.delenv(name, raising=False)
    root = tmp_path / "ml team"
    (root / "pipelines").mkdir(parents=True)
    (root / "mlgen.yaml").write_text("version: 1\n")
    (root / "pipelines/wrong.yaml").write_text(WRONG)
    (root / "pipelines/fine.yaml").write_text("version: 1\nname: fine\ntasks: {a: {run: echo}}\n")
    subprocess.run(["git", "init", "-q", "."], cwd=tmp_path, check=True)
    monkeypatch.chdir(root)
    return root


def below(folder: str) -> list[tuple[str, str, int]]:
    return sorted((code, folder + file, line) for code, file, line in TOLD)


@pytest.mark.parametrize(
    ("form", "read"),
    [
        ("github", lab.of_github), ("sarif", lab.of_sarif), ("junit", lab.of_junit), ("gitlab", lab.of_gitlab),
        ("markdown", lab.of_markdown),
    ],
)  # fmt: skip
@pytest.mark.usefixtures("project")
def test_hosts_know_files_from_the_repositorys_root(say: Any, form: str, read: Any) -> None:
    code, out, err = say("check", "--format", form)
    assert (code, err) == (1, "")
    assert sorted(told[:3] for told in read(out)) == below("ml team/")


@pytest.mark.parametrize("name", ["GITHUB_WORKSPACE", "CI_PROJECT_DIR"])
def test_without_git_the_job_says_where_the_root_is(
    project: Path, say: Any, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    os.rename(project.parent / ".git", project.parent / "git")
    assert sorted(told[:3] for told in lab.of_github(say("check", "--format", "github")[1])) == below("")
    monkeypatch.setenv(name, str(project.parent))
    assert sorted(told[:3] for told in lab.of_github(say("check", "--format", "github")[1])) == below("ml team/")
    monkeypatch.setenv(name, str(project / "pipelines"))
    assert sorted(told[:3] for told in lab.of_github(say("check", "--format", "github")[1])) == below("")


def test_people_and_programs_here_know_them_from_the_project(project: Path, say: Any) -> None:
    _, out, _ = say("check", "--report", "text=told.txt", "--report", "json=told.json")
    assert out.startswith("pipelines/wrong.yaml:3:")
    assert (project / "told.txt").read_text() == out
    assert json.loads((project / "told.json").read_text()) == json.loads(say("check", "--format", "json")[1])


def test_one_run_writes_all_reports(project: Path, say: Any, tmp_path: Path) -> None:
    wanted = [f"{form}={tmp_path / 'out.'}{form}" for form in ReportForm]
    code, out, err = say("check", "--format", "github", *(word for text in wanted for word in ("--report", text)))
    assert (code, err) == (1, "")
    for form in ReportForm:
        there = (tmp_path / f"out.{form}").read_text()
        if form not in (ReportForm.JSON, ReportForm.TEXT):
            assert there == say("check", "--format", form)[1]
    assert out == (tmp_path / "out.github").read_text()
    assert str(project) not in "".join((tmp_path / f"out.{form}").read_text() for form in ReportForm)
    assert sorted(os.listdir(project)) == ["mlgen.yaml", "pipelines"]


@pytest.mark.parametrize("given", ["sarif", "sarif=", "=x", "pdf=x", "SARIF=x"])
def test_what_names_no_report(project: Path, say: Any, given: str) -> None:
    code, out, err = say("check", "--report", given)
    assert (code, out) == (2, "")
    assert err.startswith(f'mlgen: error[bad-report]: "{given}" names no report')
    assert "text, json, github, sarif, junit, gitlab, markdown" in err
    assert not (project / "x").exists()


def test_two_reports_in_one_file(project: Path, say: Any) -> None:
    code, _, err = say("check", "--report", "sarif=a", "--report", "junit=./a")
    assert (code, "error[bad-report]" in err, (project / "a").exists()) == (2, True, False)


def test_a_report_follows_no_link_and_replaces_files_only(project: Path, say: Any, tmp_path: Path) -> None:
    precious = tmp_path / "precious"
    precious.write_text("kept")
    (project / "linked").symlink_to(precious)
    (project / "folder").mkdir()
    os.mkfifo(project / "pipe")  # whoever opens it waits for ever
    for file in ("linked", "folder", "pipe", "/dev/stdout", "/dev/null"):
        code, out, err = say("check", "--report", f"sarif={file}")
        assert (code, out) == (2, "")
        assert f"error[bad-report]: {file} is no file" in err
    assert precious.read_text() == "kept"
    (project / "out").symlink_to(tmp_path.parent)
    code, _, err = say("check", "--report", "sarif=out/mlgen.sarif")
    assert (code, "error[link-out]" in err) == (2, True)
    (project / "mlgen.sarif").write_text("of before")
    assert say("check", "--report", "sarif=mlgen.sarif")[0] == 1
    assert json.loads((project / "mlgen.sarif").read_text())["version"] == "2.1.0"


def test_a_report_that_cannot_be_written_is_no_answer(project: Path, say: Any) -> None:
    code, out, err = say("check", "--report", "sarif=nowhere/mlgen.sarif")
    assert (code, out) == (3, "")
    assert f"{project}/nowhere/mlgen.sarif" in err
    assert sorted(os.listdir(project)) == ["mlgen.yaml", "pipelines"]


@pytest.mark.parametrize("form", list(ReportForm))
def test_hostile_specs_in_every_form(project: Path, say: Any, form: str) -> None:
    for i, text in enumerate(TEXTS):
        quoted = json.dumps(text)
        (project / f"pipelines/h{i}.yaml").write_text(
            f"version: 1\nname: h{i}\nowner: {quoted}\ntasks:\n  a:\n    run: echo\n    in: [{quoted}]\n"
            f"    {quoted}: 1\n    {text.splitlines()[0] if text.strip() else ''}\n",
            errors="replace",
        )
    code, out, err = say("check", "--format", form)
    assert (code, err) == (1, "")
    assert out.count("\n") > 100
    if form == "json":
        assert {"bad-label", "bad-ref"} <= {one["code"] for one in json.loads(out)["findings"]}
    if form in ("text", "github"):
        commanded = {name for name, _, _ in lab.commands(out)}
        assert commanded == ({"error", "warning", "notice"} if form == "github" else set())
    if form == "junit":
        ET.fromstring(out)


def test_no_report_shows_what_looks_like_a_secret(project: Path, say: Any, tmp_path: Path) -> None:
    token = "ghp_" + "aB3dE6gH9jK2mN5pQ8sT1vW4yZ7bC0eF3hJ6"
    spec = f"version: 1\nname: leak\ntasks:\n  a: {{run: echo, in: [{token}]}}\n"
    (project / "pipelines/leak.yaml").write_text(spec)
    wanted = [f"{form}={tmp_path / 'out.'}{form}" for form in ReportForm]
    say("check", *(word for text in wanted for word in ("--report", text)))
    for form in ReportForm:
        assert token not in (tmp_path / f"out.{form}").read_text()
        assert token not in say("check", "--format", form)[1]


def mlgen_in(folder: Path, *arguments: str) -> list[str]:
    return [sys.executable, "-m", "mlgen", "-C", str(folder), *arguments]


@pytest.mark.parametrize("form", list(ReportForm))
def test_a_terminal_that_is_not_utf8(project: Path, form: str) -> None:
    (project / "pipelines/uni.yaml").write_text("version: 1\nname: uni\nowner: é日😀\ntasks: {a: {run: echo}}\n")
    found = subprocess.run(
        mlgen_in(project, "check", "--format", form),
        env={**os.environ, "PYTHONPATH": str(GENERATOR), "PYTHONIOENCODING": "ascii"},
        capture_output=True,
        check=False,
    )
    assert (found.returncode, found.stderr) == (1, b"")
    text = found.stdout.decode("ascii")
    if form in ("json", "sarif", "gitlab"):
        assert "é日😀" in json.dumps(json.loads(text), ensure_ascii=False)
    if form == "junit":
        assert "é日😀" in "".join(ET.fromstring(text).itertext())


@pytest.mark.parametrize("form", list(ReportForm))
def test_a_reader_that_leaves(project: Path, form: str) -> None:
    for i in range(300):
        (project / f"pipelines/w{i}.yaml").write_text(WRONG.replace("wrong", f"w{i}"))
    with subprocess.Popen(
        mlgen_in(project, "check", "--format", form),
        env={**os.environ, "PYTHONPATH": str(GENERATOR)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.read(10)
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait() in (0, 1)


def rendered(project: Path, say: Any) -> None:
    (project / "pipelines/wrong.yaml").unlink()
    shutil.copy(Path(__file__).parents[1] / "invalid/missing-image/mlgen.yaml", project)
    image = f"busybox@sha256:{'0' * 64}"
    (project / "pipelines/fine.yaml").write_text(
        f"version: 1\nname: fine\ntasks: {{a: {{image: '{image}', run: echo}}}}\n"
    )
    assert say("render")[0] == 0


@pytest.mark.parametrize(
    ("form", "read"),
    [("github", lab.of_github), ("sarif", lab.of_sarif), ("junit", lab.of_junit), ("markdown", lab.of_markdown)],
)
def test_what_is_not_as_rendered_is_shown_beside_the_file(project: Path, say: Any, form: str, read: Any) -> None:
    rendered(project, say)
    code, out, err = say("render", "--check", "--format", form)
    assert (code, err, read(out)) == (0, "", [])
    run = project / "tekton/prod/runs/fine.yaml"
    lines = run.read_text().splitlines(keepends=True)
    run.write_text("".join([*lines[:4], "edited: true\n", *lines[5:]]))
    (project / "tekton/prod/manifests/pipeline-fine.yaml").unlink()
    (project / "tekton/prod/manifests/by-hand.yaml").write_text("kind: RoleBinding\n")
    code, out, err = say("render", "--check", "--format", form, "--report", "text=told.txt")
    assert (code, err) == (1, "")
    place = "ml team/tekton/prod"
    assert sorted(told[:3] for told in read(out)) == [
        ("not-rendered", f"{place}/manifests/by-hand.yaml", 1),
        ("not-rendered", f"{place}/manifests/pipeline-fine.yaml", 1),
        ("not-rendered", f"{place}/runs/fine.yaml", 5),
    ]
    assert "    5 | edited: true\n" in (project / "told.txt").read_text()


@pytest.mark.parametrize(
    ("form", "read"),
    [
        ("github", lab.of_github), ("sarif", lab.of_sarif), ("junit", lab.of_junit), ("gitlab", lab.of_gitlab),
        ("markdown", lab.of_markdown),
    ],
)  # fmt: skip
def test_what_cannot_be_rendered_is_told_in_the_form_that_was_asked_for(
    project: Path, say: Any, form: str, read: Any
) -> None:
    shutil.copy(Path(__file__).parents[1] / "invalid/missing-image/mlgen.yaml", project)
    code, out, err = say("render", "--check", "--format", form, "--report", "json=told.json")
    assert (code, err) == (1, "mlgen render --check has no answer: 1 error, 1 warning\n")
    told = json.loads((project / "told.json").read_text())["findings"]
    places = sorted((one["code"], f"ml team/{one['file']}", one["line"]) for one in told)
    assert ("unknown-task", "ml team/pipelines/wrong.yaml", 5) in places
    assert sorted(one[:3] for one in read(out)) == places


@pytest.mark.parametrize("options", [[], ["--check"]])
def test_programs_get_the_findings_of_what_cannot_be_rendered(project: Path, say: Any, options: list[str]) -> None:
    shutil.copy(Path(__file__).parents[1] / "invalid/missing-image/mlgen.yaml", project)
    code, out, _ = say("render", *options, "--format", "json")
    assert code == 1
    assert {one["code"] for one in json.loads(out)["findings"]} >= {"unused", "unknown-task"}
    code, out, err = say("render", *options)
    assert (code, out) == (1, "")
    assert "error[unknown-task]" in err


@pytest.mark.parametrize(
    "options", [["--format", "sarif"], ["--report", "sarif=x"], ["--stdout", "--report", "text=x"]]
)
def test_only_what_looks_for_findings_reports_them(project: Path, say: Any, options: list[str]) -> None:
    rendered(project, say)
    code, out, err = say("render", *options)
    assert (code, out) == (2, "")
    assert "error[options]" in err
    assert not (project / "x").exists()
