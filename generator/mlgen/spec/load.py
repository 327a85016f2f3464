"""Document → Pipeline, TaskFile, Project or digests, with every finding: of the text, the shape and the meaning."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TypeVar

from mlgen import diagnostic
from mlgen.diagnostic import Diagnostic
from mlgen.spec import fans
from mlgen.spec.build import build, build_task_file
from mlgen.spec.checks import check
from mlgen.spec.checks.context import Context
from mlgen.spec.checks.literal_secrets import literal_secrets
from mlgen.spec.checks.task_file import check_task_file
from mlgen.spec.document import Document
from mlgen.spec.doubt import Doubt, within
from mlgen.spec.model import Pipeline, TaskFile
from mlgen.spec.project import Project
from mlgen.spec.project_build import build_lock, build_project
from mlgen.spec.reader import MAX_FINDINGS, MAX_VALUES, Route, too_many
from mlgen.spec.shape import Kind, check_shape

T = TypeVar("T")
MAX_SCRIPTS = 1 << 25  # characters


def load_pipeline(
    document: Document, task_files: Mapping[str, TaskFile], context: Context
) -> tuple[Pipeline | None, list[Diagnostic]]:
    """The pipeline of a spec and all findings, sorted by place; None where nothing in it can be told apart.

    task_files: those that are used, by path; what is wrong in them is told where they are loaded.
    """

    def meaning(bad: set[Route]) -> tuple[Pipeline, Iterable[Diagnostic]]:
        pipeline, unread = build(document, task_files, bad)
        if excess := _excess(pipeline):
            return pipeline, [excess]  # nothing else is looked at, which is what takes the time
        return pipeline, [*unread, *check(pipeline, context)]

    return _load(document, "pipeline", meaning)


def load_task_file(document: Document, context: Context) -> tuple[TaskFile | None, list[Diagnostic]]:
    """The reusable task of a document and all findings, as for a pipeline."""

    def meaning(bad: set[Route]) -> tuple[TaskFile, Iterable[Diagnostic]]:
        file, unread = build_task_file(document, bad)
        return file, [*unread, *check_task_file(file, context)]

    return _load(document, "task", meaning)


def load_project(document: Document) -> tuple[Project, list[Diagnostic]]:
    """The project of a mlgen.yaml and all findings."""
    project, found = _load(document, "project", lambda bad: build_project(document, bad))
    return project or Project(), found


def load_lock(document: Document) -> tuple[dict[str, str], list[Diagnostic]]:
    """The digests of a mlgen.lock, image reference -> "sha256:…", and all findings."""
    digests, found = _load(document, "lock", lambda _: build_lock(document))
    return digests or {}, found


def _load(
    document: Document, kind: Kind, meaning: Callable[[set[Route]], tuple[T, Iterable[Diagnostic]]]
) -> tuple[T | None, list[Diagnostic]]:
    shape, bad = check_shape(document, kind)
    told = [*document.diagnostics, *shape]
    # Also in what is refused, as one told less is a token that nobody revokes.
    secrets = list(literal_secrets(document, kind))
    if not isinstance(document.data, dict) or () in bad:
        return None, diagnostic.sort([*told, *_untold(secrets, told)])
    made, found = meaning(bad)
    told += Doubt(document, bad).untold(found)
    return made, _first(diagnostic.sort([*told, *_untold(secrets, told)]))


def _untold(secrets: Iterable[Diagnostic], told: Iterable[Diagnostic]) -> Iterator[Diagnostic]:
    """The findings less those about what is refused already as a thing that may hold a secret, such as a URL's user."""
    places = [finding.span for finding in told if finding.secret]
    return (one for one in secrets if not any(within(one.span, place) for place in places))


def _excess(pipeline: Pipeline) -> Diagnostic | None:
    """The finding for a spec that is small only because `defaults` and task files give much to many tasks."""
    values = sum(len(task.ins) + len(task.outs) for task in pipeline.all_tasks)
    held = (setting.value for task in pipeline.all_tasks for setting in task.settings.values())
    values += sum(len(value) for value in held if isinstance(value, dict | tuple))
    counts = ((fans.count(task.fan) or 0, len(task.fan.axes)) for task in pipeline.all_tasks if task.fan)
    values += sum(items * variables for items, variables in counts if items <= fans.MAX_ITEMS)  # else told by itself
    scripts = sum(len(task.step.script or "") for task in pipeline.all_tasks if task.step)
    if values <= MAX_VALUES and scripts <= MAX_SCRIPTS:
        return None
    message = "the tasks are too large, each with what `defaults` and its task file give it"
    why = f"{MAX_VALUES:,} values and {MAX_SCRIPTS:,} characters of scripts are allowed in all of them together"
    return (pipeline.place / "tasks").key_finding("too-large", message, why, "split the pipeline")


def _first(found: list[Diagnostic]) -> list[Diagnostic]:
    """As many findings as people read, where one of the rest is an error."""
    rest = [f for f in found[MAX_FINDINGS:] if diagnostic.failed([f])]
    return [*found[:MAX_FINDINGS], too_many(rest[0].span)] if rest else found
