"""What is used of other repositories: whether it is in vendor/ as mlgen.lock pins it, and how it gets there."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from mlgen.canonical import folder_digest
from mlgen.cli.projects import rewriting
from mlgen.cli.projects.folder import OWN
from mlgen.cli.projects.workspace import LOCK_FILE, Workspace
from mlgen.diagnostic import CannotAnswer
from mlgen.spec.carried import carried
from mlgen.spec.document import Document
from mlgen.spec.lock_sources import with_sources
from mlgen.spec.model import Place
from mlgen.spec.paths import VENDOR, source_of, uses
from mlgen.spec.sources import Locked
from mlgen.store import disk


@dataclass(frozen=True, slots=True)
class Wanted:
    """What specs use of a source. roots: paths in its repository, each with a place that names it."""

    name: str
    roots: Mapping[str, Place]


def wanted(workspace: Workspace, paths: Iterable[str]) -> dict[str, Wanted]:
    """What specs use of the sources of mlgen.yaml, by name: they, and what they use of this repository."""
    found: dict[str, dict[str, Place]] = {}
    todo, seen = sorted({*paths, *workspace.listed}), set[str]()
    while todo:
        path = todo.pop()
        if path in seen or workspace.files.kind(path) != "file":
            continue
        seen.add(path)
        for used, place in _uses(workspace.document(path)):
            source = source_of(used)
            if source:
                found.setdefault(source, {}).setdefault(used.removeprefix(f"{VENDOR}/{source}/"), place)
            else:
                todo.append(used)
    known = workspace.project_as_read.sources
    return {name: Wanted(name, roots) for name, roots in sorted(found.items()) if name in known}


def _uses(document: Document) -> Iterator[tuple[str, Place]]:
    return uses(document) if isinstance(document.data, dict) else iter(())


def is_here(workspace: Workspace, one: Wanted) -> bool:
    """Whether all of a source that is used is in vendor/, as mlgen.lock pins it, and nothing else is."""
    if workspace.source_fault(one.name) is not None:
        return False
    try:
        found = carried(_Here(workspace, one.name), one.name, one.roots)
        there = set(workspace.files.listing(f"{VENDOR}/{one.name}"))
    except ValueError:
        return False
    return not found.missing and found.files == there


@dataclass(frozen=True, slots=True)
class _Here:
    """The files of a source in vendor/."""

    workspace: Workspace
    source: str

    def kind(self, path: str) -> str | None:
        return self.workspace.files.kind(self._path(path))

    def read(self, path: str) -> bytes:
        return self.workspace.files.read(self._path(path))

    def below(self, folder: str) -> list[str]:
        return [f"{folder}/{name}" for name in self.workspace.files.listing(self._path(folder))]

    def _path(self, path: str) -> str:
        return f"{VENDOR}/{self.source}/{path}"


def write(workspace: Workspace, name: str, files: Mapping[str, bytes]) -> str:
    """Lay the files of a source into vendor/, in place of those that are there; their digest. Within `alone`.

    Killed in the middle, the folder is the old one, or is not there, or is the new one that mlgen.lock does not pin
    yet: `check` tells it, and `mlgen lock` does it again. Raises CannotAnswer where Git would ignore some of them.
    """
    target = workspace.own(f"{VENDOR}/{name}")
    target.parent.mkdir(exist_ok=True)
    own = workspace.own(OWN)
    beside = own if own.stat().st_dev == target.parent.stat().st_dev else target.parent
    part, old = beside / f"{VENDOR}-{name}.part", beside / f"{VENDOR}-{name}.old"
    for left in (part, old):
        disk.remove(left)
    for path, data in files.items():
        file = part / path
        file.parent.mkdir(parents=True, exist_ok=True)
        with os.fdopen(disk.open_new(file), "wb") as stream:
            stream.write(data)
    if target.exists():
        os.rename(target, old)
    os.rename(part, target)
    expected = {path: sha256(data).hexdigest() for path, data in files.items()}
    listed = workspace.afresh().files.listing(f"{VENDOR}/{name}")
    if ignored := sorted(expected.keys() - listed.keys()):
        disk.remove(target)
        if old.exists():
            os.rename(old, target)
        raise CannotAnswer(
            "source-ignored",
            f"Git ignores {VENDOR}/{name}/{ignored[0]}" + (f" and {len(ignored) - 1} more" if ignored[1:] else ""),
            why="what other repositories give is committed, so that it is reviewed and there on every machine",
            fix=f"write !/{VENDOR}/** at the end of .gitignore, then run it again",
        )
    disk.remove(old)
    return folder_digest(expected)


def remove(workspace: Workspace, name: str) -> None:
    """Take the files of a source away. Within `alone`."""
    disk.remove(workspace.own(f"{VENDOR}/{name}"))
    vendor = Path(workspace.root / VENDOR)
    if vendor.is_dir() and not any(vendor.iterdir()):
        vendor.rmdir()


def check_free(workspace: Workspace, name: str) -> None:
    """Raises CannotAnswer where the place of a source's files has others, which nobody fetched."""
    folder = f"{VENDOR}/{name}"
    if name not in workspace.locked and workspace.worktree.exists(folder) and workspace.worktree.listing(folder):
        raise CannotAnswer(
            "source-taken",
            f"{folder} is there already, and {LOCK_FILE} does not say that it is of the source {name}",
            why="what is fetched takes its place",
            fix="remove it if nobody wants it, or call the source otherwise in mlgen.yaml",
        )


def pin(workspace: Workspace, sources: Mapping[str, Locked]) -> None:
    """Write `sources` of mlgen.lock. Within `alone`."""
    before = rewriting.held(workspace, LOCK_FILE)
    try:
        data = with_sources(before, sources)
    except ValueError as error:
        fix = "write `sources` with a line for each key, or remove it and run it again"
        raise CannotAnswer("lock-layout", f"{LOCK_FILE} is not changed: {error}", fix=fix) from None
    if data != before:
        changed = CannotAnswer(
            "lock-changed", f"{LOCK_FILE} is not changed", why="somebody else wrote it meanwhile", fix="run it again"
        )
        rewriting.rewrite(workspace, LOCK_FILE, before, data, changed)
