"""`mlgen diff`, as people call it, on real repositories."""

from __future__ import annotations

import json
import os
import shutil
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mlgen.cli.main import run
from mlgen.cli.projects.workspace import Workspace
from tests.cli.pinned import LOCK, TASK, Say, change, make, project, spec
from tests.revisions import commit, lay, run_git

GOLDEN = Path(__file__).parent / "diff"


def found(say: Say, *arguments: str) -> dict[str, Any]:
    """The JSON answer."""
    code, out, err = say("diff", *arguments, "--format", "json")
    assert (code, err) == (0, "")
    return json.loads(out)  # type: ignore[no-any-return]


def lines(answer: dict[str, Any]) -> list[str]:
    """Every line that is told, of whatever."""
    told = [change["line"] for change in (*answer["project"], *answer["policies"])]
    for part in answer["parts"]:
        told += [change["line"] for one in part["pipelines"] for change in one["changes"]]
        told += [change["line"] for change in part["lock"]]
    return told


def edit(root: Path, path: str, old: str, new: str) -> None:
    text = (root / path).read_text()
    assert old in text
    (root / path).write_text(text.replace(old, new))


def test_nothing_changed(root: Path, say: Say) -> None:
    head = run_git(root, "rev-parse", "--short=12", "HEAD")
    expected = f"diff    main ({head}) → the work tree\neffect  none: nothing that a run has differs\nno difference\n"
    assert say("diff") == (0, expected, "")
    assert say("diff", "--exit-code")[0] == 0
    assert found(say)["effect"] == "none"


def test_the_answer_is_whole(root: Path, say: Say) -> None:
    """Text and markdown of one change, as files to read."""
    say("render")
    commit(root)
    edit(root, "pipelines/churn.yaml", "epochs 1", "epochs 2")
    edit(root, "pipelines/churn.yaml", "memory: 2Gi", "memory: 3Gi, timeout: 2h")
    edit(root, "mlgen.lock", "1" * 64, "2" * 64)
    edit(root, "src/train.py", "1", "2")
    say("render")
    commit(root)  # on a branch whose base is known by its name
    for form, options in (("text", ["--objects"]), ("markdown", [])):
        code, out, err = say("diff", "--base", "HEAD~1", "--format", form, *options)
        assert (code, err) == (0, "")
        out = out.replace(run_git(root, "rev-parse", "HEAD~1")[:12], "1234567890ab")
        golden = GOLDEN / f"{form}.out"
        if os.environ.get("MLGEN_ACCEPT"):
            golden.parent.mkdir(exist_ok=True)
            golden.write_text(out)
        assert out == golden.read_text()
    assert say("diff", "--base", "HEAD~1", "--exit-code")[0] == 1


EDITS: dict[str, tuple[dict[str, str], list[str]]] = {
    "a spec": ({"pipelines/churn.yaml": spec().replace("2Gi", "3Gi")}, ["train.memory 2Gi → 3Gi"]),
    "a task file": (
        {"pipelines/tasks/tell.yaml": TASK.replace("echo 1", "echo 2")},
        ["tell.run changed (+1 -1 lines)"],
    ),
    "code": ({"src/new.py": ""}, ["train.code …", ]),
    "an input": ({"data/rows.csv": "id\n1\n"}, ["inputs.rows.digest …"]),
    "a new spec": (
        {"pipelines/fraud.yaml": spec("fraud")},
        ["task train is new (reads inputs.rows)", "task tell is new (after train)"],
    ),
    "an unread file": ({"README.md": "x", "tekton/prod/x.yaml": "x"}, []),
    "mlgen.yaml": (
        {"mlgen.yaml": project().replace("memory: 4Gi", "memory: 8Gi")},
        ["dev.limits.memory 4Gi → 8Gi", "prod.limits.memory 4Gi → 8Gi"],
    ),
    "a comment of mlgen.yaml": ({"mlgen.yaml": project() + "# x\n"}, []),
    "a policy": ({"policies/a.yaml": "kind: x\n"}, ["policies/a.yaml is new"]),
}  # fmt: skip


