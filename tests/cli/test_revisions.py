"""Other revisions of a project: the same project, or why it is not here and the command that brings it."""

from __future__ import annotations

import dataclasses
import os
import shlex
import shutil
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mlgen import git
from mlgen.cli.projects import revisions
from mlgen.cli.projects.workspace import Workspace
from mlgen.diagnostic import CannotAnswer, Fault, Misuse
from mlgen.plan.text import to_json
from tests.cli.pinned import FILES, change, make, spec
from tests.revisions import commit, lay, repository, run_git
from tests.strategies import POOLS, source, specs

EXAMPLES = Path(__file__).parents[1] / "examples"


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    make(tmp_path / "r")
    monkeypatch.chdir(tmp_path / "r")
    return tmp_path / "r"


def repository_at(folder: Path) -> git.Repository:
    found = git.discover(folder)
    assert found is not None
    return found


def plans(workspace: Workspace) -> list[object]:
    """All that is planned, digests and places included."""
    return [dataclasses.asdict(plan) for plan in workspace.plans(workspace.listed)]


@pytest.mark.parametrize("example", sorted(path.name for path in EXAMPLES.iterdir() if (path / "mlgen.yaml").exists()))
@pytest.mark.parametrize("below", ["", "teams/ml"])
def test_a_clean_work_tree_and_its_commit_are_planned_alike(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, example: str, below: str
) -> None:
    shutil.copytree(EXAMPLES / example, tmp_path / below, dirs_exist_ok=True)
    repository(tmp_path, {})
    monkeypatch.chdir(tmp_path / below)
    here = Workspace.around()
    there = here.at("HEAD")
    assert plans(here) == plans(there)
    assert plans(here)
    assert there.project == here.project
    assert there.lock == here.lock
    assert there.check(there.listed) == here.check(here.listed)


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(spec=specs(), data=st.binary(max_size=40), crlf=st.booleans())
def test_any_clean_work_tree_and_its_commit_are_planned_alike(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, spec: dict[str, Any], data: bytes, crlf: bool
) -> None:
    root = tmp_path / "r"
    shutil.rmtree(root, ignore_errors=True)
    pools = ", ".join(f"{pool}: {{resource: nvidia.com/gpu}}" for pool in POOLS)
    lay(root, {"mlgen.yaml": f"version: 1\nenvironments: {{local: {{gpus: {{{pools}}}}}}}\n", "lib/lib.py": ""})
    for path, content in {
        f"pipelines/{spec['name']}.yaml": source(spec),
        "src/train.py": data,
        "data/labels.csv": data,
    }.items():
        (root / path).parent.mkdir(exist_ok=True)
        (root / path).write_bytes(content.replace(b"\n", b"\r\n") if crlf else content)
    repository(root, {})
    monkeypatch.chdir(root)
    here = Workspace.around()
    there = here.at("HEAD")
    assert there.check(there.listed) == here.check(here.listed)
    assert plans(there) == plans(here)


def test_nothing_of_a_revision_comes_from_here(root: Path) -> None:
    before = plans(Workspace.around())
    first = run_git(root, "rev-parse", "HEAD")
    shutil.rmtree(root / "src")
    lay(root, {"mlgen.yaml": "version: 1\n", "mlgen.lock": "version: 1\nimages: {}\n", "pipelines/churn.yaml": "x"})
    there = Workspace.around().at(first)
    assert plans(there) == before
    assert there.project.environment("prod") is not None
    assert run_git(root, "status", "--porcelain").splitlines() == [
        " M mlgen.lock", " M mlgen.yaml", " M pipelines/churn.yaml", " D src/train.py",
    ]  # fmt: skip


