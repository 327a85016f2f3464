"""The tasks that specs of a project may use, in all their versions, and who uses them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from mlgen.cli.projects.named import PIPELINES
from mlgen.cli.projects.workspace import Workspace
from mlgen.diagnostic import CannotAnswer
from mlgen.spec.model import TaskFile
from mlgen.spec.paths import TASKS, VENDOR, root_of, source_of, uses, versioned


@dataclass(frozen=True, slots=True)
class Entry:
    """A task file, or a pipeline that is used as one.

    use: what a spec writes for it, from the folder of mlgen.yaml on. version None: it is used by its path. source: of
    mlgen.yaml, "" for this repository. file: None where it has errors. used_by: paths of the specs that use it.
    """

    use: str
    name: str
    version: int | None
    source: str
    path: str
    file: TaskFile | None
    used_by: tuple[str, ...]

    @property
    def kind(self) -> str:
        return "pipeline" if self.file and self.file.nested else "task"


def catalogue(workspace: Workspace) -> list[Entry]:
    """All of tasks/ and of vendor/, and what specs use by its path; by name, then version."""
    users = _users(workspace)
    paths = {*_in_folder(workspace, TASKS), *users}
    for source in workspace.files.beside(f"{VENDOR}/"):
        if source in workspace.locked:
            paths |= {*_in_folder(workspace, f"{VENDOR}/{source}/{TASKS}")}
    found = [_entry(workspace, path, users.get(path, [])) for path in paths]
    return sorted(found, key=lambda e: (e.name, e.source, e.version or 0, e.path))


def _in_folder(workspace: Workspace, folder: str) -> Iterator[str]:
    for name in workspace.files.beside(f"{folder}/"):
        path = f"{folder}/{name}"
        if name.endswith(".yaml") and workspace.files.kind(path) == "file":
            yield path


def _users(workspace: Workspace) -> dict[str, list[str]]:
    """What is used -> who uses it: specs of pipelines/, and what they use."""
    found: dict[str, list[str]] = {}
    todo, seen = list(workspace.listed), set[str]()
    while todo:
        path = todo.pop(0)
        if path in seen or workspace.files.kind(path) != "file":
            continue
        seen.add(path)
        for used in dict.fromkeys(used for used, _ in _uses(workspace, path)):
            if workspace.files.kind(used) == "file":
                found.setdefault(used, []).append(path)
                todo.append(used)
    return found


def _uses(workspace: Workspace, path: str) -> Iterable[tuple[str, object]]:
    try:
        return list(uses(workspace.document(path)))
    except CannotAnswer:  # it cannot be read: `check` tells it
        return []


def _entry(workspace: Workspace, path: str, users: list[str]) -> Entry:
    name, version = versioned(path)
    source, root = source_of(path), root_of(path)
    use = path
    if version is not None and path.rpartition("/")[0] == (f"{root}/{TASKS}" if root else TASKS):
        use = f"{source}/{name}@{version}" if source else f"{name}@{version}"
    try:
        file = workspace.used.file(path)[0]
    except CannotAnswer:
        file = None
    return Entry(use, name, version, source, path, file, tuple(sorted(users)))


def published(workspace: Workspace) -> dict[str, TaskFile]:
    """The tasks of this repository that have a version: what is written for it -> the file."""
    found = (_entry(workspace, path, []) for path in _in_folder(workspace, TASKS))
    return {entry.use: entry.file for entry in found if entry.version is not None and entry.file is not None}


def pipeline_names(paths: Iterable[str]) -> list[str]:
    """Paths of specs as people call them: pipelines by name, anything else by path."""
    short = (path.removeprefix(f"{PIPELINES}/").removesuffix(".yaml") for path in paths)
    return sorted(name if "/" not in name else path for name, path in zip(short, paths, strict=True))