@pytest.mark.parametrize("name", EDITS)
def test_what_is_the_same_is_not_read_and_the_answer_is_equal(
    name: str, root: Path, say: Say, monkeypatch: pytest.MonkeyPatch
) -> None:
    files, expected = EDITS[name]
    lay(root, files)
    quick = found(say)
    told = [line.split(" sha256:")[0] + " …" if "sha256:" in line else line for line in lines(quick)]
    assert told == expected
    # The same with everything read and rendered, on both sides.
    monkeypatch.setattr("mlgen.cli.diff._changed", lambda _old, _new: None)
    assert found(say) == quick
    monkeypatch.undo()
    monkeypatch.chdir(root)
    commit(root)  # the same again, of what is committed
    again = found(say, "--base", "HEAD~1")
    assert lines(again) == lines(quick)


def test_of_many_specs_only_those_are_read_that_may_differ(
    root: Path, say: Say, monkeypatch: pytest.MonkeyPatch
) -> None:
    change(
        root,
        {f"pipelines/{name}.yaml": spec(name).replace("ghcr.io/acme/" + name, "ghcr.io/acme/churn") for name in "abc"},
    )
    read: list[str] = []
    plans = Workspace.plans

    def counted(self: Workspace, paths: list[str]) -> Any:
        read.extend(paths)
        return plans(self, paths)

    monkeypatch.setattr(Workspace, "plans", counted)
    edit(root, "pipelines/a.yaml", "2Gi", "3Gi")
    assert lines(found(say)) == ["train.memory 2Gi → 3Gi"]
    assert read == ["pipelines/a.yaml"] * 2
    read.clear()
    edit(root, "mlgen.lock", f'tell:1": "sha256:{"1" * 64}', f'tell:1": "sha256:{"2" * 64}')
    assert len(found(say)["parts"][0]["pipelines"]) == 4
    assert len(read) == 8


def test_ignored_files_links_and_folders_of_data_are_read(root: Path, say: Say) -> None:
    lay(
        root,
        {".gitignore": "ignored*\n", "shared/x.py": "1", "ignored.yaml": TASK.replace("name: tell", "name: ignored")},
    )
    (root / "linked").symlink_to("shared")
    edit(root, "pipelines/churn.yaml", "code: src", "code: linked")
    commit(root)
    lay(root, {"shared/x.py": "2"})
    assert [line.partition(" ")[0] for line in lines(found(say))] == ["train.code"]
    run_git(root, "checkout", "-q", ".")
    edit(root, "pipelines/churn.yaml", "./tasks/tell.yaml", "ignored.yaml")
    commit(root)  # Git has the spec, and not what it names
    answer = found(say, "--base", "HEAD")
    assert answer["parts"][0]["brokenBefore"] == []
    lay(root, {"README.md": "x"})
    assert found(say, "--base", "HEAD")["parts"][0]["brokenBefore"] == ["pipelines/churn.yaml"]


def test_the_base_is_what_the_branch_left(root: Path, say: Say) -> None:
    run_git(root, "checkout", "-q", "-b", "work")
    change(root, {"pipelines/churn.yaml": spec().replace("2Gi", "3Gi")})
    run_git(root, "checkout", "-q", "main")
    change(root, {"pipelines/churn.yaml": spec().replace("epochs 1", "epochs 9")})
    run_git(root, "checkout", "-q", "work")
    assert lines(found(say)) == ["train.memory 2Gi → 3Gi"]
    assert lines(found(say, "--base", "main")) == ["train.memory 2Gi → 3Gi"]
    # As in a clone: the remote's default branch.
    run_git(root.parent, "clone", "-q", "-b", "work", str(root), "clone")
    code, out, _ = say("diff", "-C", str(root.parent / "clone"))
    assert (code, out.partition(" (")[0]) == (0, "diff    origin/work")
    run_git(root.parent / "clone", "remote", "set-head", "origin", "main")
    code, out, _ = say("diff", "-C", str(root.parent / "clone"))
    assert (code, out.partition(" (")[0]) == (0, "diff    origin/main")
    assert "train.memory 2Gi → 3Gi" in out


def test_a_base_that_is_not_there(root: Path, say: Say) -> None:
    code, out, err = say("diff", "--base", "origin/main")
    assert (code, out) == (2, "")
    assert "error[no-such-revision]" in err
    change(root, {"README.md": "x"})
    first = run_git(root, "rev-parse", "HEAD~1")
    run_git(root.parent, "clone", "-q", "--depth", "1", f"file://{root}", "shallow")
    code, out, err = say("diff", "--base", first, "-C", str(root.parent / "shallow"))
    assert (code, out) == (3, "")
    assert "error[shallow-clone]" in err
    assert "fix  git fetch --unshallow" in err


