"""What two folders of a repository have otherwise, told as it is found, however many files a folder may name.

Git's own diff keeps all of a commit before it prints any: a few kilobytes can name more files than memory holds. Here
a folder is entered only where its reader wants to, and he may stop at any file.
"""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import islice

from mlgen.git.command import GitError
from mlgen.git.history import id_of
from mlgen.git.objects import Reader
from mlgen.git.repository import Repository

FOLDER = "40000"
_WINDOW = 64  # folders that are read at once
_KEPT = 3 * _WINDOW  # folders that are remembered: what a commit has, the next one is compared with

_DEEP = 64  # folders in folders that are looked into, where no reader says otherwise

_Entry = tuple[bytes, bytes, bytes]  # mode, name, id
_ENTRY = {n: re.compile(rb"([0-7]{5,6}) ([^\0/]+)\0(.{%d})" % n, re.DOTALL) for n in (20, 32)}


class BadFolder(GitError):
    """A folder that cannot be compared; others can."""


class Forged(BadFolder):
    """A folder that git would not have written: its bytes are not those of its id, or it names something twice."""


class Lost(BadFolder):
    """A folder that is not there."""


class TooWide(BadFolder):
    """A folder with more names than are read."""


@dataclass(frozen=True, slots=True)
class Change:
    """A path that is not as it was.

    status: A (added), M (other bytes, mode or kind), D (deleted). mode, oid: of what is there now, or was, if deleted.
    """

    status: str
    mode: str
    oid: str
    path: str


@dataclass(frozen=True, slots=True)
class Trees:
    """Folders, by their ids, as a reader gives them: each is compared with its id."""

    reader: Reader
    object_format: str
    _known: OrderedDict[str, frozenset[_Entry]] = field(default_factory=OrderedDict)

    def changes(self, old: str | None, new: str | None, enter: Callable[[str], bool]) -> Iterator[Change]:
        """What a folder has otherwise than another; None: an empty one.

        enter: whether a folder, by its path, is looked into; else it is told of as if it were a file.
        Between two of them the reader may be used. Raises GitError, BadFolder.
        """
        yield from self._changes("", old, new, enter)

    def share(self, old: str, new: str, enter: Callable[[str], bool], *, above: str = "") -> bool:
        """Whether two folders have a file in common: its path, mode and bytes. Raises as `changes` does."""
        before, after = self._entries(old), self._entries(new)
        if before & after:
            return True
        were = {name: oid for mode, name, oid in before if mode.decode() == FOLDER}
        for mode, name, oid in sorted(after, key=lambda entry: entry[1]):
            path = above + name.decode(errors="surrogateescape")
            both = name in were and self._is_entered(mode, path, enter)
            if both and self.share(were[name].hex(), oid.hex(), enter, above=f"{path}/"):
                return True
        return False

    def _changes(self, above: str, old: str | None, new: str | None, enter: Callable[[str], bool]) -> Iterator[Change]:
        before = self._entries(old) if old else frozenset()
        after = self._entries(new) if new else frozenset()
        gone = {name: (mode, oid) for mode, name, oid in before - after}
        inside: list[tuple[str, str | None, str | None]] = []
        for mode, name, oid in sorted(after - before, key=lambda entry: entry[1]):
            path = above + name.decode(errors="surrogateescape")
            was = gone.pop(name, None)
            if not self._is_entered(mode, path, enter):
                if was and self._is_entered(was[0], path, enter):
                    inside.append((path, was[1].hex(), None))
                    was = None
                yield Change("M" if was else "A", mode.decode(), oid.hex(), path)
            elif was and not self._is_entered(was[0], path, enter):
                yield Change("D", was[0].decode(), was[1].hex(), path)
                inside.append((path, None, oid.hex()))
            else:
                inside.append((path, was[1].hex() if was else None, oid.hex()))
        for name, (mode, oid) in sorted(gone.items()):
            path = above + name.decode(errors="surrogateescape")
            if self._is_entered(mode, path, enter):
                inside.append((path, oid.hex(), None))
            else:
                yield Change("D", mode.decode(), oid.hex(), path)
        waiting = iter(inside)
        while window := list(islice(waiting, _WINDOW)):
            self._read([oid for _, *oids in window for oid in oids if oid is not None])
            for path, was_id, is_id in window:
                yield from self._changes(f"{path}/", was_id, is_id, enter)

    @staticmethod
    def _is_entered(mode: bytes, path: str, enter: Callable[[str], bool]) -> bool:
        return mode.decode() == FOLDER and enter(path)

    def _entries(self, oid: str) -> frozenset[_Entry]:
        if oid not in self._known:
            self._read([oid])
        return self._known[oid]

    def _read(self, oids: list[str]) -> None:
        """Have folders at hand. Those that were not asked for lately are forgotten."""
        for oid in oids:
            if oid in self._known:
                self._known.move_to_end(oid)
        wanted = [oid for oid in dict.fromkeys(oids) if oid not in self._known]
        for oid, found in zip(wanted, self.reader.get_all(wanted), strict=True):
            if found is None or found.kind != "tree":
                raise Lost(f"the folder {oid} is not there")
            if found.size_bytes != len(found.data):
                raise TooWide(f"the folder {oid} has {found.size_bytes:,} bytes, more than are read")
            if id_of("tree", found.data, self.object_format) != oid:
                raise Forged(f"the bytes of the folder {oid} are not those of its id")
            self._known[oid] = _parsed(oid, found.data)
        while len(self._known) > _KEPT:
            self._known.popitem(last=False)


def first_other(repository: Repository, old: str, new: str, *, grown: bool) -> str | None:
    """A path that a commit has otherwise than an old one, or has and the old one has not; None: it only leaves out.

    old, new: ids of commits. grown: whether it may have more. Raises GitError, Forged; GitError where one is not here.
    """
    wanted = ("M",) if grown else ("M", "A")
    with repository.reader() as reader:
        trees = Trees(reader, repository.object_format)
        changes = trees.changes(_tree(reader, old), _tree(reader, new), _not_too_deep)
        return next((change.path for change in changes if change.status in wanted), None)


def share_files(repository: Repository, old: str, new: str) -> bool:
    """Whether two commits, by their ids, have a file in common. Raises as `first_other` does."""
    with repository.reader() as reader:
        return Trees(reader, repository.object_format).share(_tree(reader, old), _tree(reader, new), _not_too_deep)


def _tree(reader: Reader, commit: str) -> str:
    found = reader.get(f"{commit}^{{tree}}")
    if found is None:
        raise GitError(f"the files of {commit} are not there")
    return found.oid


def _not_too_deep(folder: str) -> bool:
    return folder.count("/") < _DEEP


def _parsed(oid: str, data: bytes) -> frozenset[_Entry]:
    """Source: git's Documentation, `git cat-file tree`: `<mode> <name>\\0<id>` for each entry."""
    id_bytes = len(oid) // 2
    entries: list[_Entry] = _ENTRY[id_bytes].findall(data)
    if sum(len(mode) + len(name) for mode, name, _ in entries) + len(entries) * (id_bytes + 2) != len(data):
        raise Forged(f"{oid} is no folder that git can have written")
    if len({name for _, name, _ in entries}) != len(entries):
        raise Forged(f"the folder {oid} has two entries of one name")  # of which each reader may see another
    return frozenset(entries)
