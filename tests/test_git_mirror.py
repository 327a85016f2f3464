"""A mirror of a branch elsewhere: what it saw last is not forgotten, and another history is judged."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from shutil import rmtree

import pytest

from mlgen import git
from mlgen.git import Remote, Rewritten
from tests import git_host
from tests.git_host import GitHost, secret
from tests.test_git_remote import ENVIRON, REF, SETTINGS, call


class Refused(Exception):
    """What a judge says."""


@pytest.fixture
def kind() -> str:
    return "single"


@pytest.fixture
def host(kind: str, tmp_path: Path) -> Iterator[GitHost]:
    with git_host.serve(tmp_path / "host") as host:
        host.repository("l", **SETTINGS[kind])
        host.old = kind == "old protocol"
        yield host


def far(host: GitHost, tmp_path: Path, name: str = "mirror") -> Remote:
    token = secret(tmp_path / "secret")
    return git.open_remote(f"{host.url}/l.git", secret=token, scratch=tmp_path / name, environ=ENVIRON)


def there(host: GitHost) -> git.Repository:
    return git.init_bare(host.root / "l.git", ENVIRON)


def add(host: GitHost, name: str, *, after: str | None = None, alone: bool = False) -> str:
    """A commit with a file, on the tip, on another commit, or on none; the branch is at it then."""
    here = there(host)
    tip = here.tip(REF)
    parent = None if alone else after or tip
    oid = here.commit({f"runs/{name}.json": name.encode()}, parent=parent, message=name, seconds=0)
    here.move_ref(REF, oid, old=tip)
    return oid


def seen(host: GitHost, tmp_path: Path) -> tuple[list[Rewritten], set[str]]:
    """(what was judged, the files that the mirror has then)."""
    judged: list[Rewritten] = []
    mirror = git.refresh(far(host, tmp_path), "ledger", judge=judged.append)
    tip = mirror.tip(REF)
    return judged, {file.path for file in mirror.tree_files(tip, "runs")} if tip else set()


@pytest.mark.parametrize("kind", SETTINGS)
def test_what_goes_on_is_not_judged(host: GitHost, tmp_path: Path) -> None:
    assert seen(host, tmp_path) == ([], set())
    for names in (["a"], ["b"], ["c", "d"], []):
        for name in names:
            add(host, name)
        judged, files = seen(host, tmp_path)
        assert judged == []
    assert files == {"runs/a.json", "runs/b.json", "runs/c.json", "runs/d.json"}


CASES = [*((kind, "begun anew") for kind in SETTINGS), ("single", "cut"), ("single", "forked")]


@pytest.mark.parametrize(("kind", "how"), CASES)
def test_another_history_is_judged(host: GitHost, tmp_path: Path, how: str) -> None:
    first = add(host, "a")
    add(host, "b")
    seen(host, tmp_path)
    known = add(host, "c")
    seen(host, tmp_path)
    if how == "cut":
        there(host).move_ref(REF, first, old=known)
        new = first
    else:
        new = add(host, "x", alone=how == "begun anew", after=first)
    new = add(host, "y") if how != "cut" else new
    judged, files = seen(host, tmp_path)
    assert [(one.known, one.tip) for one in judged] == [(known, new)]
    assert judged[0].known_commit == there(host).run("cat-file", "commit", known)
    if how == "begun anew":
        assert judged[0].root == there(host).run("rev-list", "--max-parents=0", new).decode().strip()
        assert judged[0].root_commit == there(host).run("cat-file", "commit", judged[0].root)
        assert not judged[0].has_root
        assert files == {"runs/x.json", "runs/y.json"}
    assert seen(host, tmp_path)[0] == [], "what was believed is known"


def test_a_history_that_is_refused_changes_nothing(host: GitHost, tmp_path: Path) -> None:
    known = add(host, "a")
    seen(host, tmp_path)
    add(host, "x", alone=True)

    def refuse(_: Rewritten) -> None:
        raise Refused

    for _ in range(2):
        with pytest.raises(Refused):
            git.refresh(far(host, tmp_path), "ledger", judge=refuse)
    mirror = git.kept(far(host, tmp_path), "ledger")
    assert mirror is not None
    assert mirror[0].tip(REF) == known


def test_what_is_known_outlives_the_files_and_a_branch_that_was_away(host: GitHost, tmp_path: Path) -> None:
    known = add(host, "a")
    seen(host, tmp_path)
    rmtree(tmp_path / "mirror" / "objects.git")
    there(host).run("update-ref", "-d", REF)
    assert seen(host, tmp_path) == ([], set())
    add(host, "x", alone=True)
    judged, _ = seen(host, tmp_path)
    assert [one.known for one in judged] == [known]


@pytest.mark.parametrize("goes_on", [True, False])
def test_what_is_known_outlives_what_knew_it(host: GitHost, tmp_path: Path, goes_on: bool) -> None:
    known = add(host, "a")
    seen(host, tmp_path)
    rmtree(tmp_path / "mirror" / "commits.git" / "objects")
    add(host, "b", alone=not goes_on)
    judged, files = seen(host, tmp_path)
    assert [one.known for one in judged] == ([] if goes_on else [known])
    assert files == ({"runs/a.json", "runs/b.json"} if goes_on else {"runs/b.json"})
    assert seen(host, tmp_path)[0] == []


def test_a_mirror_from_before_there_was_a_judge(host: GitHost, tmp_path: Path) -> None:
    add(host, "a")
    add(host, "b")
    git.refresh(far(host, tmp_path), "ledger")
    add(host, "c")
    assert seen(host, tmp_path)[0] == []
    add(host, "x", alone=True)
    assert len(seen(host, tmp_path)[0]) == 1


def test_only_commits_are_fetched_to_judge_by(host: GitHost, tmp_path: Path) -> None:
    for name in "abcd":
        add(host, name)
        seen(host, tmp_path)
    kinds = call(tmp_path / "mirror" / "commits.git", "cat-file", "--batch-check", "--batch-all-objects")
    assert [line.split()[1] for line in kinds.splitlines()] == ["commit"] * 4
