"""What people call a commit by, and how commits are told to them, whatever their authors wrote."""

from __future__ import annotations

from pathlib import Path

import pytest

from mlgen import git
from mlgen.git import revision
from tests.revisions import commit, repository, run_git


@pytest.fixture
def root(tmp_path: Path) -> Path:
    repository(tmp_path, {"a": "1"})
    commit(tmp_path, "two")
    return tmp_path


def found(root: Path) -> git.Repository:
    repository = git.discover(root)
    assert repository is not None
    return repository


def by_hand(root: Path, message: bytes, *, encoding: str = "") -> str:
    """A commit upon HEAD with any bytes for its message; its id."""
    head = run_git(root, "cat-file", "commit", "HEAD").partition("\n\n")[0]
    lines = [line for line in head.splitlines() if not line.startswith(("parent ", "encoding "))]
    lines.insert(1, f"parent {run_git(root, 'rev-parse', 'HEAD')}")
    lines += [f"encoding {encoding}"] if encoding else []
    data = "\n".join(lines).encode() + b"\n\n" + message
    oid = run_git(root, "hash-object", "-t", "commit", "-w", "--stdin", data=data)
    run_git(root, "reset", "-q", "--hard", oid)
    return oid


def test_each_commit_has_its_own_subject_whatever_the_others_say(root: Path) -> None:
    first = run_git(root, "rev-list", "--max-parents=0", "HEAD")
    wanted = [(run_git(root, "rev-parse", "HEAD"), "two")]
    for message, encoding, text in [
        (b"", "", ""),
        (b"\n\n\n", "", ""),
        (b"commit " + b"1" * 40 + b"\n", "", "commit " + "1" * 40),
        ("größer".encode("latin-1"), "ISO-8859-1", "größer"),
        ("a\nb".encode("utf-16"), "UTF-16", "\ufffd\ufffda"),  # to git, a text ends at a NUL
        (b"\xff\xfe", "", "\ufffd\ufffd"),
        (b"last\n\nmore", "", "last"),
    ]:
        wanted.insert(0, (by_hand(root, message, encoding=encoding), text))
    run_git(root, "config", "i18n.logOutputEncoding", "UTF-16")
    head = run_git(root, "rev-parse", "HEAD")
    told = [(one.oid, one.text) for one in revision.subjects(found(root), first, head, most=10)]
    assert told == wanted
    assert [one.text for one in revision.subjects(found(root), first, head, most=2)] == ["last", "\ufffd\ufffd"]


@pytest.mark.parametrize("name", ["^HEAD", "^main", "HEAD~1..HEAD", "main...HEAD~1", "HEAD^!", "HEAD^@", "HEAD^-", ""])
def test_what_names_a_set_of_commits_names_none(root: Path, name: str) -> None:
    assert found(root).resolve(name) is None


@pytest.mark.parametrize("name", ["HEAD", "@", "main", "HEAD~1", "HEAD^", "main@{0}"])
def test_what_names_a_commit_is_its_id(root: Path, name: str) -> None:
    assert found(root).resolve(name) == run_git(root, "rev-parse", name)
