"""Findings about shape: one method for each way in which a document can differ from its schema."""

from __future__ import annotations

import posixpath
from collections.abc import Sequence
from difflib import get_close_matches
from typing import Any

from mlgen.diagnostic import Diagnostic, Related, Span
from mlgen.spec import shape_fixes, synonyms
from mlgen.spec.document import Document
from mlgen.spec.reader import MAX_FINDINGS, Route, too_many

Schema = dict[str, Any]

_TYPE = {
    "string": "a text",
    "integer": "a whole number",
    "number": "a number",
    "boolean": "a boolean",
    "array": "a list",
    "object": "a map",
}


_ONE_OF = {"sweep": "one of them says which trials there are", "store": "one of them keeps the secrets"}


class Words:
    """The findings of one document, in the order they are told; at most MAX_FINDINGS with those of reading it."""

    def __init__(self, document: Document) -> None:
        self.document = document
        self.findings: list[Diagnostic] = []
        self.full = False

    def tell(
        self, code: str, message: str, span: Span, why: str, fix: str, *related: Related, secret: bool = False
    ) -> None:
        if self.full:
            return
        if len(self.findings) + len(self.document.diagnostics) >= MAX_FINDINGS:
            self.full = True
            self.findings.append(too_many(span))
        else:
            self.findings.append(Diagnostic(code, message, span, why, fix, related, secret))

    def unknown_version(self, version: int) -> None:
        span = self.document.span(("version",))
        if version > 1:
            message = f"version {version} of the format is newer than this mlgen reads"
            self.tell("unknown-version", message, span, "this mlgen reads version 1", "upgrade mlgen")
        else:
            self.tell("unknown-version", f"there is no version {version}", span, "", "write version: 1")

    def reserved_key(self, route: Route) -> None:
        message = f'not yet: "{_key(route)}" is kept for a later version of mlgen'
        self.tell("reserved-key", message, self.document.key_span(route), "", "remove it")

    def unknown_key(self, route: Route, known: Sequence[str]) -> str | None:
        """Returns the known key that was probably meant."""
        if self.full:
            return None
        key = _key(route)
        near = get_close_matches(key, known, n=1) if len(key) <= 60 else []
        wanted, fix = synonyms.meant(key, known) or ((near[0], f"write {near[0]}") if near else (None, "remove it"))
        message = f'{_name(route[:-1])} has no key "{_cut(key)}"'
        self.tell("unknown-key", message, self.document.key_span(route), f"its keys: {', '.join(known)}", fix)
        return wanted

    def missing_key(self, route: Route, key: str, part: Schema) -> None:
        message = f"{_name(route)} has no `{key}`"
        why = part.get("description", "")
        fix = f"add {_example(key, part)}"
        if (*route, key) == ("name",):  # of a pipeline or task file, which is called as its file is
            fix = f"add name: {posixpath.basename(self.document.file).rpartition('.')[0]}"
        self.tell("missing-key", message, self.document.key_span(route), why, fix)

    def missing_all(self, route: Route, keys: Sequence[str], part: Schema) -> None:
        """All of some keys are missing of which there must be one."""
        ticked = [f"`{key}`" for key in keys]
        message = f"{_name(route)} has none of {_joined(ticked, 'and')}"
        why = part.get("description", "")
        self.tell("missing-key", message, self.document.key_span(route), why, f"add {_joined(ticked, 'or')}")

    def not_both(self, route: Route, keys: Sequence[str]) -> None:
        first, second = sorted(keys, key=lambda key: self.document.key_span((*route, key)))
        span, related = (self.document.key_span((*route, key)) for key in (second, first))
        message = f"{_name(route)} has `{first}` and `{second}`"
        last = route[-1] if route else ""
        why = _ONE_OF.get(
            str(last), "it is one of them" if route[:1] == ("environments",) else "one of them says what runs"
        )
        self.tell("bad-value", message, span, why, "remove one", Related("the other", related))

    def wrong_type(self, route: Route, value: object, types: Sequence[str], part: Schema) -> None:
        why = part.get("description", "")
        wanted = _joined([_TYPE[name] for name in types], "or")
        if value is None:
            wanted = wanted if len(types) <= 2 else "a value"
            fix = f"write {wanted}{_such_as(route, part)}, or remove the key"
            self.tell("wrong-type", f"{_name(route)} is empty", self.document.key_span(route), why, fix)
            return
        secret = "secrets" in route[-2:] or (
            route[:1] == ("on",) and route[-1] == "secret"
        )  # the secret itself may stand where its reference is wanted
        written = self.document.text(route) if isinstance(value, str | bool | int | float) else ""
        meant = None if secret else shape_fixes.fix(route, value, written, types)
        fix = meant or f"write {wanted}{_such_as(route, part)}"
        message = f"{_name(route)} is {_type(value)}, not {wanted}"
        self.tell("wrong-type", message, self.document.span(route), why, fix, secret=secret)

    def none_of(self, route: Route, value: object, part: Schema) -> None:
        allowed = [str(choice) for choice in part["enum"]]
        shown = _cut(self.document.text(route)) if isinstance(value, str) else _type(value)
        near = get_close_matches(shown, allowed, n=1)
        message = f'{_name(route)} cannot be "{shown}"'
        fix = f"write {near[0]}" if near else f"write one of: {', '.join(allowed)}"
        self.tell("bad-value", message, self.document.span(route), f"it is one of: {', '.join(allowed)}", fix)

    def out_of_range(self, route: Route, value: float, part: Schema) -> None:
        low, high = part.get("minimum"), part.get("maximum")
        allowed = f"at least {low}" if high is None else f"from {low} to {high}"
        message = f"{_name(route)} is {value}; it must be {allowed}"
        nearest = low if low is not None and value < low else high
        fix = f"write {nearest}, or another number {'of ' if high is None else ''}{allowed}"
        self.tell("bad-value", message, self.document.span(route), part.get("description", ""), fix)

    def empty(self, route: Route, part: Schema) -> None:
        why, span = part.get("description", ""), self.document.key_span(route)
        self.tell("bad-value", f"{_name(route)} is empty", span, why, f"fill it{_such_as(route, part)}")


