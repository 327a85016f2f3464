"""A name given anew wherever it stands in its file, and what no renaming reaches."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from mlgen.diagnostic import Diagnostic, Severity, Span, sentence
from mlgen.editor import names
from mlgen.editor.names import Name, Occurrence
from mlgen.editor.scene import Scene
from mlgen.spec.document import read
from mlgen.spec.load import load_pipeline, load_task_file
from mlgen.spec.model import Task, TaskFile
from mlgen.spec.paths import uses

RENAMED = ("param", "input", "task", "out", "in")


class NotRenamed(Exception):
    """Why a name cannot be changed, or not to that one; the message is for people."""


@dataclass(frozen=True, slots=True)
class Edit:
    """A place and the text that is laid down there."""

    span: Span
    text: str


@dataclass(frozen=True, slots=True)
class Renaming:
    """edits: in the order of places. left: what still says the old name, for people to look at."""

    edits: tuple[Edit, ...]
    left: tuple[str, ...]


def renamable(scene: Scene, line: int, column: int) -> Occurrence:
    """The name at a place, from 1, if it can be changed. Raises NotRenamed."""
    found = names.at(scene, line, column)
    if found is None or found.name.kind not in RENAMED:
        raise NotRenamed("there is no name of a task, out, param or input here")
    if _elsewhere(scene, found.name):
        raise NotRenamed("a task file gives this name, and other pipelines may use it: change it there")
    return found


def _elsewhere(scene: Scene, name: Name) -> bool:
    if scene.kind == "task" or (name.kind == "out" and name.owner == ""):
        return False
    return name.kind == "in" or any(span.file != scene.file for span in names.definitions(scene, name))


def rename(scene: Scene, line: int, column: int, new: str) -> Renaming:
    """The edits that give the name at a place another one. Raises NotRenamed where that would break the file."""
    if scene.document.diagnostics:
        raise NotRenamed("the file cannot be read as it is: mend that first")
    found = renamable(scene, line, column)
    places = names.all_of(scene, found.name)
    if not any(place.given for place in places):
        raise NotRenamed(f'"{found.name.name}" is given nowhere: add it first')
    if not re.fullmatch(r"[A-Za-z][A-Za-z0-9_-]*", new):
        raise NotRenamed(f'"{sentence(new)}" is not a name')
    edits = tuple(Edit(place.span, new) for place in places if place.span.file == scene.file)
    broken = _broken(scene, edits)
    if broken is not None:
        raise NotRenamed(f"{sentence(broken.message)}: {sentence(broken.fix or broken.why)}")
    return Renaming(edits, tuple(_left(scene, found.name, places)))


def apply(text: str, edits: Sequence[Edit]) -> str:
    """A text with edits made; none of them overlap."""
    lines = text.splitlines(keepends=True)
    for edit in sorted(edits, key=lambda one: one.span, reverse=True):
        first, last = edit.span.line - 1, edit.span.end_line - 1
        joined = lines[first][: edit.span.column - 1] + edit.text + lines[last][edit.span.end_column - 1 :]
        lines[first : last + 1] = [joined]
    return "".join(lines)


def _broken(scene: Scene, edits: Sequence[Edit]) -> Diagnostic | None:
    """The first error that the file has with the edits and has not without."""
    text = scene.document.source.text
    before, after = (_errors(scene, version) for version in (text, apply(text, edits)))
    had = Counter(finding.code for finding in before)
    for finding in after:
        had[finding.code] -= 1
        if had[finding.code] < 0:
            return finding
    return None


def _errors(scene: Scene, text: str) -> list[Diagnostic]:
    document = read(scene.file, text.encode(errors="replace"))
    context = scene.around.context
    if scene.kind == "task":
        found = load_task_file(document, context)[1]
    else:
        files: dict[str, TaskFile] = {}
        for path, _ in uses(document):
            if (file := scene.around.task_file(path)) is not None:
                files[path] = file
        found = load_pipeline(document, files, context)[1]
    return [finding for finding in found if finding.severity is Severity.ERROR]


def _left(scene: Scene, name: Name, places: Sequence[Occurrence]) -> list[str]:
    """Where the old name still stands: scripts that read its variable, and other files that use a task file."""
    found = []
    readers = [(place.task, name.name) for place in places if place.task is not None and place.entry is not None]
    if name.kind == "out" and scene.pipeline is not None and name.owner in scene.pipeline.tasks:
        readers.append((scene.pipeline.tasks[name.owner], name.name))
    for task, variable in readers:
        if task is not None and _mentions(task, variable):
            found.append(f'the program of task "{task.name}" still reads ${variable}')
    if scene.task_file is not None:
        if scene.task_file.step and scene.task_file.step.script and _reads(scene.task_file.step.script, name.name):
            found.append(f"the script still reads ${name.name}")
        found.append("pipelines that use this task file still say the old name: `mlgen check` finds them")
    return list(dict.fromkeys(found))


def _mentions(task: Task, variable: str) -> bool:
    if task.step is None or task.step.script is None:
        return task.step is not None  # a program reads its environment by itself: nobody can tell
    return _reads(task.step.script, variable) or not re.search(r"\$\{?[a-z]", task.step.script)


def _reads(script: str, variable: str) -> bool:
    return re.search(rf"\$\{{?{re.escape(variable)}(?![a-z0-9_])", script) is not None