def test_outside_of_a_repository(tmp_path: Path, say: Say) -> None:
    lay(tmp_path / "p", {"mlgen.yaml": project(), "pipelines/churn.yaml": spec()})
    code, out, err = say("diff", "-C", str(tmp_path / "p"))
    assert (code, out) == (3, "")
    assert "error[no-repository]" in err


def test_a_project_that_was_not_there_is_all_new(root: Path, say: Say) -> None:
    run_git(root, "checkout", "-q", "--orphan", "empty")
    run_git(root, "rm", "-q", "-rf", ".")
    base = change(root, {"README.md": "x"})
    run_git(root, "checkout", "-q", "main", "--", ".")
    answer = found(say, "--base", base)
    assert [one["kind"] for one in answer["parts"][0]["pipelines"]] == ["new"]
    assert {act["act"] for one in answer["parts"][0]["objects"] for act in one["argocd"]} == {"create"}
    assert "dev is a new environment (namespace ml-dev)" in lines(answer)
    assert answer["notes"][0] == (
        "dev is new: before the first run its namespace ml-dev needs the account default and the Secrets none."
    )


def test_a_spec_that_is_broken_on_one_side(root: Path, say: Say) -> None:
    change(root, {"pipelines/fraud.yaml": "version: 1\nname: fraud\ntasks: {a: {}}\n"})
    lay(root, {"pipelines/fraud.yaml": spec("fraud"), "pipelines/churn.yaml": spec().replace("2Gi", "3Gi")})
    answer = found(say, "--base", "HEAD")
    assert answer["parts"][0]["brokenBefore"] == ["pipelines/fraud.yaml"]
    assert "train.memory 2Gi → 3Gi" in lines(answer)
    assert "pipelines/fraud.yaml has errors at HEAD" in say("diff", "--base", "HEAD")[1]
    lay(root, {"pipelines/churn.yaml": spec().replace("2Gi", "3Gib")})
    code, out, err = say("diff", "--base", "HEAD")
    assert (code, out) == (1, "")
    assert "pipelines/churn.yaml:6:" in err


def test_a_limit_that_a_spec_breaks_now_is_a_finding(root: Path, say: Say) -> None:
    edit(root, "pipelines/churn.yaml", "2Gi", "64Gi")
    code, out, err = say("diff")
    assert (code, out) == (1, "")
    assert "error[over-limit]" in err


def test_in_the_place_of_a_review_stands_why_there_is_none(root: Path, say: Say) -> None:
    """A comment or a program's input is never empty: it has the findings, as `check` tells them."""
    lay(root, {"pipelines/churn.yaml": spec().replace("2Gi", "3Gib")})
    code, out, err = say("diff", "--base", "HEAD", "--format", "json")
    answer = json.loads(out)
    assert (code, err) == (1, "mlgen diff has no answer: 1 error, 0 warnings\n")
    assert [(one["code"], one["file"], one["line"]) for one in answer["findings"]] == [
        ("bad-quantity", "pipelines/churn.yaml", 6)
    ]
    code, out, _ = say("diff", "--base", "HEAD", "--format", "markdown")
    assert code == 1
    assert out.startswith("<!-- mlgen-diff -->\n\n**What this changes cannot be told before this is mended.**\n\n### ")
    assert "bad-quantity" in out


def test_findings_in_the_place_of_a_review_keep_to_its_limit(root: Path, say: Say) -> None:
    tasks = "".join(f'  t{number}: {{run: echo, memory: "{"é" * 300}"}}\n' for number in range(90))
    lay(root, {"pipelines/churn.yaml": f"version: 1\nname: churn\ntasks:\n{tasks}"})
    for limit in (8_000, 30_000):
        code, out, _ = say("diff", "--base", "HEAD", "--format", "markdown", "--limit", str(limit))
        assert code == 1
        assert limit // 3 < len(out.encode()) <= limit
        assert "are left out here" in out
        assert out.count("<details>") == out.count("</details>")


