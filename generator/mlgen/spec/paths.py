"""Paths that specs name, and what `use` names: task files and pipelines, here or from another repository."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator
from dataclasses import dataclass

from mlgen.spec.document import Document
from mlgen.spec.model import Place

TASKS, VENDOR = "tasks", "vendor"
_NAME = r"[a-z](?:[a-z0-9-]*[a-z0-9])?"
_NAMED = re.compile(rf"(?:(?P<source>{_NAME})/)?(?P<name>{_NAME})@(?P<version>[1-9][0-9]{{0,3}})")
_VERSIONED = re.compile(r"(?P<name>.+)@(?P<version>[1-9][0-9]{0,3})")


class Escape(ValueError):
    """A path in a file of another repository that leaves that repository's folder here."""


@dataclass(frozen=True, slots=True)
class Named:
    """`[source/]name@version`, as `use` has it."""

    source: str
    name: str
    version: int

    def __str__(self) -> str:
        return f"{self.source}/{self.name}@{self.version}" if self.source else f"{self.name}@{self.version}"


def named(written: str) -> Named | None:
    """What a `use` names by name and version; None for a path."""
    match = _NAMED.fullmatch(written)
    return Named(match["source"] or "", match["name"], int(match["version"])) if match else None


def versioned(path: str) -> tuple[str, int | None]:
    """The name and version that a file's path says: ("train", 2) of tasks/train@2.yaml."""
    stem = path.rsplit("/", 1)[-1].rsplit(".", 1)[0]
    match = _VERSIONED.fullmatch(stem)
    return (match["name"], int(match["version"])) if match else (stem, None)


def source_of(path: str) -> str:
    """The source that a file in vendor/ is from; "" for a file of this repository."""
    parts = path.split("/", 2)
    return parts[1] if len(parts) == 3 and parts[0] == VENDOR else ""


def root_of(path: str) -> str:
    """Where the paths of a file start: "" for the project's folder, or a folder of vendor/."""
    source = source_of(path)
    return f"{VENDOR}/{source}" if source else ""


def resolve(path: str, naming_file: str) -> str:
    """A path of a spec, below the project's folder: `./` and `../` start at the file that names them.

    A result that begins with ".." leaves the project's folder. Raises ValueError for one that is no relative path,
    Escape for one in vendor/ that leaves its source's folder.
    """
    if not path or path.startswith("/") or "\\" in path or not path.isprintable() or "//" in path:
        raise ValueError(f'"{path[:80]}" is not a relative path with forward slashes')
    root = root_of(naming_file)
    base = posixpath.dirname(naming_file) if path.startswith(("./", "../")) or path in (".", "..") else root
    found = posixpath.normpath(posixpath.join(base, path))
    if root and not f"{found}/".startswith(f"{root}/"):
        raise Escape(f'"{path[:80]}" leaves {root}, where the files of its repository are')
    return found


def resolve_use(written: str, naming_file: str) -> str:
    """The file that a `use` names, below the project's folder; as `resolve`.

    Raises Escape also for a source that a file of another repository names.
    """
    found = named(written)
    if found is None:
        return resolve(written, naming_file)
    root = root_of(naming_file)
    if root and found.source:
        raise Escape(f'"{written[:80]}" is from a third repository')
    folder = f"{VENDOR}/{found.source}" if found.source else root
    return posixpath.join(folder, TASKS, f"{found.name}@{found.version}.yaml")


def uses(document: Document) -> Iterator[tuple[str, Place]]:
    """The files a spec uses: (path below the project's folder, place), each as often as it is named."""
    top = document.data if isinstance(document.data, dict) else {}
    for section in ("tasks", "finally"):
        tasks = top.get(section)
        for name, task in tasks.items() if isinstance(tasks, dict) else ():
            used = task.get("use") if isinstance(task, dict) else None
            if isinstance(used, str):
                try:
                    yield resolve_use(used, document.file), Place(document, (section, name, "use"))
                except ValueError:
                    continue  # `check` tells it
