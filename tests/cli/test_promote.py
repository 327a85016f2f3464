"""`mlgen promote`: the pin moved, the environment rendered, and a pull request that shows just that."""

from __future__ import annotations

import fcntl
import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from mlgen.cli.projects import rewriting
from mlgen.cli.projects.sources import rendering_of
from tests.cli.pinned import FILES, Say, change, project, rendered, spec
from tests.revisions import commit, lay, repository, run_git

ROOT = Path(__file__).parents[2]


def head(root: Path) -> str:
    return run_git(root, "rev-parse", "HEAD")


def changed(root: Path) -> list[str]:
    """What Git says is not as HEAD has it."""
    return sorted(line[3:] for line in run_git(root, "status", "--porcelain", "-uall").splitlines())


def test_a_promotion_keeps_what_argo_cd_is_told(root: Path, say: Say) -> None:
    lay(root, {"mlgen.yaml": f"{project()}repository: https://git.example/acme/ml\nargocd: {{}}\n"})
    say("render")
    commit(root, "rendered")
    told = {
        path: data for path, data in rendered(root, "prod").items() if path.startswith(("argocd/", "manifests/job-"))
    }
    assert len(told) == 3
    lay(root, epochs(2))
    say("render")
    commit(root, "more epochs")
    code, said, _ = say("promote", "--from", "dev", "--to", "prod")
    assert code == 0, said
    assert told.items() <= rendered(root, "prod").items()
    assert say("render", "--check")[0] == 0


def epochs(count: int) -> dict[str, str]:
    return {"pipelines/churn.yaml": spec().replace("epochs 1", f"epochs {count}")}


def test_a_promotion_is_a_pull_request_that_shows_just_that(root: Path, say: Say) -> None:
    # The first pin, on a branch of its own.
    say("render")
    first = commit(root, "rendered")
    run_git(root, "checkout", "-q", "-b", "pin-prod")
    assert say("promote", "--from", "dev", "--to", "prod") == (
        0,
        f"prod  the files as they are → {first[:12]}\n  it renders to the same files as before\n"
        "0 written, 0 removed, 10 unchanged in tekton/\n"
        "mlgen.yaml has the new pin; see mlgen diff --base HEAD --env prod\n",
        "",
    )
    assert changed(root) == ["mlgen.yaml"]
    commit(root, "pin prod")
    run_git(root, "checkout", "-q", "main")
    run_git(root, "merge", "-q", "--no-ff", "pin-prod")
    assert say("render", "--check")[0] == 0
    # A change of a spec reaches dev, and prod not.
    run_git(root, "checkout", "-q", "-b", "epochs")
    lay(root, {**epochs(2), "pipelines/fraud.yaml": spec("fraud")})
    lay(root, {"mlgen.lock": (root / "mlgen.lock").read_text()})
    prod = rendered(root, "prod")
    assert say("render")[0] == 0
    assert rendered(root, "prod") == prod
    wanted = commit(root, "train for\tlonger \x1b[31m and more")
    assert say("render", "--check")[0] == 0
    run_git(root, "checkout", "-q", "main")
    run_git(root, "merge", "-q", "--no-ff", "epochs", "-m", "merged")
    # Prod follows by a pull request of its own.
    run_git(root, "checkout", "-q", "-b", "promote")
    assert say("render", "--check")[0] == 0
    code, out, err = say("promote", "--from", "dev", "--to", "prod")
    assert (code, err) == (0, "")
    assert out.startswith(f"prod  {first[:12]} → {head(root)[:12]}, 4 commits\n  {head(root)[:12]}  merged\n")
    assert f"  {wanted[:12]}  train for\\tlonger \\x1b[31m and more\n" in out
    assert "  new      fraud\n  changed  churn\n" in out
    assert all(path.startswith(("mlgen.yaml", "tekton/prod/")) for path in changed(root))
    assert len(changed(root)) > 3
    assert say("render", "--check")[0] == 0
    commit(root, "promote")
    # Once more is nothing more, though HEAD has moved on.
    code, out, _ = say("promote", "--from", "dev", "--to", "prod")
    assert code == 0
    assert "has nothing else for it\n0 written, 0 removed" in out
    assert changed(root) == []