def test_a_mlgen_yaml_that_was_broken(root: Path, say: Say) -> None:
    change(root, {"mlgen.yaml": "version: 1\nenvironments: 7\n"})
    lay(root, {"mlgen.yaml": project(), "pipelines/churn.yaml": spec().replace("2Gi", "3Gi")})
    answer = found(say, "--base", "HEAD")
    assert answer["notes"][0].startswith("mlgen.yaml cannot be read at HEAD (")
    assert lines(answer) == ["train.memory 2Gi → 3Gi"]


def test_one_environment_and_two(root: Path, say: Say) -> None:
    edit(root, "pipelines/churn.yaml", "2Gi", "3Gi")
    assert [one["environment"] for one in found(say, "--env", "dev")["parts"][0]["objects"]] == ["dev"]
    answer = found(say, "--env", "dev", "--env", "prod")
    # Both are read from the work tree; what else they have otherwise is moved by no promotion, and no difference.
    assert "prod.namespace ml-dev → ml-prod" in [change["line"] for change in answer["settings"]]
    assert (answer["effect"], lines(answer), answer["parts"][0]["objects"]) == ("none", [], [])
    code, text, _ = say("diff", "--env", "dev", "--env", "prod", "--exit-code")
    assert code == 0
    assert "diff    dev (the work tree) → prod (the work tree)" in text
    assert "note    dev is told as it would be with the specs of prod\nno difference but of settings\n" in text
    assert "\nmlgen.yaml, which no promotion moves\n  runs  prod.artifacts s3://ml/dev → s3://ml/prod\n" in text
    assert (
        "#### mlgen.yaml, which no promotion moves"
        in say("diff", "--env", "dev", "--env", "prod", "--format", "markdown")[1]
    )
    for options in (
        ["--env", "x"],
        ["--env", "a", "--env", "b", "--env", "c"],
        ["--base", "HEAD", "--env", "dev", "--env", "prod"],
    ):
        code, out, err = say("diff", *options)
        assert (code, out) == (2, "")
        assert "   fix  " in err


def test_a_pinned_environment_is_judged_at_its_pins(root: Path, say: Say) -> None:
    first = run_git(root, "rev-parse", "HEAD")
    change(root, {"mlgen.yaml": project(prod=first)})
    second = change(root, {"pipelines/churn.yaml": spec().replace("2Gi", "3Gi")})
    # The spec changed, and prod does not: it is read at its pin.
    answer = found(say, "--base", "HEAD~1")
    assert lines(answer) == ["train.memory 2Gi → 3Gi"]
    assert [[one["environment"] for one in part["objects"]] for part in answer["parts"]] == [["dev"], []]
    # A promotion changes prod alone.
    lay(root, {"mlgen.yaml": project(prod=second)})
    answer = found(say, "--base", "HEAD")
    assert lines(answer) == [f"prod.pin {first[:12]} → {second[:12]}", "train.memory 2Gi → 3Gi"]
    told = {part["environments"][0]: part for part in answer["parts"]}
    assert told["dev"]["pipelines"] == []
    assert told["prod"]["commits"] == {"before": first, "after": second}
    assert [one["environment"] for one in told["prod"]["objects"]] == ["prod"]
    # What is where.
    lay(root, {"mlgen.yaml": project(prod=first)})
    answer = found(say, "--env", "prod", "--env", "dev")
    assert lines(answer) == ["train.memory 2Gi → 3Gi"]
    # As a promotion would move it: in prod, whose objects no setting of dev reaches.
    (objects,) = answer["parts"][0]["objects"]
    assert objects["environment"] == "prod"
    assert {action["namespace"] for action in objects["argocd"]} == {"ml-prod"}
    assert {action["act"] for action in objects["argocd"]} == {"create", "change", "keep"}
    assert all(file["path"].startswith("prod/") for file in objects["files"])


