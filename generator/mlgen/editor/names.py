"""The names of a file: where each is given and where it is used. Definitions, references and renames rest on it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from mlgen.diagnostic import Span
from mlgen.editor.scene import Scene
from mlgen.gates import Ref as GateRef
from mlgen.gates import refs as gate_refs
from mlgen.spec.document import Document
from mlgen.spec.model import In, Pipeline, Place, Ref, Setting, Task
from mlgen.spec.paths import resolve_use
from mlgen.spec.settings import GpuAsk

NameKind = Literal["param", "input", "task", "out", "in", "file", "pool"]


@dataclass(frozen=True, slots=True)
class Name:
    """owner: the task of an out, the task file of an in, else "". A file's name is its path below the project."""

    kind: NameKind
    owner: str
    name: str


@dataclass(frozen=True, slots=True)
class Occurrence:
    """A place at which a name stands.

    span: the name itself. given: whether it is where the name is given. task: the task that uses it. entry: the in
    whose variable is called like it, because it stands in a list.
    """

    name: Name
    span: Span
    given: bool = False
    task: Task | None = None
    entry: In | None = None


def occurrences(scene: Scene) -> Iterator[Occurrence]:
    """All names of a file, each where it stands. Those that a task file gives are at their places in that file."""
    if scene.pipeline is not None:
        yield from _of_pipeline(scene.pipeline)
    if scene.task_file is not None:
        for param in scene.task_file.ins.values():
            yield Occurrence(Name("in", scene.file, param.name), param.place.key_span, given=True)
        for out in scene.task_file.outs.values():
            yield Occurrence(Name("out", "", out.name), _name_span(out.place), given=True)
    yield from _pools(scene.document if scene.kind == "project" else scene.around.project_document)


def at(scene: Scene, line: int, column: int) -> Occurrence | None:
    """The name at a place of the file itself; lines and columns from 1."""
    here = (line, column)
    for found in occurrences(scene):
        span = found.span
        if span.file == scene.file and (span.line, span.column) <= here <= (span.end_line, span.end_column):
            return found
    return None


def all_of(scene: Scene, name: Name) -> list[Occurrence]:
    """Every place of a name, in the order of places."""
    found = {one.span: one for one in occurrences(scene) if one.name == name}
    return [found[span] for span in sorted(found)]


def definitions(scene: Scene, name: Name) -> list[Span]:
    """Where a name is given; a file's name, at its beginning."""
    if name.kind == "file":
        return [Span(name.name, 1, 1, 1, 1)] if scene.around.files.kind(name.name) == "file" else []
    if name.kind == "in" and scene.pipeline is not None:
        files = (task.file for task in scene.pipeline.all_tasks if task.file and task.file.path == name.owner)
        file = next(files, None)
        return [file.ins[name.name].place.key_span] if file and name.name in file.ins else []
    return [one.span for one in all_of(scene, name) if one.given]


def _of_pipeline(pipeline: Pipeline) -> Iterator[Occurrence]:
    for param in pipeline.params.values():
        yield Occurrence(Name("param", "", param.name), param.place.key_span, given=True)
    for given in pipeline.inputs.values():
        yield Occurrence(Name("input", "", given.name), given.place.key_span, given=True)
    for task in pipeline.all_tasks:
        yield Occurrence(Name("task", "", task.name), task.place.key_span, given=True, task=task)
        for out in task.outs.values():
            yield Occurrence(Name("out", task.name, out.name), _name_span(out.place), given=True, task=task)
        yield from _used(task, pipeline)
    for entry in pipeline.outs:
        if isinstance(entry.source, Ref):
            ref = entry.source
            where = Task("outs", pipeline.place / "outs", final=False)
            yield from _ref(ref, 0, ref.place, where)


def _used(task: Task, pipeline: Pipeline) -> Iterator[Occurrence]:
    if task.use is not None:
        try:
            path = resolve_use(str(task.use.value), pipeline.path)
            yield Occurrence(Name("file", "", path), task.use.place.span, task=task)
        except ValueError:
            pass  # `check` tells it
    for entry in task.ins:
        if entry.keyed and task.file is not None:
            yield Occurrence(Name("in", task.file.path, entry.name), entry.place.key_span, task=task)
        if isinstance(entry.source, Ref):
            ref = entry.source
            yield from _ref(ref, 0, ref.place, task, None if entry.keyed else entry)
    for setting in task.after:
        yield Occurrence(Name("task", "", str(setting.value)), setting.place.span, task=task)
    if task.gate and task.gate.gate:
        for found in gate_refs(task.gate.gate):
            yield from _ref(found, found.start, task.gate.place, task)
    gpu = task.own.get("gpu")
    if gpu and isinstance(gpu.value, GpuAsk):
        yield Occurrence(Name("pool", "", gpu.value.pool), _pool_span(gpu), task=task)


def _ref(ref: Ref | GateRef, start: int, place: Place, task: Task, entry: In | None = None) -> Iterator[Occurrence]:
    """The one or two names of a reference, whose text begins at an offset of a place's."""
    owner, name = ref.owner, ref.name
    middle = start + len(owner)
    end = middle + 1 + len(name)
    if owner in ("params", "inputs"):
        kind: NameKind = "param" if owner == "params" else "input"
        yield Occurrence(Name(kind, "", name), place.inner(middle + 1, end), task=task, entry=entry)
    else:
        yield Occurrence(Name("task", "", owner), place.inner(start, middle), task=task)
        yield Occurrence(Name("out", owner, name), place.inner(middle + 1, end), task=task, entry=entry)


def _name_span(place: Place) -> Span:
    """Where an out's name stands: a map's key, or an item of a list."""
    return place.key_span if isinstance(place.route[-1], str) else place.span


def _pool_span(gpu: Setting) -> Span:
    text = gpu.place.document.text(gpu.place.route)
    return gpu.place.inner(0, text.index(":")) if ":" in text else gpu.place.span


def _pools(project: Document | None) -> Iterator[Occurrence]:
    data = project.data if project is not None else None
    environments = data.get("environments") if isinstance(data, dict) else None
    for name, environment in environments.items() if isinstance(environments, dict) else ():
        pools = environment.get("gpus") if isinstance(environment, dict) else None
        for pool in pools if isinstance(pools, dict) else ():
            assert project is not None
            yield Occurrence(Name("pool", "", pool), project.key_span(("environments", name, "gpus", pool)), given=True)
