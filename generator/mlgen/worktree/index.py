"""The paths of a commit, once, so that each question about one is answered without git."""

from __future__ import annotations

import posixpath
from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass

from mlgen import git
from mlgen.diagnostic import CannotAnswer
from mlgen.git.revision import Kind, entries

MAX_ENTRIES = 1_000_000  # of a commit: ten times a large repository; trees of a few KB may mean more than any memory
MAX_PATH_MIB = 128  # of all paths together, for each may be as long as trees are deep: what a million usual ones have

_NO_NAMES = frozenset({"", ".", "..", ".git"})


@dataclass(frozen=True)
class Index:
    """entries: path from the repository's top -> its kind and id. folders: "" among them. paths: of entries, sorted."""

    entries: dict[str, tuple[Kind, str]]
    folders: frozenset[str]
    paths: list[str]

    def kind(self, path: str) -> Kind | None:
        """What an entry is; None for a folder, and for what is not there."""
        found = self.entries.get(path)
        return found and found[0]

    def oid(self, path: str) -> str:
        """The id of an entry."""
        return self.entries[path][1]

    def has(self, path: str) -> bool:
        """Whether a path is an entry or a folder."""
        return path in self.entries or path in self.folders

    def below(self, folder: str) -> Iterator[str]:
        """The paths of all entries below a folder, from there, sorted."""
        prefix = f"{folder}/" if folder else ""
        at = bisect_left(self.paths, prefix)
        while at < len(self.paths) and self.paths[at].startswith(prefix):
            yield self.paths[at][len(prefix) :]
            at += 1


def index_of(repository: git.Repository, commit: str) -> Index:
    """The paths of a commit, by its id.

    Raises CannotAnswer "broken-tree" for what no checkout would lay down: a tree may be made by hand; GitError.
    """
    found: dict[str, tuple[Kind, str]] = {}
    folders, length = {""}, 0
    for entry in entries(repository, commit):
        if len(found) >= MAX_ENTRIES:
            raise _broken(commit, entry.path, f"a commit that can be read has {MAX_ENTRIES:,} files at most")
        if not _NO_NAMES.isdisjoint(entry.path.casefold().split("/")):
            raise _broken(commit, entry.path, "no folder may hold a file of that name")
        if entry.kind is None or entry.path in found:
            raise _broken(commit, entry.path, "no checkout would lay it down")
        found[entry.path] = entry.kind, entry.oid
        length += len(entry.path)
        folder = posixpath.dirname(entry.path)
        while folder not in folders and length <= MAX_PATH_MIB << 20:  # one path may have ten thousand folders
            folders.add(folder)
            length += len(folder)
            folder = posixpath.dirname(folder)
        if length > MAX_PATH_MIB << 20:
            raise _broken(commit, entry.path, f"the paths of a commit that can be read have {MAX_PATH_MIB} MiB at most")
    if both := folders & found.keys():
        raise _broken(commit, min(both), "it is a file and a folder at once")
    return Index(found, frozenset(folders), sorted(found))


def _broken(commit: str, path: str, why: str) -> CannotAnswer:
    return CannotAnswer(
        "broken-tree",
        f'the commit {commit[:12]} has "{path[:200]}", which cannot be used',
        why=why,
        fix="`git fsck` says more; take a commit that Git itself would check out",
    )