def _cut(text: str) -> str:
    return text if len(text) <= 80 else f"{text[:80]}…"


def _key(route: Route) -> str:
    return route[-1] if route and isinstance(route[-1], str) else ""


_NAMED = {
    "tasks": "task",
    "finally": "finally task",
    "params": "param",
    "inputs": "input",
    "environments": "environment",
}


def _name(route: Route) -> str:
    """What people call the value at a route."""
    match route:
        case ():
            return "the file"
        case (str(section), str(name)) if section in _NAMED:
            return f'{_NAMED[section]} "{_cut(name)}"'
        case (*_, str(key), int(index)):
            return f"item {index + 1} of `{_cut(key)}`"
        case (*_, int(index)):
            return f"item {index + 1} of a list"
    return f"`{_cut(_key(route))}`"


def _joined(words: Sequence[str], last: str) -> str:
    return f" {last} ".join(filter(None, (", ".join(words[:-1]), words[-1])))


def _type(value: object) -> str:
    match value:
        case bool():
            return "a boolean"
        case int():
            return "a whole number"
        case float():
            return "a number with a decimal point" if value.is_integer() else "a number with a fraction"
        case str():
            return "a text"
        case list():
            return "a list"
        case dict():
            return "a map"
    return "empty"


def _such_as(route: Route, part: Schema) -> str:
    """The end of a fix: an example, or the choices where there are few words to choose from."""
    if "enum" in part:
        return f": {_joined([str(choice) for choice in part['enum']], 'or')}"
    return f", such as {_example(_key(route), part)}" if part.get("examples") else ""


def _example(key: str, part: Schema) -> str:
    """`key: value`, with the first value that the schema gives as an example."""
    values = part.get("examples") or part.get("enum") or ["…"]
    shown = values[0] if isinstance(values[0], str) else shape_fixes.flow(values[0])
    return f"{key}: {shown}" if key else shown
