"""What an editor's question is asked about: one file as it is being written, with what it can be understood by."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from mlgen.spec.build import build, build_task_file
from mlgen.spec.checks.context import Context
from mlgen.spec.document import Document, read
from mlgen.spec.model import Files, Pipeline, TaskFile
from mlgen.spec.paths import uses
from mlgen.spec.project import Project
from mlgen.spec.shape import Kind, check_shape

PROJECT_FILE, LOCK_FILE = "mlgen.yaml", "mlgen.lock"
MOST_MENDINGS = 4  # lines that are left out, one after the other, to read the rest of a broken file


@dataclass(frozen=True)
class Around:
    """What a file is understood by, besides itself. task_file: the one at a path below the project, None for none."""

    files: Files
    project: Project = field(default_factory=Project)
    project_document: Document | None = None
    lock: Mapping[str, str] = field(default_factory=dict)
    task_file: Callable[[str], TaskFile | None] = lambda _path: None

    @property
    def context(self) -> Context:
        return Context(self.files, self.project, self.lock, frozenset(self.project.sources))


@dataclass(frozen=True)
class Scene:
    """A file as it is being written.

    document: of its text, or where that cannot be read, of its text without the lines that cannot; its places are
    those of the text. pipeline, task_file: what it says, where it is one of these.
    """

    document: Document
    kind: Kind
    around: Around
    pipeline: Pipeline | None = None
    task_file: TaskFile | None = None

    @property
    def file(self) -> str:
        return self.document.file


def look(file: str, text: str, around: Around, *, line: int | None = None) -> Scene:
    """The scene of a file. line: the one that is being written, from 0: it may break the file."""
    document = readable(file, text, line)
    kind = kind_of(document)
    bad = check_shape(document, kind)[1]
    if not isinstance(document.data, dict):
        return Scene(document, kind, around)
    if kind == "pipeline":
        found = {path: around.task_file(path) for path, _ in uses(document)}
        pipeline = build(document, {path: file for path, file in found.items() if file}, bad)[0]
        return Scene(document, kind, around, pipeline)
    if kind == "task":
        return Scene(document, kind, around, task_file=build_task_file(document, bad)[0])
    return Scene(document, kind, around)


def readable(file: str, text: str, line: int | None = None) -> Document:
    """The document of a text, or of as much of it as can be read: lines that YAML stumbles over are left out.

    Places stay: what is left out becomes empty. line: is left out first, where leaving out others did not help. In
    the end the document has no data, and its diagnostics say why.
    """
    whole = read(file, text.encode(errors="replace"))
    if whole.data is not None or not whole.source.text:
        return whole
    for first in (None, line):
        found = _less(whole, text.split("\n"), first)
        if found is not None:
            return replace(found, diagnostics=whole.diagnostics)
    return whole


def _less(document: Document, lines: list[str], first: int | None) -> Document | None:
    """The document without a line, if given, and then without those that it stumbles over; None where that fails."""
    at = first
    for _ in range(MOST_MENDINGS):
        if at is None:
            at = document.diagnostics[-1].span.line - 1 if document.diagnostics else 0
        if not 0 <= at < len(lines) or not lines[at].strip():
            return None
        lines[at], at = "", None
        document = read(document.file, "\n".join(lines).encode(errors="replace"))
        if document.data is not None:
            return document
    return None


_TASK = re.compile(r"^kind:\s*[\"']?task\b", re.MULTILINE)


def kind_of(document: Document) -> Kind:
    """What kind of file it is, by its path and what it says of itself."""
    if document.file == PROJECT_FILE:
        return "project"
    if document.file == LOCK_FILE:
        return "lock"
    return "task" if _TASK.search(document.source.text) else "pipeline"
