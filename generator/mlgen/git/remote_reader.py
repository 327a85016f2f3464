"""Reading a repository elsewhere: its refs as they are now, and files at paths, of which it fetches what it needs."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from mlgen.git.command import GitError, RefBroken
from mlgen.git.objects import LIMIT, Object, Reader
from mlgen.git.repository import Repository
from mlgen.git.scratch import Scratch
from mlgen.git.tree import read_tree


class RemoteReader:
    """tip: the id of the commit that a ref points to there, or None. shown: the URL, for people."""

    def __init__(self, scratch: Scratch, tip: Callable[[str], str | None], shown: str) -> None:
        self._scratch, self._tip, self._shown = scratch, tip, shown
        self._open: Reader | None = None
        self._of: Repository | None = None
        self._ref = ""

    def close(self) -> None:
        if self._open is not None:
            self._open.__exit__()
            self._open = None

    def get(self, name: str) -> Object | None:
        """The commit that a ref, by its full name, points to there, now; None where there is no such ref.

        Raises RefBroken where it is no commit.
        """
        self._ref = name
        tip = self._tip(name)
        if tip is None:
            return None
        (found,) = self._bring([tip])
        if found.kind != "commit":
            raise RefBroken(f"{name} of {self._shown} is {tip}, which is a {found.kind}, not a commit")
        return self._readable(found)

    def _readable(self, found: Object) -> Object:
        """A commit or a tree itself. Raises RefBroken for one that is too large to be read, or to be added to."""
        if found.size_bytes > LIMIT:
            raise RefBroken(f"{found.oid} of {self._shown} is a {found.kind} of {found.size_bytes:,} bytes")
        return found

    def files(self, commit: str, paths: Iterable[str]) -> dict[str, bytes]:
        """The bytes at those of the paths that the commit which `get` gave last has."""
        (found,) = self._bring([commit])
        wanted = {path: path.split("/") for path in paths}
        here = {"": _tree_of(found)}  # folder or file -> its object, a level of the tree at a time
        for depth in range(max(map(len, wanted.values()), default=0)):
            needed = {"/".join(parts[:depth]) for parts in wanted.values() if len(parts) > depth} & here.keys()
            trees = zip(sorted(needed), self._bring([here[folder] for folder in sorted(needed)]), strict=True)
            children = {folder: _entries(self._readable(tree)) for folder, tree in trees}
            for parts in wanted.values():
                child = children.get("/".join(parts[:depth]), {}).get(parts[depth]) if len(parts) > depth else None
                if child is not None:
                    here["/".join(parts[: depth + 1])] = child
        there = [path for path in wanted if path in here]
        return {path: one.data for path, one in zip(there, self._bring([here[path] for path in there]), strict=True)}

    def bring(self, oids: Sequence[str], ref: str) -> list[Object]:
        """The objects of ids, fetched where they are not here yet. ref: leads to them, for a host that gives no ids.

        Raises GitError for what the host does not give.
        """
        self._ref = ref
        return self._bring(oids)

    def _bring(self, oids: Sequence[str]) -> list[Object]:
        """The objects of ids, fetched where they are not here yet. Raises GitError for what the host does not give."""
        if not oids:
            return []
        found = list(self._here(oids[0]).get_all(oids))
        missing = sorted({oid for oid, one in zip(oids, found, strict=True) if one is None})
        if not missing:
            return [one for one in found if one is not None]
        if self._scratch.is_whole(self._ref) or not self._scratch.fetch_objects(missing, self._ref):
            self._scratch.fetch_whole(self._ref)
        found = list(self._here(oids[0]).get_all(oids))
        if None in found:
            raise GitError(f"{self._shown} does not give {oids[found.index(None)]}")
        return [one for one in found if one is not None]

    def _here(self, oid: str) -> Reader:
        repository = self._scratch.repository(oid)
        if self._open is None or repository is not self._of:  # it was made anew, with ids of the other length
            self.close()
            self._open, self._of = repository.reader(), repository
        return self._open


def _entries(tree: Object) -> dict[str, str]:
    """The ids of what is in a folder, by name; of a file in its place, nothing."""
    try:
        return read_tree(tree.data, len(tree.oid) // 2) if tree.kind == "tree" else {}
    except ValueError:
        raise GitError(f"{tree.oid} is no tree that git can have written") from None


def _tree_of(commit: Object) -> str:
    return commit.data[len("tree ") :].partition(b"\n")[0].decode()