def test_a_rollback_says_so(root: Path, say: Say) -> None:
    first = head(root)
    change(root, epochs(2), "two")
    last = change(root, epochs(3), "three")
    assert say("promote", "--to", "prod")[0] == 0
    code, out, _ = say("promote", "--to", "prod", "--revision", "HEAD~2")
    assert code == 0
    assert out.startswith(f"prod  {last[:12]} → {first[:12]}, back by 2 commits\n  - {last[:12]}  three\n  - ")
    assert "  changed  churn\n" in out
    assert f'pin: "{first}"' in (root / "mlgen.yaml").read_text()


def test_another_line_of_history_is_told(root: Path, say: Say) -> None:
    assert say("promote", "--to", "prod")[0] == 0
    run_git(root, "checkout", "-q", "-f", "--orphan", "other")
    change(root, {**epochs(2), "mlgen.yaml": project(prod=run_git(root, "rev-parse", "main"))})
    code, out, _ = say("promote", "--to", "prod")
    assert code == 0
    assert ", on another line of history\n" in out


def test_what_is_pinned_is_promoted_as_it_is_pinned(root: Path, say: Say) -> None:
    first = head(root)
    change(root, epochs(2))
    (root / "mlgen.yaml").write_text(project(dev=first))
    lay(root, epochs(5))  # of no account: dev is not read here
    code, out, _ = say("promote", "--from", "dev", "--to", "prod")
    assert code == 0
    assert (root / "mlgen.yaml").read_text().count(f'pin: "{first}"') == 2
    assert out.startswith(f"prod  the files as they are → {first[:12]}\n")
    assert say("promote", "--from", "dev", "--to", "prod")[1].startswith(
        f"prod  stays at {first[:12]}: it is there already\n"
    )


@pytest.mark.parametrize(
    "dirty",
    [
        epochs(2),
        {"pipelines/fraud.yaml": spec("fraud")},
        {"src/train.py": "print(2)\n"},
        {"src/new.py": ""},
        {"data/rows.csv": "id\n2\n"},
        {"mlgen.lock": "version: 1\nimages: {}\n"},
        {"pipelines/tasks/tell.yaml": "version: 1\nkind: task\nname: tell\nimage: a:1\nrun: echo\n"},
    ],
    ids=lambda dirty: next(iter(dirty)),
)
def test_what_is_not_committed_would_not_be_promoted(root: Path, say: Say, dirty: dict[str, str]) -> None:
    lay(root, dirty)
    before = (root / "mlgen.yaml").read_bytes()
    code, out, err = say("promote", "--from", "dev", "--to", "prod")
    (path,) = dirty
    assert (code, out) == (3, "")
    assert f"error[dirty-tree]: 1 file is not as {head(root)[:12]} has them: {path}\n" in err
    (meant,) = re.findall(r"fix  git commit, or git stash\n +fix  for what is committed: mlgen (.*)\n", err)
    assert (root / "mlgen.yaml").read_bytes() == before
    assert not (root / "tekton").exists()
    assert meant == "promote --to prod --revision HEAD"
    assert say(*meant.split())[0] == 0


def test_what_it_does_not_read_may_be_dirty(root: Path, say: Say) -> None:
    lay(root, {"README.md": "x", "tekton/notes": "x", "src/x.pyc": "", ".gitignore": ".mlgen/\n*.pyc\n"})
    (root / "mlgen.yaml").write_text(f"# by hand\n{project()}")
    assert say("promote", "--to", "prod")[0] == 0
    assert (root / "mlgen.yaml").read_text() == f"# by hand\n{project()}".replace(
        "    namespace: ml-prod", f'    pin: "{head(root)}"\n    namespace: ml-prod'
    )


