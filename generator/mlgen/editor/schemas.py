"""The schemas as editors get them: those of `spec/schema/`, with words and snippets that no check needs to load."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from functools import cache
from typing import Any, TypeAlias

from mlgen.editor.snippets import flow
from mlgen.spec.shape import Kind, Schema, schema

KINDS: tuple[Kind, ...] = ("pipeline", "task", "project", "lock")
FILES: dict[Kind, str] = {
    "pipeline": "pipelines/*.yaml",
    "task": "task files",
    "project": "mlgen.yaml",
    "lock": "mlgen.lock",
}
REFERENCE = "https://github.com/mlgen/mlgen/blob/main/generator/guides/spec.md"
Words: TypeAlias = "dict[str, dict[str, Any]]"  # a place in the schema ("#/$defs/in") -> findings, snippets


@cache
def words(kind: Kind) -> Words:
    """What is said beyond a kind's schema, by place: "findings" (codes of what only `check` sees), "snippets"."""
    with open(os.path.join(os.path.dirname(__file__), "words.json"), "rb") as file:
        found: dict[str, Words] = json.load(file)
    return {**(found["pipeline and task"] if kind in ("pipeline", "task") else {}), **found[kind]}


@cache
def annotated(kind: Kind) -> Schema:
    """A kind's schema with "findings" and "defaultSnippets" at their places."""
    whole: Schema = json.loads(json.dumps(schema(kind)))
    for where, said in words(kind).items():
        part = whole
        for step in where.split("/")[1:]:
            part = part[step]
        if "snippets" in said:
            part["defaultSnippets"] = said["snippets"]
        if "findings" in said:
            part["findings"] = said["findings"]
    return whole


def published(kind: Kind) -> str:
    """The text of a kind's schema, for VS Code's YAML server and IntelliJ; what validates is as in `spec/schema/`.

    Source: the keywords of vscode-json-languageservice (markdownDescription, markdownEnumDescriptions,
    defaultSnippets) and of IntelliJ (x-intellij-enum-metadata); validators pass over all of them.
    """
    whole = json.loads(json.dumps(annotated(kind)))
    for part in list(parts(whole)):
        _for_editors(part)
    return json.dumps(whole, indent=2, ensure_ascii=False) + "\n"


def _for_editors(part: Schema) -> None:
    findings = part.pop("findings", [])
    whole = [example for example in part.get("examples", []) if isinstance(example, list | dict)]
    if whole:
        # As text: the YAML server offers each example as a value, and writes a map as "[object Object]".
        part["examples"] = [example for example in part["examples"] if example not in whole]
    if "description" in part:
        told = [part["description"], *(f"Example: `{flow(example)}`" for example in whole)]
        if findings:
            told.append(f"`mlgen check` also looks for: {', '.join(f'`{code}`' for code in findings)}.")
        part["markdownDescription"] = "\n\n".join([*told, f"[Reference]({REFERENCE})"])
    if "enumDescriptions" in part:
        part["markdownEnumDescriptions"] = part["enumDescriptions"]
        meanings = zip(part["enum"], part["enumDescriptions"], strict=True)
        part["x-intellij-enum-metadata"] = {value: {"description": text} for value, text in meanings}
    if part.get("if") == {"type": "string"}:
        # The same in other words: the YAML server offers the choices of an `anyOf`, not those of a `then`.
        del part["if"]
        part["anyOf"] = [part.pop("then"), {"type": "object"}]


def parts(part: Any) -> Iterator[Schema]:
    """All schemas within a schema, itself first."""
    if not isinstance(part, dict):
        return
    yield part
    for key in ("items", "additionalProperties", "propertyNames", "if", "then"):
        yield from parts(part.get(key))
    for key in ("properties", "$defs", "dependentSchemas"):
        for child in part.get(key, {}).values():
            yield from parts(child)
    for key in ("anyOf", "oneOf", "allOf"):
        for child in part.get(key, []):
            yield from parts(child)


def resolved(kind: Kind, part: Schema) -> Schema:
    """A schema with what its $ref names laid under its own words."""
    definitions = annotated(kind)["$defs"]
    while "$ref" in part:
        own = {key: value for key, value in part.items() if key != "$ref"}
        part = {**definitions[part["$ref"].removeprefix("#/$defs/")], **own}
    return part
