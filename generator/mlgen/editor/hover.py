"""What is shown of the word under the pointer, as Markdown: a name's meaning, else its key's."""

from __future__ import annotations

from dataclasses import dataclass

from mlgen.diagnostic import Span
from mlgen.editor import names, shapes, telling
from mlgen.editor.scene import Scene
from mlgen.editor.schemas import REFERENCE
from mlgen.spec.reader import Route


@dataclass(frozen=True, slots=True)
class Hover:
    """text: Markdown; what came from a file is code in it."""

    text: str
    span: Span


def hover(scene: Scene, line: int, column: int) -> Hover | None:
    """What there is to say of a place; lines and columns from 1."""
    found = names.at(scene, line, column)
    if found is not None:
        text = telling.name(scene, found.name)
        if text:
            return Hover(text, found.span)
    route, on_key = place(scene, line, column)
    if not route:
        return None
    if not on_key:
        told = telling.value(scene, route, plain(scene, route))
        if told:
            return Hover(told, scene.document.span(route))
    return _key(scene, route, on_key)


def place(scene: Scene, line: int, column: int) -> tuple[Route, bool]:
    """The route of the innermost value at a place, and whether the place is on its key."""
    here, on_key = (line, column), False
    route: Route = ()
    value: object = scene.document.data
    while True:
        steps = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
        for step, child in steps:
            inner: Route = (*route, step)
            key, whole = scene.document.key_span(inner), scene.document.span(inner)
            if isinstance(step, str) and _holds(key, here):
                return inner, True
            if _holds(whole, here):
                value, route, on_key = child, inner, False
                break
        else:
            return route, on_key


def _holds(span: Span, here: tuple[int, int]) -> bool:
    return (span.line, span.column) <= here <= (span.end_line, span.end_column)


def _key(scene: Scene, route: Route, on_key: bool) -> Hover | None:
    while route and isinstance(route[-1], int):
        route = route[:-1]
    part = shapes.schema_at(scene.kind, route)
    if part is None or not part.get("description"):
        return None
    lines = [f"**{part.get('title', route[-1])}**: {part['description']}"]
    if "default" in part:
        lines.append(f"Default: `{part['default']}`")
    value = plain(scene, route)
    if value in part.get("enum", []):
        lines.append(f"`{value}`: {part['enumDescriptions'][part['enum'].index(value)]}")
    if part.get("findings"):
        lines.append("Checked: " + ", ".join(f"`{code}`" for code in part["findings"]))
    lines.append(f"[Reference]({REFERENCE})")
    span = scene.document.key_span(route) if on_key else scene.document.span(route)
    return Hover("\n\n".join(lines), span)


def plain(scene: Scene, route: Route) -> object:
    value: object = scene.document.data
    for step in route:
        value = value[step]  # type: ignore[index]  # the route was found in it
    return value if isinstance(value, str | int) else None