def test_a_pin_that_is_not_here_is_told_where_it_stands(root: Path, say: Say) -> None:
    lost = "3f786850e387550fdab836ed7e6dc881de23001b"
    run_git(root, "remote", "add", "upstream", "https://git.example/ml.git")
    good = run_git(root, "rev-parse", "HEAD")
    lay(root, {"mlgen.yaml": project(prod=lost)})
    code, out, err = say("diff")
    assert (code, out) == (1, "")
    line = (root / "mlgen.yaml").read_text().splitlines().index(f'    pin: "{lost}"') + 1
    assert f"mlgen.yaml:{line}:10: error[unknown-pin]: prod is pinned to {lost[:12]}, which is not here" in err
    assert f"git fetch upstream {lost}" in err
    # What mends it is compared with what cannot be read.
    commit(root)
    lay(root, {"mlgen.yaml": project(prod=good), "pipelines/churn.yaml": spec().replace("2Gi", "3Gi")})
    answer = found(say, "--base", "HEAD")
    assert lines(answer) == [f"prod.pin {lost[:12]} → {good[:12]}", "train.memory 2Gi → 3Gi"]
    assert [part["environments"] for part in answer["parts"]] == [["dev"]]
    assert answer["notes"][0] == (
        f"prod was pinned to {lost[:12]}, which is no commit of this clone: what changes there is not told; "
        f"to fetch it: git fetch upstream {lost}"
    )
    assert lines(found(say, "--base", "HEAD", "--env", "prod")) == [f"prod.pin {lost[:12]} → {good[:12]}"]


