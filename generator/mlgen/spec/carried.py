"""What a task of another repository brings along: the files it uses, its code and its inputs, and what those name."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Protocol

from mlgen.spec.document import read
from mlgen.spec.paths import VENDOR
from mlgen.spec.reached import paths_named

MOST_FILES = 2000
# Git's own, which would hold for the files here too; and what no listing of code has.
LEFT_OUT = frozenset({".gitattributes", ".gitignore", ".gitmodules", ".git", ".mlgen", "__pycache__"})


class Origin(Protocol):
    """Files by their path in a source's repository. Methods raise ValueError for what may not be taken along."""

    def kind(self, path: str) -> str | None:
        """ "file", "folder" or None."""

    def read(self, path: str) -> bytes:
        """What a spec or task file holds."""

    def below(self, folder: str) -> Iterable[str]:
        """The paths of the files in a folder and those below it."""


@dataclass
class Carried:
    """files: paths in the source's repository. missing: what is not there -> the file that names it, "" for a spec."""

    files: set[str] = field(default_factory=set)
    missing: dict[str, str] = field(default_factory=dict)


def carried(origin: Origin, source: str, roots: Iterable[str]) -> Carried:
    """All that the files of a source which specs use need. roots: their paths in its repository."""
    found, folder = Carried(), f"{VENDOR}/{source}/"
    todo = [(root, "") for root in sorted(roots)]
    seen = set[str]()
    while todo:
        path, by = todo.pop()
        if path in seen:
            continue
        seen.add(path)
        kind = origin.kind(path)
        if kind == "folder":
            found.files |= {name for name in origin.below(path) if LEFT_OUT.isdisjoint(name.split("/"))}
        elif kind == "file":
            found.files.add(path)
            if path.endswith((".yaml", ".yml")):
                document = read(folder + path, origin.read(path))
                todo += [
                    (named.removeprefix(folder), path)
                    for named, _ in paths_named(document)
                    if named.startswith(folder)  # else `check` tells that it leaves its folder
                ]
        else:
            found.missing[path] = by
        if len(found.files) > MOST_FILES:
            raise ValueError(f"what is used has more than {MOST_FILES:,} files")
    return found
