"""The parts of a file, as an editor lists them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from mlgen.diagnostic import Span, sentence
from mlgen.editor.scene import Scene
from mlgen.spec.model import Place, Task
from mlgen.spec.reader import Route

SECTIONS = ("params", "inputs", "defaults", "tasks", "finally", "in", "out", "environments", "images")
MOST = 5_000  # parts that are listed


@dataclass(frozen=True, slots=True)
class Part:
    """kind: "section", "param", "input", "task", "out" or "entry". whole: from its key to its end; span: its key."""

    name: str
    kind: str
    detail: str
    whole: Span
    span: Span
    parts: tuple[Part, ...] = ()


_KINDS = {"params": "param", "inputs": "input", "tasks": "task", "finally": "task", "in": "input", "out": "out"}


def outline(scene: Scene) -> list[Part]:
    """The sections of a file with what they hold; tasks with their outs."""
    data = scene.document.data
    found = []
    for section in SECTIONS:
        value = data.get(section) if isinstance(data, dict) else None
        if isinstance(value, dict):
            kind = _KINDS.get(section, "entry")
            parts = tuple(_part(scene, (section, name), kind) for name in list(value)[:MOST])
            found.append(_part(scene, (section,), "section", parts))
    return sorted(found, key=lambda part: part.span)


def _part(scene: Scene, route: Route, kind: str, parts: tuple[Part, ...] = ()) -> Part:
    place = Place(scene.document, route)
    key, value = place.key_span, place.span
    whole = Span(
        key.file, key.line, key.column, *max((key.end_line, key.end_column), (value.end_line, value.end_column))
    )
    detail = ""
    task = _tasks(scene).get(str(route[-1])) if kind == "task" else None
    if task is not None:
        detail = f"uses {task.use.value}" if task.use else ", ".join(map(str, task.outs))
        outs = (out for out in task.outs.values() if out.place.document is scene.document)
        parts = tuple(_out(out.place, out.name, str(out.type or "")) for out in outs)
    return Part(sentence(str(route[-1])) or "…", kind, sentence(detail), whole, key, parts)


def _out(place: Place, name: str, kind: str) -> Part:
    span = place.key_span if isinstance(place.route[-1], str) else place.span
    return Part(sentence(name) or "…", "out", kind, span, span)


def _tasks(scene: Scene) -> Mapping[str, Task]:
    pipeline = scene.pipeline
    return {**pipeline.finally_tasks, **pipeline.tasks} if pipeline is not None else {}