@pytest.mark.parametrize(
    ("attributes", "told"),
    [
        ("pipelines/churn.yaml ident", None),
        # The byte of ¥ is that of $ there: what a review shows as text is a command in every clone.
        ("pipelines/churn.yaml text working-tree-encoding=GB_1988-80", None),
        ("src/*.py text eol=crlf", "train.code"),
    ],
)  # fmt: skip
def test_what_attributes_make_of_a_file_is_told_though_git_sees_no_change(
    attributes: str, told: str | None, root: Path, say: Say, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = spec().replace("run: 'python", "run: 'echo $Id$ ¥(id); python")
    if "GB_1988" in attributes:  # it has no $
        text = text.replace("$Id$", "").replace("$rows", "rows")
    first = change(root, {"pipelines/churn.yaml": text, ".gitattributes": ""})
    lay(root, {".gitattributes": f"{attributes}\n"})
    run_git(root, "add", ".gitattributes")
    run_git(root, "commit", "-q", "-m", "x")
    run_git(root.parent, "clone", "-q", str(root), "clone")
    clone = root.parent / "clone"
    monkeypatch.chdir(clone)
    file = "pipelines/churn.yaml" if "churn" in attributes else "src/train.py"
    assert run_git(clone, "hash-object", "--no-filters", file) != run_git(clone, "rev-parse", f"HEAD:{file}")
    assert run_git(clone, "status", "--porcelain") == ""
    if told is None:  # a finding: nobody renders what lies there
        code, out, err = say("diff", "--base", first)
        assert code == 1
        assert "error[changed-by-git]: Git lays pipelines/churn.yaml down with other bytes" in out + err
        return
    answer = found(say, "--base", first)
    assert answer["effect"] == "runs"
    assert [line for line in lines(answer) if line.startswith(told)]


def test_flags_of_the_index_and_line_ends_of_a_user_hide_nothing(root: Path, say: Say) -> None:
    text = (root / "pipelines/churn.yaml").read_text()
    for flag in ("assume-unchanged", "skip-worktree"):
        run_git(root, "update-index", f"--{flag}", "pipelines/churn.yaml")
        lay(root, {"pipelines/churn.yaml": text.replace("2Gi", "3Gi")})
        assert lines(found(say, "--base", "HEAD")) == ["train.memory 2Gi → 3Gi"]
        lay(root, {"pipelines/churn.yaml": text})
        run_git(root, "update-index", f"--no-{flag}", "pipelines/churn.yaml")
    run_git(root, "config", "core.autocrlf", "true")
    (root / "src/train.py").write_bytes(b"print(1)\r\n")
    run_git(root, "status")
    assert [line.partition(" ")[0] for line in lines(found(say, "--base", "HEAD"))] == ["train.code"]


def test_an_environment_under_another_name_is_told_with_what_two_applications_do(root: Path, say: Say) -> None:
    argocd = 'repository: "https://git.example/ml.git"\nargocd: {}\n'
    commit_of = change(root, {"mlgen.yaml": project() + argocd})
    lay(root, {"mlgen.yaml": project().replace("  prod:", "  live:") + argocd})
    notes = found(say, "--base", commit_of)["notes"]
    assert (
        "prod is gone, and its namespace ml-prod is that of live: delete the Application of prod before the next sync, "
        "or two write the same objects."
    ) in notes
    assert "Who keeps Argo CD applies tekton/live/argocd: no sync does." in notes
    assert not [note for note in notes if "applies tekton/prod" in note]


def test_a_base_that_nobody_named_is_told(root: Path, say: Say) -> None:
    run_git(root, "branch", "-m", "work")
    answer = found(say)
    assert answer["notes"] == ["no default branch is known here, of a remote or by its name: compared with HEAD"]


def test_it_touches_nothing_and_runs_no_filter(root: Path, say: Say) -> None:
    witness = root.parent / "ran"
    run_git(root, "config", "filter.evil.clean", f"touch {witness}; cat")
    run_git(root, "config", "core.fsmonitor", f"touch {witness}; false")
    lay(root, {".gitattributes": "*.py filter=evil\n", "src/train.py": "print(2)\n"})
    before = run_git(root, "status", "--porcelain") if not witness.exists() else ""
    witness.unlink(missing_ok=True)
    assert say("diff")[0] == 0
    assert not witness.exists()
    assert before


def test_manifests_that_are_not_rendered_are_told(root: Path, say: Say) -> None:
    say("render")
    commit(root)
    edit(root, "pipelines/churn.yaml", "2Gi", "3Gi")
    assert found(say, "--base", "HEAD")["notes"] == [
        "tekton/dev/manifests/pipeline-churn.yaml is not rendered yet: mlgen render"
    ]
    say("render")
    assert found(say, "--base", "HEAD")["notes"] == ["2 files are not in Git yet: git add tekton"]
    run_git(root, "add", "tekton")
    assert found(say, "--base", "HEAD")["notes"] == []


def _edits() -> st.SearchStrategy[dict[str, str | None]]:
    """Files that are written, or removed (None), in a project of four specs."""
    specs = st.sampled_from(["churn", "a", "b", "c"])
    texts = st.sampled_from(["2Gi", "3Gi", "2Gi, retries: 1", "2Gi, cpu: 2"])
    of_specs = st.tuples(specs, texts).map(
        lambda drawn: {f"pipelines/{drawn[0]}.yaml": _spec_of(drawn[0]).replace("2Gi", drawn[1])}
    )
    gone = st.sampled_from(["a", "b", "c"]).map(lambda name: {f"pipelines/{name}.yaml": None})
    others = st.sampled_from([
        {"pipelines/a.yaml": "# x\n" + _spec_of("a")},
        {"src/train.py": "print(2)\n"}, {"src/more/x.py": ""}, {"data/rows.csv": "id\n2\n"}, {"lib/x.py": "2"},
        {"pipelines/tasks/tell.yaml": TASK.replace("echo 1", "echo 2")}, {"pipelines/new.yaml": _spec_of("new")},
        {"mlgen.yaml": project().replace("ml-dev", "ml-dev2")}, {"mlgen.lock": LOCK.replace("1" * 64, "2" * 64)},
        {"README.md": "x"}, {".gitignore": "x\n"}, {"policies/p.yaml": "kind: x\n"}, {"tekton/dev/x": "x"},
    ])  # fmt: skip
    return st.lists(of_specs | gone | others, max_size=3).map(
        lambda some: {k: v for one in some for k, v in one.items()}
    )


def _spec_of(name: str) -> str:
    text = spec(name).replace(f"ghcr.io/acme/{name}", "ghcr.io/acme/churn")
    return text.replace("code: src", "code: [src, lib]") if name == "b" else text


@given(edits=_edits(), committed=st.booleans())
@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_any_change_is_told_alike_with_and_without_reading_all(edits: dict[str, str | None], committed: bool) -> None:
    with TemporaryDirectory() as name, pytest.MonkeyPatch.context() as patch:
        root = Path(name).resolve() / "r"
        make(root)
        change(root, {f"pipelines/{one}.yaml": _spec_of(one) for one in "abc"} | {"lib/x.py": "1"})
        for path, text in edits.items():
            if text is None:
                (root / path).unlink(missing_ok=True)
            else:
                lay(root, {path: text})
        if committed:
            commit(root)
        patch.chdir(root)
        base = "HEAD~1" if committed else "HEAD"

        def told() -> str:
            shown = StringIO()
            with redirect_stdout(shown):
                assert run(["diff", "--base", base, "--format", "json"]) == 0
            return shown.getvalue()

        quick = told()
        patch.setattr("mlgen.cli.diff._changed", lambda _old, _new: None)
        assert told() == quick


def test_a_project_below_its_repository(tmp_path: Path, say: Say, monkeypatch: pytest.MonkeyPatch) -> None:
    make(tmp_path / "r")
    root = tmp_path / "r" / "ml" / "team"
    lay(root, {path.relative_to(tmp_path / "r").as_posix(): path.read_text() for path in _files(tmp_path / "r")})
    lay(tmp_path / "r", {"src/train.py": "of another project\n"})
    commit(tmp_path / "r")
    monkeypatch.chdir(root)
    lay(tmp_path / "r", {"src/train.py": "2\n", "pipelines/churn.yaml": ""})
    assert lines(found(say)) == []
    edit(root, "pipelines/churn.yaml", "2Gi", "3Gi")
    edit(root, "src/train.py", "1", "2")
    assert [line.split()[0] for line in lines(found(say))] == ["train.code", "train.memory"]


def _files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file() and ".git/" not in path.as_posix()]