def test_a_dry_run_writes_nothing_and_says_it_all(root: Path, say: Say) -> None:
    say("render")
    first = commit(root)
    say("promote", "--to", "prod")
    commit(root)
    last = change(root, epochs(2), "two")
    before = {p: p.read_bytes() for p in root.rglob("*") if p.is_file() and ".git/" not in str(p)}
    code, out, _ = say("promote", "--to", "prod", "--dry-run", "--format", "json")
    told = json.loads(out)
    (one,) = told["environments"]
    assert code == 0
    assert (one["environment"], one["from"], one["to"], one["moved"], one["commits"]) == ("prod", first, last, True, 2)
    assert one["subjects"][0] == {"commit": last, "subject": "two"}
    assert one["pipelines"] == {"new": [], "changed": ["churn"], "removed": []}
    assert told["dryRun"] is True
    guide = (ROOT / "generator/guides/environments.md").read_text()
    assert all(f"`{key}`" in guide for key in told)
    assert all(f"`{key}`" in guide for key in one if key != "environment")
    assert "prod/manifests/pipeline-churn.yaml" in told["written"]
    assert len(told["removed"]) == 1
    assert {p: p.read_bytes() for p in root.rglob("*") if p.is_file() and ".git/" not in str(p)} == before
    assert say("promote", "--to", "prod", "--dry-run")[1].endswith("would be removed, 7 unchanged in tekton/\n")
    done = json.loads(say("promote", "--to", "prod", "--format", "json")[1])
    assert {**done, "dryRun": True} == told


def test_what_argo_cd_is_told_stays(root: Path, say: Say) -> None:
    text = project().replace("environments:", "repository: https://git.example/acme/ml\nargocd: {}\nenvironments:")
    change(root, {"mlgen.yaml": text})
    assert say("render")[0] == 0
    assert say("promote", "--to", "prod")[0] == 0
    assert any(path.startswith("argocd/") for path in rendered(root, "prod"))
    assert say("render", "--check")[0] == 0


def test_several_environments_move_at_once(root: Path, say: Say) -> None:
    code, out, _ = say("promote", "--to", "dev", "--to", "prod", "--revision", "main")
    assert code == 0
    assert (root / "mlgen.yaml").read_text().count(f'pin: "{head(root)}"') == 2
    assert rendered(root, "dev")
    assert rendered(root, "prod")
    assert "has the new pins" in out


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["--to", "prd"], 2, "did you mean prod?"),
        (["--to", "local"], 2, '"local" is not rendered, so it has no pin'),
        (["--from", "prod", "--to", "prod"], 2, 'error[options]: "prod" has what it has'),
        (["--from", "dev", "--to", "prod", "--revision", "HEAD"], 2, "error[options]: --from and --revision both say"),
        (["--from", "qa", "--to", "prod"], 2, 'there is no environment "qa"'),
        (["--to", "prod", "--revision", "v9"], 2, 'error[no-such-revision]: no commit here is called "v9"'),
        (["--to", "prod", "--revision", "mian"], 2, "fix  did you mean main?"),
        (["--to", "prod", "--revision", "--help"], 2, "why  to git it is an option, or a set of commits\n"),
        (["--to", "prod", "--revision", ""], 2, "error[no-such-revision]: no commit is named\n"),
        (["--to", "prod", "--revision", "HEAD^{tree}"], 2, "error[no-such-revision]"),
        (["--to", "prod", "--revision", "^HEAD"], 2, "error[no-such-revision]"),
        (["--to", "prod", "--revision", "HEAD~1..HEAD"], 2, "error[no-such-revision]"),
        ([], 2, "--to"),
    ],
)
def test_what_is_asked_wrongly_changes_nothing(
    root: Path, say: Say, arguments: list[str], code: int, said: str
) -> None:
    found, out, err = say("promote", *arguments)
    assert (found, out) == (code, "")
    assert said in err
    assert changed(root) == []


def test_a_commit_that_breaks_a_rule_of_the_environment_is_not_promoted(root: Path, say: Say) -> None:
    change(root, {"pipelines/churn.yaml": spec().replace("memory: 2Gi", "memory: 8Gi")})
    code, out, err = say("promote", "--to", "prod")
    assert (code, out) == (1, "")
    assert f"error[over-limit]: prod would be pinned to {head(root)[:12]}, where pipelines/churn.yaml:6 has: " in err
    assert "|   prod:\n" in err  # nothing is quoted that is not there
    assert changed(root) == []
    pinned = run_git(root, "rev-parse", "HEAD~1")
    (root / "mlgen.yaml").write_text(project(prod=pinned))
    code, out, err = say("promote", "--to", "prod")
    assert (code, out) == (1, "")
    assert f"prod would be pinned to {head(root)[:12]}, where" in err
    assert f'|     pin: "{pinned}"' in err


