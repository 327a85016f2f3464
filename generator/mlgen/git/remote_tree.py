"""Files of a commit of a repository elsewhere: only the folders on the way and the files asked for are fetched."""

from __future__ import annotations

from collections.abc import Iterable

from mlgen.git.command import GitError
from mlgen.git.objects import Object
from mlgen.git.remote_reader import RemoteReader
from mlgen.git.tree import Entry, read_entries

FOLDER, LINK, REPOSITORY = "40000", "120000", "160000"  # modes


class RemoteTree:
    """ref: a full name that leads to the commit, for a host that gives no single objects.

    Methods raise what a Remote's do, GitError for what the host does not give, ValueError for a tree with names that
    Git does not make.
    """

    def __init__(self, reader: RemoteReader, commit: str, ref: str) -> None:
        self._reader, self._commit, self._ref = reader, commit, ref
        self._folders: dict[str, dict[str, Entry]] = {}

    def entry(self, path: str) -> Entry | None:
        """What lies at a path; None where nothing does."""
        found = self._root()
        for part in path.split("/") if path not in ("", ".") else ():
            child = self._in([found])[0].get(part) if found.mode == FOLDER else None
            if child is None:
                return None
            found = child
        return found

    def below(self, path: str, most: int) -> dict[str, Entry]:
        """All that is no folder below a folder, by its path in it: a level of the tree is fetched at a time.

        Raises ValueError where that is more than `most`.
        """
        start = self.entry(path)
        level = {"": start} if start is not None and start.mode == FOLDER else {}
        found: dict[str, Entry] = {}
        while level:
            names, folders = list(level), self._in(list(level.values()))
            inside = {
                f"{name}/{part}" if name else part: entry
                for name, entries in zip(names, folders, strict=True)
                for part, entry in entries.items()
            }
            level = {name: entry for name, entry in inside.items() if entry.mode == FOLDER}
            found |= {name: entry for name, entry in inside.items() if entry.mode != FOLDER}
            if len(found) + len(level) > most:
                raise ValueError(f'"{path}" has more than {most:,} files')
        return found

    def read(self, entries: Iterable[Entry]) -> list[Object]:
        """The files of entries, in their order."""
        return self._reader.bring([entry.oid for entry in entries], self._ref)

    def _root(self) -> Entry:
        (commit,) = self._reader.bring([self._commit], self._ref)
        if commit.kind != "commit":
            raise GitError(f"{self._commit} is a {commit.kind}, not a commit")
        return Entry(FOLDER, commit.data[len("tree ") :].partition(b"\n")[0].decode())

    def _in(self, folders: list[Entry]) -> list[dict[str, Entry]]:
        missing = list(dict.fromkeys(folder.oid for folder in folders if folder.oid not in self._folders))
        for oid, tree in zip(missing, self._reader.bring(missing, self._ref), strict=True):
            self._folders[oid] = _entries(tree)
        return [self._folders[folder.oid] for folder in folders]


def _entries(tree: Object) -> dict[str, Entry]:
    try:
        entries = read_entries(tree.data, len(tree.oid) // 2) if tree.kind == "tree" else {}
    except ValueError:
        raise GitError(f"{tree.oid} is no tree that git can have written") from None
    for name in entries:
        # As `git fsck` has it: such a name is made to be laid down elsewhere.
        if not name or "/" in name or name in (".", "..") or _is_git(name):
            raise ValueError(f"a folder there has an entry called {name[:40]!r}, as no Git makes it")
    return entries


def _is_git(name: str) -> bool:
    return name.lower().rstrip(". ") == ".git"
