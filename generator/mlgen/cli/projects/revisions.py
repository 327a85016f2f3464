"""The revisions that people name: the commit that is meant, or why it is not here and the command that brings it."""

from __future__ import annotations

import re
import shlex
from difflib import get_close_matches
from pathlib import Path

from mlgen import git
from mlgen.diagnostic import CannotAnswer, Misuse
from mlgen.git import history, revision

UNSHALLOW = "git fetch --unshallow\nin CI: fetch-depth: 0, where the repository is checked out"
_ID = re.compile(r"[0-9a-f]{40}([0-9a-f]{24})?")


def repository_of(repository: git.Repository | None, root: Path) -> git.Repository:
    """The repository around a project, with its work tree. Raises CannotAnswer "no-repository"."""
    if repository is None or repository.work_tree is None:
        without = "in no Git repository" if repository is None else "in a Git repository without a work tree"
        raise CannotAnswer(
            "no-repository",
            f"{root} is {without}",
            why="other revisions of a project are read from its history",
            fix="git init, or run it in a clone that has a work tree",
        )
    return repository


def below(repository: git.Repository, root: Path) -> str:
    """A project's folder as a posix path below the repository's top; "" for the top."""
    assert repository.work_tree is not None
    found = root.relative_to(repository.work_tree.resolve()).as_posix()
    return "" if found == "." else found


def commit_of(repository: git.Repository, name: str) -> str:
    """The id of the commit that a revision names.

    Raises Misuse "no-such-revision", CannotAnswer "shallow-clone" where the history here does not go back so far.
    """
    if not name:
        why, fix = "its name is empty, as a variable is that nobody set", "name one, or leave the option out"
        raise Misuse("no-such-revision", "no commit is named", why=why, fix=fix)
    found = repository.resolve(name) if "\n" not in name and "\0" not in name and len(name) < 1000 else None
    if found is not None:
        return found
    if name.startswith(("-", "^")) or ".." in name:
        why, fix = "to git it is an option, or a set of commits", "name one commit, by a branch, a tag or its id"
        raise Misuse("no-such-revision", f'no commit here is called "{name[:80]}"', why=why, fix=fix)
    if history.is_shallow(repository) and not _is_ref(repository, name):
        raise shallow(f'"{name[:80]}" may be older than what this shallow clone has')
    why, fix = _missing(repository, name)
    raise Misuse("no-such-revision", f'no commit here is called "{name[:80]}"', why=why, fix=fix)


def merge_base(repository: git.Repository, one: str, other: str) -> str | None:
    """The commit that two, by their ids, have in common last; None where they have none.

    Raises CannotAnswer "shallow-clone" where it may only be that it is not here.
    """
    found = revision.merge_base(repository, one, other)
    if found is None and history.is_shallow(repository):
        raise shallow(f"what {one[:12]} and {other[:12]} have in common is not in this shallow clone")
    return found


def shallow(message: str) -> CannotAnswer:
    """History that is wanted was left out when the repository was cloned."""
    return CannotAnswer("shallow-clone", message, why="only the last commits were fetched", fix=UNSHALLOW)


def _is_ref(repository: git.Repository, name: str) -> bool:
    """Whether it looks like the name of a branch that was not fetched: of another than what a shallow clone has."""
    return (
        "/" in name
        and not any(mark in name for mark in "~^@:")
        and name.partition("/")[0] in revision.remotes(repository)
    )


def _missing(repository: git.Repository, name: str) -> tuple[str, str]:
    """Why a revision is not here, and the command that brings it."""
    if repository.head() is None and name in ("HEAD", "@"):
        return "the repository has no commit yet", "git commit"
    remotes = revision.remotes(repository)
    remote, _, branch = name.partition("/")
    if remote in remotes and branch:
        plain = re.split(r"[~^@:]", branch)[0]
        fetch = f"git fetch {shlex.quote(remote)} {shlex.quote(f'+refs/heads/{plain}:refs/remotes/{remote}/{plain}')}"
        return "the branch was not fetched, or is not there", fetch
    if near := get_close_matches(name, revision.names(repository), n=3):
        return "", f"did you mean {' or '.join(near)}?"
    if not remotes:
        return "the repository has no remote it could be fetched from", "git log --oneline lists the commits"
    target = name if _ID.fullmatch(name) else ""
    return "it may not have been fetched", f"git fetch {shlex.quote(remotes[0])} {target}".rstrip()
