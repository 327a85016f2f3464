"""`mlgen check`, `plan`, `graph` and `explain`, as people and programs call them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from mlgen.cli.main import run as mlgen
from mlgen.codes import CODES

GENERATOR = Path(__file__).parents[2] / "generator"
CLEAN = """\
version: 1
name: clean
params: {n: 1}
inputs: {raw: ./data.csv}
tasks:
  a:
    run: wc -l < "$raw" > "$lines"
    in: [inputs.raw, params.n]
    out: {lines: integer}
    code: src
  b: {run: echo, if: a.lines > params.n}
"""

# Twelve mistakes of twelve kinds.
WRONG = """\
version: 1
name: wrong
owner: Risk Team
params:
  mode: 0755
  share: {type: number, default: 2, maximum: 1}
tasks:
  prepare:
    run: echo $(params.mode)
    in: [params.mode, params.shar]
    out: {rows: dataset}
    memmory: 2Gi
    timeout: 90x
  train:
    run: [python, train.py]
    in: [prepare.row, features, params.share]
    after: [nobody]
    if: params.share > "1"
    code: nowhere
"""
TOLD = [
    ("bad-label", 3, 8), ("quote-it", 5, 9), ("bad-default", 6, 34), ("tekton-variable", 9, 15),
    ("unknown-param", 10, 23), ("unknown-key", 12, 5), ("bad-duration", 13, 14), ("unknown-out", 16, 10),
    ("bad-ref", 16, 23), ("unknown-task", 17, 13), ("gate-type", 18, 9), ("no-such-path", 19, 11),
]  # fmt: skip


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for folder in ("pipelines", "src"):
        (tmp_path / folder).mkdir()
    (tmp_path / "mlgen.yaml").write_text("version: 1\n")
    (tmp_path / "pipelines/clean.yaml").write_text(CLEAN)
    (tmp_path / "pipelines/data.csv").write_text("1\n")
    (tmp_path / "src/train.py").write_text("")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_clean_file_is_a_yes(project: Path, say: Any) -> None:
    assert say("check", "pipelines/clean.yaml") == (0, "1 spec checked: nothing to mend\n", "")
    assert say("check") == (0, "1 spec checked: nothing to mend\n", "")


def test_twelve_mistakes_are_twelve_findings_in_text(project: Path, say: Any) -> None:
    (project / "pipelines/wrong.yaml").write_text(WRONG)
    code, out, err = say("check", "pipelines/wrong.yaml")
    heads = [line for line in out.splitlines() if line.startswith("pipelines/")]
    assert [line.split("]")[0] for line in heads] == [f"pipelines/wrong.yaml:{n}:{c}: error[{k}" for k, n, c in TOLD]
    assert out.count("   more mlgen explain ") == 12
    assert out.endswith("\n1 spec checked: 12 errors, 0 warnings\n")
    assert (code, err) == (1, "")


def test_twelve_mistakes_are_twelve_findings_in_json(project: Path, say: Any) -> None:
    (project / "pipelines/wrong.yaml").write_text(WRONG)
    code, out, err = say("check", "--format", "json")
    answer = json.loads(out)
    assert [(f["code"], f["line"], f["column"]) for f in answer["findings"]] == TOLD
    keys = {"code", "severity", "message", "why", "fix", "file", "line", "column", "endLine", "endColumn", "related"}
    assert all(f.keys() == keys and f["message"] and f["file"] == "pipelines/wrong.yaml" for f in answer["findings"])
    assert answer["summary"] == {"files": 2, "errors": 12, "warnings": 0}
    assert (code, err) == (1, "")
    lines = WRONG.splitlines()
    marked = {f["code"]: lines[f["line"] - 1][f["column"] - 1 : f["endColumn"] - 1] for f in answer["findings"]}
    assert marked["bad-ref"] == "features"
    assert marked["tekton-variable"] == "$(params.mode)"
    assert marked["gate-type"] == 'params.share > "1"'


def test_a_warning_alone_is_a_yes(project: Path, say: Any) -> None:
    (project / "pipelines/warned.yaml").write_text(
        "version: 1\nname: warned\nparams: {x: 1}\ntasks: {a: {run: echo}}\n"
    )
    code, out, _ = say("check", "pipelines/warned.yaml")
    assert (code, out.splitlines()[-1]) == (0, "1 spec checked: 0 errors, 1 warning")
    code, out, _ = say("check", "pipelines/warned.yaml", "--format", "json")
    (found,) = json.loads(out)["findings"]
    assert (code, found["severity"], found["code"]) == (0, "warning", "unused")


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["pipelines/none.yaml"], "no-such-file"),
        (["pipelines"], "not-a-file"),
        (["pipelines/" + "x" * 300 + ".yaml"], "no-such-file"),
        (["pipelines/clean.yaml", "../outside.yaml"], "other-project"),
        (["pipelines/clean.yaml", "pipelines/none.yaml"], "no-such-file"),
        (["out.yaml"], "not-a-file"),
    ],
)
def test_what_is_no_spec_of_the_project_is_asked_wrongly(
    project: Path, say: Any, arguments: list[str], code: str
) -> None:
    (project.parent / "outside.yaml").write_text(CLEAN)
    (project / "out.yaml").symlink_to("../outside.yaml")
    status, out, err = say("check", *arguments)
    assert (status, out) == (2, "")
    assert err.startswith(f"mlgen: error[{code}]: ")
    assert err.count("\n") <= 3


@pytest.mark.parametrize("given", ["piplines/clean.yaml", "pipelines/claen.yaml", "clean.yaml", "clean"])
def test_the_spec_that_was_probably_meant_is_named(
    project: Path, say: Any, monkeypatch: pytest.MonkeyPatch, given: str
) -> None:
    code, _, err = say("check", given)
    assert (code, err.splitlines()[1:]) == (2, ["   fix  name pipelines/clean.yaml"])
    monkeypatch.chdir(project / "src")
    assert say("check", f"../{given}")[2].endswith("   fix  name ../pipelines/clean.yaml\n")


def test_no_specs_at_all(project: Path, say: Any) -> None:
    (project / "pipelines/clean.yaml").unlink()
    status, _, err = say("check")
    assert status == 2
    assert "error[no-specs]" in err


def test_a_spec_that_is_a_link_out_of_the_repository(project: Path, say: Any) -> None:
    (project.parent / "outside.yaml").write_text(CLEAN)
    (project / "pipelines/outside.yaml").symlink_to("../../outside.yaml")
    status, out, _ = say("check")
    assert status == 1
    assert "pipelines/outside.yaml:1:1: error[path-escape]" in out
    assert out.endswith("2 specs checked: 1 error, 0 warnings\n")
    assert "error[not-a-file]" in say("plan", "pipelines/outside.yaml")[2]


def test_the_project_is_found_from_any_folder_and_by_the_file(
    project: Path, say: Any, monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    monkeypatch.chdir(project / "src")
    assert say("check")[0] == 0
    assert say("check", "../pipelines/clean.yaml")[0] == 0
    monkeypatch.chdir(tmp_path_factory.mktemp("elsewhere"))
    assert say("check", str(project / "pipelines/clean.yaml"))[0] == 0
    assert say("check")[0] == 2
    assert say("check", "-C", str(project))[0] == 0
    monkeypatch.chdir("/")
    assert say("-C", str(project), "check")[0] == 0


def test_a_task_file_is_checked_by_itself(project: Path, say: Any) -> None:
    (project / "tell.yaml").write_text("version: 1\nkind: task\nname: tell\nrun: echo\nout: {a-b: file}\n")
    code, out, _ = say("check", "tell.yaml")
    assert (code, "tell.yaml:5:7: error[bad-name]" in out) == (1, True)
    code, _, err = say("plan", "tell.yaml")
    assert (code, "error[task-file]" in err) == (2, True)


def test_the_findings_of_a_shared_task_file_are_told_once(project: Path, say: Any) -> None:
    (project / "tell.yaml").write_text("version: 1\nkind: task\nname: tell\nrun: echo\nenv: {1X: a}\n")
    for name in ("one", "two"):
        (project / f"pipelines/{name}.yaml").write_text(f"version: 1\nname: {name}\ntasks: {{a: {{use: tell.yaml}}}}\n")
    code, out, _ = say("check")
    assert (code, out.count("error[bad-name]"), out.splitlines()[-1]) == (1, 1, "3 specs checked: 1 error, 0 warnings")


def test_findings_of_mlgen_yaml_and_of_the_lock_come_with_those_of_specs(project: Path, say: Any) -> None:
    (project / "mlgen.yaml").write_text("version: 1\nenvironments: {prod: {}}\n")
    (project / "mlgen.lock").write_text("version: 1\nimages: [a]\n")
    code, out, _ = say("check")
    assert code == 1
    assert [line.split(" ")[0] for line in out.splitlines() if "error[" in line] == [
        "mlgen.lock:2:9:",
        "mlgen.yaml:2:16:",
    ]
    assert say("plan", "pipelines/clean.yaml")[0] == 1


def test_what_may_not_be_read_is_not_shown_either(project: Path, say: Any) -> None:
    secret = project.parent / f"{project.name}-secret"
    secret.write_text("the secret of another repository\n")
    (project / "pipelines/link.yaml").symlink_to(secret)
    os.mkfifo(project / "pipelines/pipe.yaml")  # whoever opens it waits for ever
    code, out, err = say("check")
    assert code == 1
    assert out.count("error[path-escape]") == 2
    assert "the secret" not in out + err


@pytest.mark.parametrize("name", ["mlgen.yaml", "mlgen.lock"])
def test_what_lies_in_place_of_a_file_of_the_project_is_told(project: Path, say: Any, name: str) -> None:
    def escapes() -> int:
        code, out, _ = say("check", "pipelines/clean.yaml")
        assert code == 1
        return int(out.count(f"{name}:1:1: error[path-escape]"))

    there = project / name
    there.unlink(missing_ok=True)
    os.mkfifo(there)  # whoever opens it waits for ever
    assert escapes() == 1
    there.unlink()
    there.symlink_to("nowhere")
    assert escapes() == 1
    there.unlink()
    there.mkdir()
    assert escapes() == 1


def test_the_boundary_is_the_folder_of_the_repository_whatever_its_config_says(project: Path, say: Any) -> None:
    (project.parent / f"{project.name}-beside").mkdir()
    spec = f"version: 1\nname: out\ndefaults: {{code: ../{project.name}-beside}}\ntasks: {{a: {{run: echo}}}}\n"
    (project / "pipelines/out.yaml").write_text(spec.replace("../", "../../"))
    subprocess.run(["git", "init", "-q"], cwd=project, check=True)
    subprocess.run(["git", "config", "core.worktree", "/"], cwd=project, check=True)
    assert "error[path-escape]" in say("check")[1]


@pytest.mark.parametrize("claimed", ["/", "beside"])
def test_a_work_tree_that_only_a_config_claims_is_none(
    project: Path, say: Any, claimed: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = claimed if claimed == "/" else str(tmp_path_factory.mktemp(claimed))
    subprocess.run(["git", "init", "-q"], cwd=project, check=True)
    subprocess.run(["git", "config", "core.worktree", folder], cwd=project, check=True)
    assert say("run", "pipelines/clean.yaml")[0] == 0
    assert "COMPLETE" in say("runs", "list")[1]


def test_an_unreadable_file_is_no_answer(project: Path, say: Any) -> None:
    if os.geteuid() == 0:
        pytest.skip("root reads everything")
    (project / "pipelines/clean.yaml").chmod(0)
    assert say("check")[0] == 3


def test_names_of_files_are_shown_harmless(project: Path, say: Any) -> None:
    name = os.fsdecode(b"pipelines/\x1b[2J\n\xff.yaml")
    (project / name).write_text("version: 1\nname: x\ntasks: {a: {run: echo}}\n")
    code, out, _ = say("check")
    assert code == 1
    assert "pipelines/\\x1b[2J\\n\\udcff.yaml:2:7: error[name-mismatch]" in out
    assert "\x1b" not in out
    code, out, _ = say("check", "--format", "json")
    assert json.loads(out)["findings"][0]["file"] == name


def test_git_says_what_belongs_to_code(project: Path, say: Any) -> None:
    subprocess.run(["git", "init", "-q"], cwd=project, check=True)
    (project / ".gitignore").write_text("*.pyc\n")
    digests = []
    for name in ("src/train.pyc", "src/new.py"):
        digests.append(
            json.loads(say("plan", "pipelines/clean.yaml", "--format", "json")[1])["tasks"][0]["code"]["digest"]
        )
        (project / name).write_text("x")
    digests.append(json.loads(say("plan", "pipelines/clean.yaml", "--format", "json")[1])["tasks"][0]["code"]["digest"])
    assert digests[0] == digests[1] != digests[2]


def test_plan(project: Path, say: Any) -> None:
    code, out, err = say("plan", "pipelines/clean.yaml")
    assert (code, err) == (0, "")
    assert out.startswith("clean\nplan   sha256:")
    assert "\n      if       a.lines > params.n  [decided by a, when it ends]\n" in out
    code, out, _ = say("plan", "pipelines/clean.yaml", "--format", "json")
    answer = json.loads(out)
    assert [t["name"] for t in answer["tasks"]] == ["a", "b"]
    assert answer["inputs"]["raw"]["uri"] == "pipelines/data.csv"


def test_plan_of_a_wrong_spec_is_a_no(project: Path, say: Any) -> None:
    (project / "pipelines/wrong.yaml").write_text(WRONG)
    code, out, err = say("plan", "pipelines/wrong.yaml")
    assert (code, out) == (1, "")
    assert err.count("error[") == 12
    assert err.endswith("12 errors, 0 warnings\n")


def test_graph(project: Path, say: Any) -> None:
    code, out, err = say("graph", "pipelines/clean.yaml")
    assert (code, err) == (0, "")
    assert out.startswith("flowchart TD\n")
    assert "  task_a -.->|if| task_b\n" in out
    code, out, _ = say("graph", "pipelines/clean.yaml", "--format", "dot")
    assert (code, out.splitlines()[0]) == (0, 'digraph "clean" {')


@pytest.mark.parametrize("code", CODES)
def test_every_code_is_explained(code: str, say: Any) -> None:
    status, out, err = say("explain", code)
    assert (status, err) == (0, "")
    assert out.startswith(f"{code}: {CODES[code]}\n\n")
    assert len(out.splitlines()) >= 3


def test_codes_are_listed_and_guessed(say: Any) -> None:
    assert [line.split()[0] for line in say("explain")[1].splitlines()] == list(CODES)
    assert json.loads(say("explain", "--format", "json")[1]) == CODES
    status, _, err = say("explain", "unknwn-out")
    assert status == 2
    assert "did you mean unknown-out" in err


@pytest.mark.parametrize("form", ["text", "json"])
def test_a_terminal_without_our_characters_is_no_trouble(project: Path, form: str) -> None:
    circle = "tasks: {a: {run: echo, after: [b]}, b: {run: echo, after: [a]}}"
    (project / "pipelines/circle.yaml").write_text(f"version: 1\nname: circle\n{circle}\n")
    found = subprocess.run(
        [sys.executable, "-m", "mlgen", "check", "pipelines/circle.yaml", "--format", form],
        env={**os.environ, "PYTHONPATH": str(GENERATOR), "PYTHONIOENCODING": "ascii"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (found.returncode, found.stderr) == (1, "")
    assert "a \\u2192 b \\u2192 a" in found.stdout


def test_what_render_refuses_of_an_environment_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """`check` is what a pull request must pass, so it may not say yes to what cannot be rendered afterwards."""
    image = f"ghcr.io/acme/x@sha256:{'0' * 64}"
    environment = (
        "{namespace: ml-%s, artifacts: 's3://bucket/%s', ledger: {url: 'https://git.example/l.git'}, "
        f"runtime_image: {image}, registries: [ghcr.io/acme/], %s}}\n"
    )
    (tmp_path / "pipelines").mkdir()
    (tmp_path / "mlgen.yaml").write_text(
        "version: 1\nenvironments:\n"
        "  dev: " + environment % ("dev", "dev", "gpus: {big: {resource: nvidia.com/gpu}}") +
        "  prod: " + environment % ("prod", "prod", "limits: {timeout: 1h}")
    )  # fmt: skip
    spec = tmp_path / "pipelines" / "churn.yaml"
    spec.write_text(
        f"version: 1\nname: churn\ntasks:\n  a: {{run: echo, image: {image}, gpu: 'big:1'}}\n"
        f"  b: {{run: echo, image: {image}, timeout: 2h}}\n  c: {{run: echo, image: quay.io/x@sha256:{'0' * 64}}}\n"
        "  d: {run: echo}\n"
    )
    monkeypatch.chdir(tmp_path)

    def told(*words: str) -> list[tuple[str, int]]:
        assert mlgen([*words, "--format", "json"]) == 1
        out, err = capsys.readouterr()
        text = out or err
        return sorted((f["code"], f["line"]) for f in json.loads(text)["findings"])

    found = told("check")
    assert found == [
        ("image-registry", 6),
        ("image-registry", 6),
        ("missing-image", 7),
        ("over-limit", 5),
        ("unknown-pool", 4),
    ]
    assert mlgen(["render"]) == 1
    err = capsys.readouterr().err
    assert all(err.count(f"[{code}]") for code, _ in found)
