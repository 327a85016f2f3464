"""Files as an editor has them, saved or not, over the files of their projects."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from mlgen.cli.policies.policed import check_policies
from mlgen.cli.projects.workspace import LOCK_FILE, PIPELINES, PROJECT_FILE, Workspace
from mlgen.diagnostic import Diagnostic, Fault
from mlgen.editor.scene import Around, Scene, look
from mlgen.spec.checks.context import Context
from mlgen.spec.document import Document, read
from mlgen.spec.load import load_lock, load_project
from mlgen.spec.project import Project
from mlgen.spec.used import Used
from mlgen.worktree import Worktree

# What a file of ours says of itself in its first column, wherever it lies.
_OURS = re.compile(r"^(tasks:|kind:[ \t]*[\"']?task\b)", re.MULTILINE)


@dataclass
class Buffer:
    """A file that is open: its text, and the version that the editor gave it."""

    text: str
    version: int | None = None


class Unsaved(Worktree):
    """A work tree in which files that are open have the text that the editor shows."""

    def __init__(self, below: Worktree, buffers: dict[Path, Buffer]) -> None:
        super().__init__(below.root, boundary=below.boundary, tracked=below._tracked)
        self._buffers = buffers

    def forget(self) -> None:
        """Files on the disk may have changed: nothing that was hashed holds."""
        self._listings.clear()
        self._digests.clear()

    def _open(self, path: str) -> Buffer | None:
        return self._buffers.get(self.root / path)

    def kind(self, path: str) -> str | None:
        found = super().kind(path)
        return "file" if found is None and self._open(path) is not None else found

    def read(self, path: str) -> bytes:
        buffer = self._open(path)
        if buffer is None or self.kind(path) != "file":
            return super().read(path)
        return buffer.text.encode(errors="replace")


@dataclass
class Home:
    """A project with files that are open. `workspace` is the first one; each look makes another on the same files."""

    workspace: Workspace
    files: Unsaved

    @property
    def root(self) -> Path:
        return self.workspace.root

    def fresh(self) -> Workspace:
        """The project as it is now, with nothing read yet."""
        found = self.workspace.afresh()
        found.worktree = self.files
        return found


@dataclass
class Buffers:
    """All files that are open, by their path on the disk, and the projects that they belong to."""

    open: dict[Path, Buffer] = field(default_factory=dict)
    _homes: dict[Path, Home] = field(default_factory=dict)
    _scenes: dict[tuple[Path, int | None], Scene | None] = field(default_factory=dict)

    def take(self, path: Path, buffer: Buffer | None) -> None:
        """Have what the editor shows of a file now; None: it is closed."""
        self._scenes.clear()  # of all files: a spec is read with its task files
        if buffer is None:
            self.open.pop(path, None)
        else:
            self.open[path] = buffer

    def home(self, path: Path) -> Home:
        """The project of a file. Raises Fault where its folder is not to be used."""
        workspace = Workspace.around([path])
        found = self._homes.get(workspace.root)
        if found is None:
            found = Home(workspace, Unsaved(workspace.worktree, self.open))
            self._homes[workspace.root] = found
        return found

    def forget(self) -> None:
        """Files on the disk changed, or may have: projects are found, and files hashed, anew."""
        self._homes.clear()
        self._scenes.clear()

    def of(self, home: Home) -> list[str]:
        """The open files of a project that are mlgen's, by their path below it, sorted."""
        below = {path.relative_to(home.root).as_posix(): path for path in self.open if path.is_relative_to(home.root)}
        return sorted(name for name, path in below.items() if is_ours(name, self.open[path].text))

    def scene(self, path: Path, line: int | None = None) -> Scene | None:
        """What is asked about in an open file; None where it is not one of ours. line: as for `look`."""
        whole = self._scenes.get((path, None))
        if whole is not None and whole.document.data is not None and not whole.document.diagnostics:
            return whole  # nothing had to be left out, so the line changes nothing
        if (path, line) not in self._scenes:
            self._scenes[path, line] = self._scene(path, line)
        return self._scenes[path, line]

    def _scene(self, path: Path, line: int | None) -> Scene | None:
        home = self.home(path)
        if not path.is_relative_to(home.root):
            return None
        name = path.relative_to(home.root).as_posix()
        text = self.open[path].text
        return look(name, text, _around(home.files), line=line) if is_ours(name, text) else None


def is_ours(name: str, text: str) -> bool:
    """Whether a file is one that mlgen reads: an editor asks about every YAML file."""
    folder, _, last = name.rpartition("/")
    return (
        name in (PROJECT_FILE, LOCK_FILE)
        or (folder == PIPELINES and last.endswith(".yaml"))
        or bool(_OURS.search(text))
    )


@dataclass
class Checked:
    """What was found in files of a project, as it was then. faults: why some of them could not be checked."""

    workspace: Workspace
    found: list[Diagnostic]
    faults: list[Fault]


def check(home: Home, names: Sequence[str]) -> Checked:
    """The findings of files, those of mlgen.yaml and mlgen.lock among them, without what policies say."""
    checked = Checked(home.fresh(), [], [])
    for name in names:
        try:
            checked.found += checked.workspace.check([name])
        except Fault as fault:
            checked.faults.append(fault)
    return checked


def judge(checked: Checked) -> list[Diagnostic]:
    """What the project's policies say of what was checked: it takes seconds where there are many."""
    try:
        return check_policies(checked.workspace)
    except Fault as fault:
        checked.faults.append(fault)
        return []


def _around(files: Unsaved) -> Around:
    def document(path: str) -> Document | None:
        try:
            return read(path, files.read(path))
        except (OSError, ValueError):
            return None

    project_document, lock_document = document(PROJECT_FILE), document(LOCK_FILE)
    project = load_project(project_document)[0] if project_document else Project()
    lock = load_lock(lock_document)[0] if lock_document else {}

    def readable(path: str) -> Document:
        return document(path) or read(path, b"")

    used = Used(readable, Context(files, project, lock, frozenset(project.sources)))
    return Around(files, project, project_document, lock, lambda path: used.file(path)[0])
