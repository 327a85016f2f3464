"""What a revision names, what its commit's trees have, and how two of them are related."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum

from mlgen.git.command import GitError
from mlgen.git.history import is_ancestor
from mlgen.git.repository import Repository


class Kind(Enum):
    """What a tree's entry is. Source: git-fast-import(1), the modes."""

    FILE = "100"
    LINK = "120"
    REPOSITORY = "160"  # a submodule: a commit of another repository


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry of a commit's trees. path: below the repository's top. kind None: a mode that Git does not write."""

    path: str
    kind: Kind | None
    oid: str


@dataclass(frozen=True, slots=True)
class Subject:
    """A commit as people speak of it. text: its first line, as its author wrote it."""

    oid: str
    text: str


def entries(repository: Repository, commit: str) -> Iterator[Entry]:
    """All that a commit's trees hold but folders, as git finds it. Raises GitError where a tree is not there.

    Source: git-ls-tree(1): `<mode> <type> <id>\\t<path>`.
    """
    for line in repository.told(["ls-tree", "-r", "-z", "--full-tree", commit]):
        about, _, path = line.partition("\t")
        mode, _, oid = about.split(" ")
        yield Entry(path, _KINDS.get(mode[:3]), oid)


_KINDS = {kind.value: kind for kind in Kind}


def merge_base(repository: Repository, one: str, other: str) -> str | None:
    """The best commit that leads to both of two, by their ids; None where none is known here."""
    try:
        found = repository.run("merge-base", "--end-of-options", one, other)
    except GitError:
        return None
    return found.decode().split()[0] if found else None


def distance(repository: Repository, old: str, new: str) -> int | None:
    """How many commits one has that another has not; negative where it is the earlier of the two.

    None where each has some that the other has not.
    """
    if is_ancestor(repository, old, new):
        return _count(repository, old, new)
    if is_ancestor(repository, new, old):
        return -_count(repository, new, old)
    return None


def _count(repository: Repository, old: str, new: str) -> int:
    return int(repository.run("rev-list", "--count", "--end-of-options", new, f"^{old}"))


def subjects(repository: Repository, old: str, new: str, *, most: int) -> list[Subject]:
    """The newest commits that lead to one and not to another, newest first.

    Source: git-rev-list(1), PRETTY FORMATS: with a format, a line `commit <id>` stands before each.
    """
    # With the id before it no line is empty: of a commit without a subject git would print none at all. UTF-8: a
    # repository may ask for any encoding, UTF-16 too, in which a byte is no letter and a line no line.
    shown = ["--format=%H %s", "--encoding=UTF-8", f"--max-count={most}"]
    lines = repository.run("rev-list", *shown, "--end-of-options", new, f"^{old}").split(b"\n")
    pairs = (line.partition(b" ") for line in lines[1::2])
    return [Subject(oid.decode(), text.decode(errors="replace")) for oid, _, text in pairs]


def names(repository: Repository) -> list[str]:
    """The short names of all branches and tags, also those of remotes."""
    found = repository.run("for-each-ref", "--format=%(refname:short)", "refs/heads", "refs/remotes", "refs/tags")
    return found.decode(errors="replace").splitlines()


def remotes(repository: Repository) -> list[str]:
    """The names of the remotes, sorted, but "origin" first."""
    found = repository.run("remote").decode(errors="replace").splitlines()
    return sorted(found, key=lambda name: (name != "origin", name))


def short_name(repository: Repository, ref: str) -> str:
    """What people call a ref, by its full name: of one that stands for another, the other."""
    found = repository.run("rev-parse", "--abbrev-ref", ref)
    return found.decode(errors="replace").strip()