def test_a_pin_that_cannot_be_read_is_mended(root: Path, say: Say) -> None:
    for broken in ("main", "3f786850e387550fdab836ed7e6dc881de23001b"):
        (root / "mlgen.yaml").write_text(project(prod=broken))
        assert say("check")[0] == 1
        assert say("promote", "--to", "prod")[0] == 0
        assert say("check")[0] == 0


def test_a_file_that_is_in_the_way_stops_it_before_anything_is_written(root: Path, say: Say) -> None:
    lay(root, {"tekton/prod/manifests/pipeline-churn.yaml": "mine\n"})
    before = (root / "mlgen.yaml").read_bytes()
    code, _, err = say("promote", "--to", "prod")
    assert code == 2
    assert "error[in-the-way]" in err
    assert (root / "mlgen.yaml").read_bytes() == before
    assert list((root / "tekton/prod/manifests").iterdir()) == [root / "tekton/prod/manifests/pipeline-churn.yaml"]


def test_a_commit_that_nobody_else_has_is_warned_of(root: Path, say: Say, monkeypatch: pytest.MonkeyPatch) -> None:
    run_git(root.parent, "clone", "-q", str(root), "clone")
    monkeypatch.chdir(root.parent / "clone")
    assert say("promote", "--to", "prod")[2] == ""
    lost = change(root.parent / "clone", epochs(2))
    code, _, err = say("promote", "--to", "prod")
    assert code == 0
    assert err.startswith(f"{lost[:12]} is not on origin/main, as it was last fetched: merge it first")


def test_before_the_first_commit_there_is_nothing_to_promote(
    tmp_path: Path, say: Say, monkeypatch: pytest.MonkeyPatch
) -> None:
    lay(tmp_path, {"mlgen.yaml": project(), "pipelines/churn.yaml": spec()})
    monkeypatch.chdir(tmp_path)
    code, _, err = say("promote", "--to", "prod")
    assert code == 3
    assert "error[no-repository]" in err
    run_git(tmp_path, "init", "-q")
    code, _, err = say("promote", "--to", "prod")
    assert code == 2
    assert "why  the repository has no commit yet\n   fix  git commit" in err


def test_an_mlgen_yaml_that_was_edited_meanwhile_is_not_written_over(
    root: Path, say: Say, monkeypatch: pytest.MonkeyPatch
) -> None:
    edited = f"# new\n{project()}"

    def edit(*arguments: object, **options: object) -> object:
        (root / "mlgen.yaml").write_text(edited)
        return rendering_of(*arguments, **options)  # type: ignore[arg-type]

    monkeypatch.setattr("mlgen.cli.projects.promotion.rendering_of", edit)
    code, _, err = say("promote", "--to", "prod")
    assert code == 3
    assert "error[project-changed]" in err
    assert (root / "mlgen.yaml").read_text() == edited