def test_before_the_first_commit(root: Path, say: Say) -> None:
    run_git(root, "checkout", "-q", "--orphan", "new")
    run_git(root, "branch", "-q", "-D", "main")
    code, out, err = say("diff")
    assert (code, out) == (2, "")
    assert "error[no-such-revision]" in err
    assert "fix  git commit" in err


def test_files_that_only_look_changed_are_not_read_as_specs(
    root: Path, say: Say, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After a copy of the whole folder Git's index knows no file again."""
    shutil.copytree(root, root.parent / "copy")
    monkeypatch.chdir(root.parent / "copy")
    read: list[str] = []
    plans = Workspace.plans

    def counted(self: Workspace, paths: list[str]) -> Any:
        read.extend(paths)
        return plans(self, paths)

    monkeypatch.setattr(Workspace, "plans", counted)
    assert lines(found(say)) == []
    edit(root.parent / "copy", "pipelines/churn.yaml", "2Gi", "3Gi")
    assert lines(found(say)) == ["train.memory 2Gi → 3Gi"]
    assert read == ["pipelines/churn.yaml"] * 2


TOKEN = "ghp_" + "abcdefghijklmnopqrstuvwxyz0123456789"


@pytest.mark.parametrize("form", [["text"], ["text", "--objects"], ["markdown"], ["json"]])
@pytest.mark.parametrize("base", ["HEAD", "HEAD~1"])
def test_no_form_shows_what_looks_like_a_secret(root: Path, say: Say, form: list[str], base: str) -> None:
    """A comment stays when the branch is mended. What changed is told all the same, and digests stay whole."""

    def leaky(token: str, password: str) -> dict[str, str]:
        text = spec().replace("name: churn", f"name: churn\ndescription: by {token}\nlabels: {{by: {token}}}", 1)
        return {
            "pipelines/churn.yaml": text.replace(
                "memory: 2Gi}", f"memory: 2Gi, env: {{DB_PASSWORD: {password}, URL: 'https://me:{password}@h.example'}}}}"
            ).replace("python train.py", f'curl -H "Authorization: Bearer {token}" https://h.example; python train.py'),
            "mlgen.yaml": project().replace("memory: 4Gi", f"memory: 4Gi}}\n    labels: {{team: {token}", 1),
            "policies/params.yaml": f"# {token}\n",
        }  # fmt: skip

    first = change(root, leaky(TOKEN, "hunter2hunter2"))
    lay(root, leaky(TOKEN.upper().replace("GHP", "ghp"), "correcthorse99"))
    code, out, err = say("diff", "--base", base, "--format", *form)
    assert (code, err) == (0, "")
    for secret in (TOKEN, TOKEN.upper()[4:], "hunter2", "correcthorse"):
        assert secret[:30] not in out
    assert "***" in out
    if base == "HEAD":
        assert "env.DB_PASSWORD" in out
        assert "description" in out
    if form == ["json"]:
        answer = json.loads(out)
        assert answer["parts"][0]["commits"]["before"] in (first, run_git(root, "rev-parse", "HEAD~1"))
        [churn] = answer["parts"][0]["pipelines"]
        assert all(len(one) == 71 for one in churn["planDigest"].values())
