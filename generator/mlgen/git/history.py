"""A branch's history: its commits from the first to the last, and what each one changes, as streams.

Only what the objects themselves say: replaced objects, grafts and commit-graph files, which may tell another history,
are not looked at. Source: git-rev-list(1), git-diff-tree(1); Documentation/config/core.txt, core.commitGraph.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from subprocess import Popen

from mlgen.git import command
from mlgen.git.command import GitError
from mlgen.git.repository import Repository

AT_ONCE = 400  # commits asked for in one go: their ids fit into a pipe, whose other end may be busy answering
_MEMORY_MIB = 1024  # of a git process that reads what a stranger may have made
_CHUNK = 1 << 16


@dataclass(frozen=True, slots=True)
class Commit:
    """A commit as git lists it. seconds: since 1970, by the committer's clock."""

    oid: str
    parents: tuple[str, ...]
    seconds: int


@dataclass(frozen=True, slots=True)
class Change:
    """A path that a commit has otherwise than its first parent.

    status: A (added), M (other bytes or mode), D (deleted), T (other kind). mode, oid: of what is there now, zeros
    where nothing is; old_oid: of what was there.
    """

    status: str
    mode: str
    oid: str
    old_oid: str
    path: str


def commits(repository: Repository, tip: str, *, since: str | None = None) -> Iterator[Commit]:
    """The commits that lead to a tip, parents before children; since: those that do not lead to this one.

    Raises GitError where one is missing.
    """
    arguments = ["rev-list", "--topo-order", "--reverse", "--parents", "--timestamp", "--end-of-options", tip]
    with _reading(repository, [*arguments, *([f"^{since}"] if since else [])]) as process:
        assert process.stdout is not None
        for line in process.stdout:
            seconds, oid, *parents = line.decode().split()
            yield Commit(oid, tuple(parents), int(seconds))


def changes(repository: Repository, asked: Sequence[Commit]) -> Generator[tuple[Commit, Change]]:
    """What each of some commits, AT_ONCE at most, changes against its first parent; nothing for one that does not.

    Close it where it is not read to its end: a commit may change more paths than anybody could count.
    """
    lines = "".join(" ".join((c.oid, *c.parents[:1])) + "\n" for c in asked)
    known = {commit.oid: commit for commit in asked}
    with _reading(repository, ["diff-tree", "--stdin", "-r", "-z", "--root", "--no-renames"], lines) as process:
        at: Commit | None = None
        parts = _parts(process)
        for part in parts:
            if not part.startswith(b":"):  # "<id of the commit>", before what it changes
                at = known[part.decode()]
                continue
            assert at is not None
            _, mode, old_oid, oid, status = part[1:].decode().split(" ")
            yield at, Change(status, mode, oid, old_oid, next(parts).decode(errors="surrogateescape"))


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


def id_of(kind: str, data: bytes, object_format: str) -> str:
    """The id that an object of these bytes has. Source: git's Documentation/gitformat-pack, "object"."""
    digest = hashlib.sha256 if object_format == "sha256" else hashlib.sha1
    return digest(b"%s %d\0%s" % (kind.encode(), len(data), data)).hexdigest()


def _plainly(repository: Repository) -> list[str]:
    return ["-c", "core.commitGraph=false", "--git-dir", str(repository.git_dir)]


def _environ(repository: Repository) -> dict[str, str]:
    return {**repository.environ, "GIT_GRAFT_FILE": os.devnull}


@contextmanager
def _reading(repository: Repository, arguments: Sequence[str], lines: str = "") -> Iterator[Popen[bytes]]:
    """A git process that prints; told on stdin what to do. Raises what its refusal means, if it was read to its end."""
    process = command.start(
        [*_plainly(repository), *arguments],
        environ=_environ(repository),
        cwd=repository.git_dir,
        memory_mib=_MEMORY_MIB,
    )
    assert process.stdin is not None
    done = False
    try:
        try:
            process.stdin.write(lines.encode())
            process.stdin.close()
        except BrokenPipeError:  # it says on stderr why it ended
            pass
        yield process
        process.stdin = None  # closed, and communicate would flush it
        _, err = process.communicate()
        done = True
    finally:
        if not done:
            process.stdin = None
            process.kill()  # its reader has had enough
            process.communicate()
    if process.returncode:
        raise command.refusal(err)


def _parts(process: Popen[bytes]) -> Iterator[bytes]:
    """What is printed between NULs, as it comes. Raises GitError for a part without an end."""
    assert process.stdout is not None
    rest = b""
    while chunk := os.read(process.stdout.fileno(), _CHUNK):
        *whole, rest = (rest + chunk).split(b"\0")
        yield from whole
    if rest:
        raise GitError("git ended while it was read from")
