"""The author's repository, real folders and real Git: what belongs to it, and what is refused."""

from __future__ import annotations

import hashlib
import os
import subprocess
from pathlib import Path

import pytest

from mlgen import git
from mlgen.canonical import folder_digest
from mlgen.store.content import measure
from mlgen.worktree import MAX_SPEC_BYTES, Worktree


def sha(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def lay(root: Path, files: dict[str, str]) -> None:
    """Files below a folder."""
    for name, data in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(data)


def run_git(folder: Path, *arguments: str) -> None:
    identity = ("-c", "user.name=a", "-c", "user.email=a@b", "-c", "init.defaultBranch=main")
    subprocess.run(["git", *identity, *arguments], cwd=folder, check=True, capture_output=True)


def tracked(root: Path) -> Worktree:
    """The work tree of a repository, as commands make it."""
    repository = git.discover(root)
    assert repository is not None
    return Worktree(root, boundary=repository.work_tree, tracked=lambda folder: repository.list_files(root / folder))


def test_files_and_folders_are_told_apart(tmp_path: Path) -> None:
    lay(tmp_path, {"a": "", "b/c": ""})
    os.mkfifo(tmp_path / "pipe")
    tree = Worktree(tmp_path)
    assert [tree.kind(p) for p in ("a", "b", "b/c", ".", "no", "a/b", "pipe")] == [
        "file", "folder", "file", "folder", None, None, None,
    ]  # fmt: skip


def test_what_lies_or_leads_outside_is_an_escape(tmp_path: Path) -> None:
    lay(tmp_path, {"outside": "", "repo/inside": "", "repo/sub/x": ""})
    root = tmp_path / "repo"
    for name, target in {"out": "../outside", "up": "..", "in": "sub", "round": "round", "lost": "nowhere"}.items():
        (root / name).symlink_to(target)
    tree = Worktree(root)
    assert {
        p: tree.kind(p) for p in ("../outside", "../no", "out", "up", "up/outside", "in/../../outside")
    } == dict.fromkeys(("../outside", "../no", "out", "up", "up/outside", "in/../../outside"), "escape")
    assert {p: tree.kind(p) for p in ("in", "in/x", "round", "lost")} == {
        "in": "folder", "in/x": "file", "round": None, "lost": None,
    }  # fmt: skip
    with pytest.raises(ValueError, match="outside"):
        tree.read("out")


def test_a_project_in_a_part_of_a_repository_may_name_what_is_beside_it(tmp_path: Path) -> None:
    lay(tmp_path, {"shared/lib.py": "1", "ml/mlgen.yaml": "version: 1"})
    run_git(tmp_path, "init", "-q")
    tree = tracked(tmp_path / "ml")
    assert (tree.kind("../shared"), tree.kind("../..")) == ("folder", "escape")
    assert tree.listing("../shared") == {"lib.py": sha(b"1")}


def test_a_spec_is_read_no_further_than_it_may_be_long(tmp_path: Path) -> None:
    lay(tmp_path, {"big": "x" * (MAX_SPEC_BYTES + 100)})
    assert len(Worktree(tmp_path).read("big")) == MAX_SPEC_BYTES + 1


def test_a_folder_of_code_is_what_git_tracks_or_would(tmp_path: Path) -> None:
    lay(
        tmp_path,
        {
            ".gitignore": "*.log\n", "src/train.py": "1", "src/deep/lib.py": "2", "src/new.py": "3", "src/x.log": "4",
            "src/__pycache__/lib.pyc": "5", ".mlgen/runs/x": "6", "src/gone.py": "7", "src/with space é.py": "8",
        },
    )  # fmt: skip
    (tmp_path / "src" / "empty").mkdir()
    run_git(tmp_path, "init", "-q")
    run_git(tmp_path, "add", "src/train.py", "src/deep", "src/gone.py")
    run_git(tmp_path, "commit", "-q", "-m", "x")
    (tmp_path / "src" / "gone.py").unlink()
    tree = tracked(tmp_path)
    assert tree.listing("src") == {
        "train.py": sha(b"1"), "deep/lib.py": sha(b"2"), "new.py": sha(b"3"), "with space é.py": sha(b"8"),
    }  # fmt: skip
    assert tree.files("src")["deep/lib.py"] == tmp_path / "src/deep/lib.py"
    assert not [name for name in tree.listing(".") if name.startswith((".mlgen", ".git/"))]


def test_without_git_a_folder_is_all_that_lies_in_it(tmp_path: Path) -> None:
    lay(tmp_path, {"src/a.py": "1", "src/__pycache__/a.pyc": "2", "src/b/c": "3", "src/.mlgen/x": "4"})
    tree = Worktree(tmp_path)
    assert tree.listing("src") == {"a.py": sha(b"1"), "b/c": sha(b"3")}


@pytest.mark.parametrize("with_git", [False, True])
def test_links_in_folders_are_refused(tmp_path: Path, with_git: bool) -> None:
    lay(tmp_path, {"src/a": "1", "other/b": "2", "data/c": "3"})
    (tmp_path / "src" / "link").symlink_to("../other")
    (tmp_path / "data" / "link").symlink_to("c")
    if with_git:
        run_git(tmp_path, "init", "-q")
    tree = tracked(tmp_path) if with_git else Worktree(tmp_path)
    with pytest.raises(ValueError, match='"src/link" is a link'):
        tree.listing("src")
    with pytest.raises(ValueError, match='"data/link" is a link'):
        tree.sha256("data")


def test_a_repository_in_a_folder_of_code_is_refused(tmp_path: Path) -> None:
    lay(tmp_path, {"src/a": "1", "src/sub/b": "2"})
    run_git(tmp_path, "init", "-q")
    run_git(tmp_path / "src/sub", "init", "-q")
    with pytest.raises(ValueError, match='"src/sub" is another repository'):
        tracked(tmp_path).listing("src")


def test_a_name_that_is_not_utf8_is_refused(tmp_path: Path) -> None:
    (tmp_path / "src").mkdir()
    Path(os.fsdecode(os.fsencode(tmp_path / "src") + b"/caf\xe9")).write_bytes(b"")
    with pytest.raises(ValueError, match="not UTF-8"):
        Worktree(tmp_path).listing("src")


def test_digests_are_those_of_sha256sum(tmp_path: Path) -> None:
    lay(tmp_path, {"data/b": "2", "data/a/c": "1"})
    tree = Worktree(tmp_path)
    assert tree.sha256("data/b") == f"sha256:{sha(b'2')}"
    lines = f"{sha(b'2')}  b\n{sha(b'1')}  a/c\n".splitlines(keepends=True)
    assert tree.sha256("data") == folder_digest({"a/c": sha(b"1"), "b": sha(b"2")})
    assert tree.sha256("data") == f"sha256:{sha(''.join(sorted(lines)).encode())}"


@pytest.mark.parametrize("name", ["a\n" + "0" * 64 + "  b", "a\tb", "a\x7f"])
def test_a_name_with_a_control_character_is_refused(tmp_path: Path, name: str) -> None:
    lay(tmp_path, {f"code/{name}": ""})
    for ask in (Worktree(tmp_path).listing, Worktree(tmp_path).sha256):
        with pytest.raises(ValueError, match="control character"):
            ask("code")


def test_a_folder_with_a_pipe_is_refused(tmp_path: Path) -> None:
    lay(tmp_path, {"data/a": ""})
    os.mkfifo(tmp_path / "data/pipe")
    for ask in (Worktree(tmp_path).listing, Worktree(tmp_path).sha256):
        with pytest.raises(ValueError, match='"data/pipe" is a pipe'):
            ask("data")


def test_a_link_in_the_place_of_a_tracked_folder_is_refused(tmp_path: Path) -> None:
    lay(tmp_path, {"outside/hosts": "secret", "repo/code/d/e/hosts": "1"})
    root = tmp_path / "repo"
    run_git(root, "init", "-q")
    run_git(root, "add", ".")
    (root / "code/d/e/hosts").unlink()
    (root / "code/d/e").rmdir()
    (root / "code/d/e").symlink_to(tmp_path / "outside")
    with pytest.raises(ValueError, match='"code/d/e" is a link'):
        tracked(root).listing("code")


def test_an_input_has_the_digest_that_a_run_finds(tmp_path: Path) -> None:
    lay(tmp_path, {"data/a": "1", "data/__pycache__/b": "2", "data/.mlgen/c": "3"})
    assert Worktree(tmp_path).sha256("data") == measure(tmp_path / "data").digest


@pytest.mark.parametrize("path", [".", "..", "../.git/config", ".mlgen", ".mlgen/runs", "link"])
def test_what_git_and_runs_keep_is_no_input(tmp_path: Path, path: str) -> None:
    lay(tmp_path, {".git/config": "", "ml/.mlgen/runs/x": ""})
    (tmp_path / "ml/link").symlink_to(".mlgen/runs")
    with pytest.raises(ValueError, match="keep"):
        Worktree(tmp_path / "ml", boundary=tmp_path).sha256(path)
