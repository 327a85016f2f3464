"""What specs use: task files, and pipelines in the place of one, each loaded once, with what is wrong in them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from mlgen.diagnostic import Diagnostic, Related
from mlgen.spec.checks.context import Context, type_read
from mlgen.spec.document import Document
from mlgen.spec.fans import is_many
from mlgen.spec.load import load_pipeline, load_task_file
from mlgen.spec.model import Out, Param, Pipeline, Place, Ref, TaskFile
from mlgen.spec.paths import uses

MAX_LEVELS = 8  # of pipelines in pipelines
Found = tuple[TaskFile | None, list[Diagnostic]]


def is_task_file(document: Document) -> bool:
    return isinstance(document.data, dict) and document.data.get("kind") == "task"


@dataclass
class Used:
    """The files that specs of a project use. read: the document of one that is there."""

    read: Callable[[str], Document]
    context: Context
    files: dict[str, Found] = field(default_factory=dict)

    def of(self, document: Document, chain: tuple[str, ...] = ()) -> tuple[dict[str, TaskFile], list[Diagnostic]]:
        """The files that a spec uses, by path, with what is wrong in them. What is no file is told with the spec.

        chain: the pipelines that use each other down to the spec.
        """
        here = (*chain, document.file)
        files, found = dict[str, TaskFile](), list[Diagnostic]()
        for path, place in uses(document):
            if path in files or self.context.files.kind(path) != "file":
                continue
            if path in here:
                found.append(_circle(place, here[here.index(path) :]))
                continue
            file, more = self.file(path, here, place)
            found += more
            if file is not None:
                files[path] = file
        return files, found

    def file(self, path: str, chain: tuple[str, ...] = (), place: Place | None = None) -> Found:
        """A task file, or a pipeline as one; None where it is too broken. place: of the `use` that is told with it."""
        if path not in self.files:
            self.files[path] = self._load(path, chain, place)
        return self.files[path]

    def _load(self, path: str, chain: tuple[str, ...], place: Place | None) -> Found:
        document = self.read(path)
        if is_task_file(document):
            return load_task_file(document, self.context)
        if place is not None and len(chain) > MAX_LEVELS:
            message = f"pipelines use each other more than {MAX_LEVELS} deep"
            why = f"this one is used by {' ← '.join(reversed(chain))}"
            return None, [
                place.finding("use-too-deep", message, why, "write some of the tasks out where they are used")
            ]
        files, found = self.of(document, chain)
        pipeline, own = load_pipeline(document, files, self.context)
        related = () if place is None else (Related("it is used here", place.span),)
        told = [_with(one, related) for one in own]
        return (None if pipeline is None else interface(pipeline)), [*told, *found]


def _with(one: Diagnostic, related: tuple[Related, ...]) -> Diagnostic:
    return Diagnostic(one.code, one.message, one.span, one.why, one.fix, (*one.related, *related), one.secret)


def _circle(place: Place, circle: tuple[str, ...]) -> Diagnostic:
    way = " → ".join([*circle, circle[0]])
    message = "a pipeline uses itself" if len(circle) == 1 else f"these pipelines use each other: {way}"
    why = "its tasks are laid in where it is used, which would never end"
    return place.finding("use-cycle", message, why, "use a task of it instead, in a file of its own")


def interface(pipeline: Pipeline) -> TaskFile:
    """A pipeline as a task of others: its params and inputs enter, its `outs` leave."""
    ins = dict(pipeline.params)
    for item in pipeline.inputs.values():
        ins.setdefault(item.name, Param(item.name, item.place, item.type, optional=item.uri is not None))
    return TaskFile(
        path=pipeline.path,
        place=pipeline.place,
        name=pipeline.name,
        ins=ins,
        outs={out.name: out for out in _outs(pipeline)},
        step=None,
        settings={},
        outs_known="tasks" in pipeline.known,
        description=pipeline.description,
        nested=pipeline,
    )


def _outs(pipeline: Pipeline) -> list[Out]:
    found = []
    for item in pipeline.outs:
        if not isinstance(item.source, Ref):
            continue
        owner, name = item.source.owner, item.source.name
        task = pipeline.tasks.get(owner)
        out = task.outs.get(name) if task else None
        optional = bool(out and out.optional) and not is_many(task)
        found.append(
            Out(item.name, item.place, type_read(pipeline, owner, name), optional, out.max_bytes if out else None)
        )
    return found
