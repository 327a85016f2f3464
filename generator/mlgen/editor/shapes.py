"""The schema of a place: what may stand at a route of a file."""

from __future__ import annotations

from typing import Any

from mlgen.editor.schemas import annotated, resolved
from mlgen.spec.reader import Route
from mlgen.spec.shape import Kind, Schema


def schema_at(kind: Kind, route: Route) -> Schema | None:
    """The schema of the value at a route, with what $ref and `then` name laid under it; None where nothing may be."""
    part = _open(kind, annotated(kind))
    for step in route:
        child: object = part.get("items")
        if isinstance(step, str):
            child = part.get("properties", {}).get(step, part.get("additionalProperties"))
        if not isinstance(child, dict):
            return None
        part = _open(kind, child)
    return part


def _open(kind: Kind, part: Schema) -> Schema:
    part = resolved(kind, part)
    return {**resolved(kind, part["then"]), **part} if "then" in part else part


def examples(part: Schema) -> list[Any]:
    """The plain values that a schema gives as its default and examples."""
    found = [part["default"]] if "default" in part else []
    return [value for value in [*found, *part.get("examples", [])] if isinstance(value, str | int | float)]
