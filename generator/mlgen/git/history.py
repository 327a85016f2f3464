"""A branch's history: its commits, from the first to the last.

Only what the objects themselves say: replaced objects, grafts and commit-graph files, which may tell another history,
are not looked at. Source: git-rev-list(1); Documentation/config/core.txt, core.commitGraph.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from dataclasses import dataclass

from mlgen.git import command
from mlgen.git.command import GitError
from mlgen.git.repository import Repository

_MEMORY_MIB = 1024  # of a git process that reads what a stranger may have made
_NOWHERE = f"{os.devnull}/none"  # a path that nobody can make


@dataclass(frozen=True, slots=True)
class Commit:
    """A commit as git lists it. seconds: since 1970, by the committer's clock."""

    oid: str
    parents: tuple[str, ...]
    seconds: int


def commits(repository: Repository, tip: str, *, since: str | None = None) -> Iterator[Commit]:
    """The commits that lead to a tip, parents before children; since: those that do not lead to this one.

    Raises GitError where one is missing.
    """
    arguments = ["rev-list", "--topo-order", "--reverse", "--parents", "--timestamp", "--end-of-options", tip]
    process = command.start(
        [*_plainly(repository), *arguments, *([f"^{since}"] if since else [])],
        environ=_environ(repository),
        cwd=repository.git_dir,
        memory_mib=_MEMORY_MIB,
    )
    with command.printing(process) as lines:
        for line in lines:
            seconds, oid, *parents = line.decode().split()
            yield Commit(oid, tuple(parents), int(seconds))


def is_ancestor(repository: Repository, earlier: str, later: str) -> bool:
    """Whether a commit, by its id, is another or leads to it; also False for one that is not there."""
    if earlier == later:
        return True
    arguments = ["merge-base", "--is-ancestor", "--end-of-options", earlier, later]
    with command.start(
        [*_plainly(repository), *arguments], environ=_environ(repository), cwd=repository.git_dir
    ) as process:
        process.communicate()
    return process.returncode == 0


def is_shallow(repository: Repository) -> bool:
    """Whether the repository has, on purpose, only the last part of some history."""
    return repository.run("rev-parse", "--is-shallow-repository").strip() == b"true"


def is_partial(repository: Repository) -> bool:
    """Whether the repository left out, on purpose, some objects that it could fetch when it needs them."""
    try:
        return bool(repository.run("config", "--get-regexp", r"^(remote\..*\.promisor|extensions\.partialclone)$"))
    except GitError:  # there are no such settings
        return False


def id_of(kind: str, data: bytes, object_format: str) -> str:
    """The id that an object of these bytes has. Source: git's Documentation/gitformat-pack, "object"."""
    digest = hashlib.sha256 if object_format == "sha256" else hashlib.sha1
    return digest(b"%s %d\0%s" % (kind.encode(), len(data), data)).hexdigest()


def _plainly(repository: Repository) -> list[str]:
    return ["-c", "core.commitGraph=false", "--git-dir", str(repository.git_dir)]


def _environ(repository: Repository) -> dict[str, str]:
    return {**repository.environ, "GIT_GRAFT_FILE": _NOWHERE}