@pytest.mark.parametrize("where", ["subfolder", "worktree", "sha256", "link"])
def test_a_repository_of_any_form_has_promotions(
    tmp_path: Path, say: Say, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    top = tmp_path / "p"
    prefix = "teams/ml/" if where == "subfolder" else ""
    files = {f"{prefix}{name}": text for name, text in FILES.items()}
    first = repository(top, files, object_format="sha256" if where == "sha256" else "sha1")
    if where == "worktree":
        run_git(top, "worktree", "add", "-q", str(tmp_path / "w"))
        top = tmp_path / "w"
    if where == "link":
        (top / "mlgen.yaml").rename(top / "real.yaml")
        (top / "mlgen.yaml").symlink_to("real.yaml")
        first = commit(top)
    monkeypatch.chdir(top / prefix)
    (top / prefix / "mlgen.yaml").chmod(0o640)
    assert say("promote", "--to", "prod")[0] == 0
    assert f'pin: "{first}"' in (top / prefix / "mlgen.yaml").read_text()
    assert (top / prefix / "mlgen.yaml").stat().st_mode & 0o777 == 0o640
    assert (top / prefix / "mlgen.yaml").is_symlink() == (where == "link")
    assert say("render", "--env", "prod", "--check")[0] == 0
    lay(top / prefix, {"src/train.py": "2"})
    code, _, err = say("promote", "--to", "prod")
    assert code == 3
    assert f": {prefix}src/train.py\n" in err


def test_one_that_was_killed_is_finished_by_the_same_command(root: Path, say: Say) -> None:
    say("render")
    commit(root)
    change(root, epochs(2))
    before = (root / "mlgen.yaml").read_bytes()
    script = (
        "import os, signal, sys\n"
        "from mlgen.cli import promote\n"
        "promote._replace = lambda *_: os.kill(os.getpid(), signal.SIGKILL)\n"
        "from mlgen.cli.main import run\n"
        "run(['promote', '--to', 'prod'])\n"
    )
    environ = {**os.environ, "PYTHONPATH": str(ROOT / "generator")}
    done = subprocess.run([sys.executable, "-c", script], cwd=root, env=environ, capture_output=True, check=False)
    assert done.returncode == -signal.SIGKILL
    assert (root / "mlgen.yaml").read_bytes() == before
    assert say("promote", "--to", "prod")[0] == 0
    assert say("render", "--env", "prod", "--check")[0] == 0
    assert f'pin: "{head(root)}"' in (root / "mlgen.yaml").read_text()


def started(root: Path, *arguments: str) -> subprocess.Popen[str]:
    environ = {**os.environ, "PYTHONPATH": str(ROOT / "generator")}
    return subprocess.Popen(
        [sys.executable, "-m", "mlgen", *arguments],
        cwd=root,
        env=environ,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_one_waits_for_another_and_neither_pin_is_lost(root: Path) -> None:
    (root / ".mlgen").mkdir()
    with (root / rewriting.LOCK).open("w") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        with started(root, "promote", "--to", "prod") as process:
            assert process.stderr is not None
            assert process.stderr.readline().startswith("another mlgen changes this project")
            assert not (root / "tekton").exists()
            (root / "mlgen.yaml").write_text(project(dev=head(root)))  # as that other one does at its end
            fcntl.flock(other, fcntl.LOCK_UN)
            _, err = process.communicate(timeout=120)
    assert (process.returncode, err) == (0, "")
    assert (root / "mlgen.yaml").read_text().count(f'pin: "{head(root)}"') == 2


def test_many_at_once_all_succeed(root: Path, say: Say) -> None:
    say("render")
    commit(root)
    change(root, epochs(2))
    processes = [started(root, "promote", "--to", name) for name in ("dev", "prod") * 2]
    said = [process.communicate(timeout=240)[1] for process in processes]
    assert [process.returncode for process in processes] == [0] * 4, said
    assert (root / "mlgen.yaml").read_text().count(f'pin: "{head(root)}"') == 2
    assert say("render", "--check")[0] == 0
    assert sorted(path.name for path in (root / ".mlgen").iterdir()) == [".gitignore", "rewriting.lock"]


def test_its_own_files_are_in_no_commit_whatever_the_author_ignores(root: Path, say: Say) -> None:
    (root / ".gitignore").unlink()
    commit(root)
    assert say("promote", "--to", "prod")[0] == 0
    assert not [path for path in changed(root) if path.startswith(".mlgen")]


def test_a_lock_that_leads_out_of_the_repository_is_not_followed(root: Path, say: Say) -> None:
    (root / ".mlgen").mkdir()
    (root / rewriting.LOCK).symlink_to(root.parent / "elsewhere")
    code, _, err = say("promote", "--to", "prod")
    assert (code, "error[link-out]" in err) == (2, True)
    assert not (root.parent / "elsewhere").exists()


def test_no_subject_shows_what_looks_like_a_secret(root: Path, say: Say) -> None:
    token = "ghp_" + "abcdefghijklmnopqrstuvwxyz0123456789"
    first = head(root)
    change(root, {"mlgen.yaml": project(prod=first)})
    lay(root, epochs(2))
    newest = commit(root, f"use {token}")
    for form in ("text", "json"):
        code, out, _ = say("promote", "--to", "prod", "--dry-run", "--format", form)
        assert code == 0
        assert "use ***" in out
        assert token not in out
        assert newest[:12] in out