def test_a_project_that_was_not_there_yet_is_empty(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    repository(tmp_path, {"README": ""})
    change(tmp_path, {f"ml/{name}": text for name, text in FILES.items()})
    monkeypatch.chdir(tmp_path / "ml")
    there = Workspace.around().at("HEAD~1")
    assert there.listed == []
    assert there.project.rendered == ()
    assert there.check([]) == []


def test_a_commit_is_found_by_any_of_its_names(root: Path) -> None:
    first = run_git(root, "rev-parse", "HEAD")
    run_git(root, "tag", "-m", "x", "v1")
    last = commit(root)
    run_git(root, "branch", "topic/a")
    found = repository_at(root)
    for name in (first, first[:9], "v1", "HEAD~1", "main^", "topic/a~1"):
        assert revisions.commit_of(found, name) == first, name
    for name in ("HEAD", "@", "main", "topic/a", "heads/main"):
        assert revisions.commit_of(found, name) == last, name


@pytest.mark.parametrize("name", ["", "-h", "--all", "a\nb", "x" * 2000, "HEAD:", "HEAD^{blob}", "HEAD..main", "é\x00"])
def test_what_names_no_commit_is_refused(root: Path, name: str) -> None:
    with pytest.raises(Misuse) as refused:
        revisions.commit_of(repository_at(root), name)
    assert refused.value.code == "no-such-revision"


def test_a_slip_of_the_pen_is_guessed(root: Path) -> None:
    run_git(root, "branch", "feature/gates")
    with pytest.raises(Misuse) as refused:
        revisions.commit_of(repository_at(root), "feature/gate")
    assert refused.value.fix == "did you mean feature/gates?"


def clone(root: Path, *options: str) -> Path:
    run_git(root.parent, "clone", "-q", *options, f"file://{root}", "clone")
    return root.parent / "clone"


def fixed(folder: Path, fault: Fault) -> None:
    """Do what a fault says mends it: the first line."""
    command = shlex.split(fault.fix.splitlines()[0])
    assert command[:2] == ["git", "fetch"]
    run_git(folder, *command[1:])


def test_a_branch_that_was_not_fetched_is_fetched_by_the_command_that_is_told(root: Path) -> None:
    run_git(root, "branch", "other")
    there = clone(root, "--single-branch", "--branch", "main")
    found = repository_at(there)
    with pytest.raises(Misuse) as refused:
        revisions.commit_of(found, "origin/other")
    assert refused.value.code == "no-such-revision"
    fixed(there, refused.value)
    assert revisions.commit_of(found, "origin/other") == run_git(root, "rev-parse", "other")


def test_a_commit_that_was_not_fetched_is_fetched_by_the_command_that_is_told(root: Path) -> None:
    there = clone(root)
    later = commit(root)
    found = repository_at(there)
    with pytest.raises(Misuse) as refused:
        revisions.commit_of(found, later)
    fixed(there, refused.value)
    assert revisions.commit_of(found, later) == later


@pytest.mark.parametrize("name", ["HEAD~2", "origin/main~2", "FIRST"])
def test_what_a_shallow_clone_lacks_is_fetched_by_the_command_that_is_told(root: Path, name: str) -> None:
    first = run_git(root, "rev-parse", "HEAD")
    commit(root)
    commit(root)
    there = clone(root, "--depth", "1")
    found = repository_at(there)
    name = first if name == "FIRST" else name
    with pytest.raises(CannotAnswer) as refused:
        revisions.commit_of(found, name)
    assert refused.value.code == "shallow-clone"
    assert "fetch-depth: 0" in refused.value.fix
    fixed(there, refused.value)
    assert revisions.commit_of(found, name) == first


def test_what_two_have_in_common_may_be_what_a_shallow_clone_lacks(root: Path) -> None:
    base = run_git(root, "rev-parse", "HEAD")
    run_git(root, "checkout", "-q", "-b", "topic")
    topic = commit(root, "topic")
    run_git(root, "checkout", "-q", "main")
    main = commit(root, "main")
    assert revisions.merge_base(repository_at(root), main, topic) == base
    there = clone(root, "--depth", "1", "--no-single-branch")
    found = repository_at(there)
    with pytest.raises(CannotAnswer) as refused:
        revisions.merge_base(found, main, topic)
    assert refused.value.code == "shallow-clone"
    fixed(there, refused.value)
    assert revisions.merge_base(found, main, topic) == base


def test_two_that_never_met_have_nothing_in_common(root: Path) -> None:
    main = run_git(root, "rev-parse", "HEAD")
    run_git(root, "checkout", "-q", "--orphan", "other")
    assert revisions.merge_base(repository_at(root), main, commit(root, "other")) is None


def test_without_a_work_tree_or_a_repository_there_are_no_revisions(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_git(tmp_path, "clone", "-q", "--bare", str(root), "bare.git")
    lay(tmp_path / "bare.git", FILES)  # as a hook of a server might
    (tmp_path / "none").mkdir()
    for folder in ("bare.git", "none"):
        monkeypatch.chdir(tmp_path / folder)
        with pytest.raises(CannotAnswer) as refused:
            Workspace.around().at("HEAD")
        assert refused.value.code == "no-repository"


@pytest.mark.parametrize("where", ["worktree", "detached", "sha256"])
def test_a_repository_of_any_form_has_revisions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: str) -> None:
    root = tmp_path / "r"
    repository(root, FILES, object_format="sha256" if where == "sha256" else "sha1")
    if where == "worktree":
        run_git(root, "worktree", "add", "-q", str(tmp_path / "w"))
        root = tmp_path / "w"
    if where == "detached":
        run_git(root, "checkout", "-q", "--detach")
    monkeypatch.chdir(root)
    here = Workspace.around()
    before = plans(here.at("HEAD"))
    assert before == plans(here)
    lay(root, {"src/train.py": "2"})
    assert plans(Workspace.around()) != before == plans(Workspace.around().at("HEAD"))


def test_a_link_in_the_commit_is_followed_inside_and_told_outside(root: Path) -> None:
    lay(root, {"shared/churn.yaml": spec()})
    (root / "pipelines/churn.yaml").unlink()
    (root / "pipelines/churn.yaml").symlink_to("../shared/churn.yaml")
    (root / "pipelines/out.yaml").symlink_to("../../etc/passwd")
    os.symlink("/etc/passwd", root / "pipelines/far.yaml")
    commit(root)
    here = Workspace.around()
    there = here.at("HEAD")
    for workspace in (here, there):
        assert workspace.candidates(None)[0] == ["pipelines/churn.yaml"]
        assert [one.span.file for one in workspace.candidates(None)[1]] == ["pipelines/far.yaml", "pipelines/out.yaml"]
    assert to_json(there.plans(["pipelines/churn.yaml"])[0]) == to_json(here.plans(["pipelines/churn.yaml"])[0])
