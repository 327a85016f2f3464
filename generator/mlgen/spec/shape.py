"""The shape of a document: what its JSON schema says, in words about the author's file.

jsonschema-rs gives the verdict. The words for a bad document are our own walk over the same schema: it ends after
as many findings as people read (the library lists all, some with a copy of the document), and tells one cause once.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from functools import cache
from typing import Any, Literal, NoReturn

from jsonschema_rs import Draft202012Validator

from mlgen.diagnostic import Diagnostic
from mlgen.spec.document import Document
from mlgen.spec.reader import Route
from mlgen.spec.shape_words import Words

Kind = Literal["pipeline", "task", "project", "lock"]
Schema = dict[str, Any]

# What editors flag by these, `check` says of the meaning, in better words: names, references, quantities, what the
# caller of a task file may set, what an environment needs for a cluster.
LEFT_TO_CHECK = frozenset({"pattern", "propertyNames", "dependentSchemas", "allOf"})

RESERVED_IN_TASKS = frozenset({
    "slo", "deploy", "service", "notify",
})  # fmt: skip
RESERVED_IN_ENVIRONMENTS = frozenset({"ca"})

_TYPES: dict[str, Callable[[object], bool]] = {
    "string": lambda value: isinstance(value, str),
    # Not 2.0, which JSON Schema counts as an integer: what reads the document after this does not.
    "integer": lambda value: isinstance(value, int) and not isinstance(value, bool),
    "number": lambda value: isinstance(value, int | float) and not isinstance(value, bool),
    "boolean": lambda value: isinstance(value, bool),
    "array": lambda value: isinstance(value, list),
    "object": lambda value: isinstance(value, dict),
}


def check_shape(document: Document, kind: Kind) -> tuple[list[Diagnostic], set[Route]]:
    """What the schema says against a document, and the routes of values that are not to be looked at further.

    The routes include those that reading refused, and the keys that are missing. Nothing is said of a document
    without data: its own diagnostics say why.
    """
    bad = set(document.refused)
    if document.data is None or (not document.whole_floats and _validator(kind).is_valid(document.data)):
        return [], bad
    walk = _Walk(document, kind, Words(document), bad)
    walk.document_as(schema(kind))
    return walk.words.findings, bad


@cache
def schema(kind: Kind) -> Schema:
    """The JSON schema (2020-12) of a kind of file, as published in schemas/."""
    path = os.path.join(os.path.dirname(__file__), "schema", f"{kind}.v1.json")
    with open(path, "rb") as file:
        found: Schema = json.load(file)
    return found


@cache
def _validator(kind: Kind) -> Draft202012Validator:
    return Draft202012Validator(schema(kind), retriever=_refuse)


def _refuse(uri: str) -> NoReturn:
    # Without a retriever the library would fetch what a $ref names.
    raise ValueError(f"{uri} is not fetched")


class _Walk:
    """One walk over a document and its schema. It knows the keywords that our schemas use; a test holds them to it."""

    def __init__(self, document: Document, kind: Kind, words: Words, bad: set[Route]) -> None:
        self.document, self.kind, self.words, self.bad = document, kind, words, bad
        self.refused = document.refused
        self.definitions: dict[str, Schema] = schema(kind)["$defs"]

    def document_as(self, root: Schema) -> None:
        data = self.document.data
        version = data.get("version") if isinstance(data, dict) else None
        if isinstance(version, int) and not isinstance(version, bool) and version != 1:
            self.bad.add(("version",))
            self.words.unknown_version(version)
            if version > 1:  # what a newer format says cannot be judged by this one
                self.bad.add(())
                return
        self.visit(root, data, ())

    def resolved(self, part: Schema) -> Schema:
        """A schema with what its $ref names; its own words come first."""
        while "$ref" in part:
            own = {key: value for key, value in part.items() if key != "$ref"}
            part = {**self.definitions[part["$ref"].removeprefix("#/$defs/")], **own}
        return part

    def visit(self, part: Schema, value: object, route: Route) -> None:
        if route in self.refused or self.words.full:
            return
        part = self.resolved(part)
        types = part.get("type", [])
        types = [types] if isinstance(types, str) else types
        if types and not any(_TYPES[name](value) for name in types):
            self.bad.add(route)
            self.words.wrong_type(route, value, types, part)
            return
        if "then" in part and _TYPES[part["if"]["type"]](value):
            part = self.resolved({**part, **part["then"]})
        if self.limits(part, value, route):
            self.bad.add(route)
        elif isinstance(value, dict):
            self.map(part, value, route)
        elif isinstance(value, list) and "items" in part:
            for index, item in enumerate(value):
                self.visit(part["items"], item, (*route, index))

    def limits(self, part: Schema, value: object, route: Route) -> bool:
        """Whether the value itself, apart from what is in it, is not allowed; the finding is told."""
        if "const" in part and value != part["const"]:
            return True  # only `version` has one, and it is told
        if "enum" in part and value not in part["enum"]:
            self.words.none_of(route, value, part)
        elif isinstance(value, int | float) and not part.get("minimum", value) <= value <= part.get("maximum", value):
            self.words.out_of_range(route, value, part)
        elif value in ("", [], {}) and any(part.get(f"min{what}") for what in ("Length", "Items", "Properties")):
            self.words.empty(route, part)
        else:
            return False
        return True

    def map(self, part: Schema, data: dict[str, Any], route: Route) -> None:
        properties: dict[str, Schema] = part.get("properties", {})
        others: Schema | bool = part.get("additionalProperties", True)
        meant = set()
        if others is False:
            unknown = [key for key in data if key not in properties]
            self.bad.update((*route, key) for key in unknown)
            for key in unknown:
                if key in self.reserved(route):
                    self.words.reserved_key((*route, key))
                else:
                    meant.add(self.words.unknown_key((*route, key), sorted(properties)))
        self.required(part, data, route, meant)
        for key, value in data.items():
            if self.words.full:
                break
            if key in properties:
                self.visit(properties[key], value, (*route, key))
            elif isinstance(others, dict):
                self.visit(others, value, (*route, key))

    def required(self, part: Schema, data: dict[str, Any], route: Route, meant: set[str | None]) -> None:
        """Keys that must be there. meant: those that an unknown key was probably meant to be, which is told."""
        for key in part.get("required", []):
            if key not in data:
                self.bad.add((*route, key))
                if key not in meant:
                    self.words.missing_key(route, key, self.resolved(part["properties"][key]))
        for keyword in ("anyOf", "oneOf"):
            keys = [branch["required"][0] for branch in part.get(keyword, [])]
            given = [key for key in keys if key in data]
            if keys and not given and not meant.intersection(keys):
                self.words.missing_all(route, keys, part)
            elif keyword == "oneOf" and len(given) > 1:
                self.words.not_both(route, given)

    def reserved(self, route: Route) -> frozenset[str]:
        """The keys that are kept for later in the map at a route."""
        match self.kind, route:
            case ("pipeline", ()):
                return RESERVED_IN_TASKS
            case ("task", ()) | ("pipeline", ("tasks" | "finally", _)):
                return RESERVED_IN_TASKS | {"schedule", "on"}
            case "project", ("environments", _):
                return RESERVED_IN_ENVIRONMENTS
        return frozenset()
