"""The schemas as editors get them: told in full, snippets that hold, and what is published is what is here."""

from __future__ import annotations

import json
import random
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import jsonschema_rs
import pytest

from mlgen.codes import CODES
from mlgen.editor import reference, schemas, snippets
from mlgen.editor.schemas import KINDS
from mlgen.spec.document import read
from mlgen.spec.shape import Kind, check_shape, schema
from tests.spec.mutations import VALID, mutated

PASSED_OVER = {
    "$schema", "$id", "title", "description", "markdownDescription", "examples", "default", "enumDescriptions",
    "markdownEnumDescriptions", "defaultSnippets",
}  # fmt: skip
ROOT = Path(__file__).parents[2]


def objects(kind: Kind) -> Iterator[dict[str, Any]]:
    yield from schemas.parts(schemas.annotated(kind))


@pytest.mark.parametrize("kind", KINDS)
def test_every_key_has_words_and_every_choice_too(kind: Kind) -> None:
    for part in objects(kind):
        for key, value in part.get("properties", {}).items():
            if value is False or value.keys() == {"required"}:  # what a caller may not set, must have
                continue
            here = schemas.resolved(kind, value)
            assert here.get("title"), key
            assert here.get("description"), key
        if "enum" in part:
            assert len(part["enumDescriptions"]) == len(part["enum"]), part
            assert all(part["enumDescriptions"]), part


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_published_says_the_same_as_what_checks_read(kind: Kind) -> None:
    published = json.loads((ROOT / f"schemas/{kind}.v1.json").read_text())
    assert schemas.published(kind) == (ROOT / f"schemas/{kind}.v1.json").read_text(), "run `just docs`"
    jsonschema.Draft202012Validator.check_schema(published)
    jsonschema_rs.meta.validate(published)
    assert rules(published) == rules(schema(kind))


def rules(part: Any) -> Any:
    """A schema without what validators pass over; of the two ways to say of which values a text is one, the longer."""
    if isinstance(part, list):
        return [rules(item) for item in part]
    if not isinstance(part, dict):
        return part
    # A map below such a word is a property of that name.
    kept = {key: value for key, value in part.items() if key not in PASSED_OVER or isinstance(value, dict)}
    found = {key: rules(value) for key, value in kept.items() if key != "x-intellij-enum-metadata"}
    ways = found.get("anyOf", [])
    if {"type": "object"} in ways:
        del found["anyOf"]
        found |= {"if": {"type": "string"}, "then": ways[0]}
    return found


@pytest.mark.parametrize("kind", KINDS)
def test_both_judge_alike(kind: Kind) -> None:
    random_ = random.Random(3)
    published = jsonschema_rs.Draft202012Validator(json.loads(schemas.published(kind)))
    ours = jsonschema_rs.Draft202012Validator(schema(kind))
    for count in range(200):
        data = mutated(VALID[kind], random_) if count else VALID[kind]
        assert published.is_valid(data) == ours.is_valid(data)


@pytest.mark.parametrize("kind", KINDS)
def test_findings_that_are_named_exist(kind: Kind) -> None:
    named = {code for part in objects(kind) for code in part.get("findings", [])}
    assert named
    assert named <= CODES.keys()


def offered() -> list[Any]:
    return [
        pytest.param(kind, part, snippet, id=f"{kind}-{snippet['label']}".replace(" ", "-"))
        for kind in KINDS
        for part in objects(kind)
        for snippet in part.get("defaultSnippets", [])
    ]


@pytest.mark.parametrize(("kind", "part", "snippet"), offered())
def test_a_snippet_holds_where_it_is_offered(kind: Kind, part: dict[str, Any], snippet: dict[str, Any]) -> None:
    assert snippet["label"]
    assert snippet["description"]
    document = read("x.yaml", (snippets.filled(snippets.text(snippet["body"])) + "\n").encode())
    assert document.diagnostics == ()
    here = {**part, "$defs": schema(kind)["$defs"], "$schema": schema(kind)["$schema"]}
    assert jsonschema_rs.is_valid(here, document.data), document.data
    if part.get("$id"):
        assert check_shape(document, kind) == ([], set())


def test_the_reference_is_fresh_and_its_links_lead_somewhere() -> None:
    text = (ROOT / "generator/guides/spec.md").read_text()
    assert text == reference.page(), "run `just docs`"
    headings = [re.sub(r"[^\w\- ]", "", line.lstrip("# ").lower()).replace(" ", "-") for line in
                re.findall(r"^#+ .*$", text, re.MULTILINE)]  # fmt: skip
    assert len(headings) == len(set(headings))
    anchors = re.findall(r"\]\(#([^)]*)\)", text)
    assert anchors
    assert set(anchors) <= set(headings)
    manual = (ROOT / "generator/mlgen/codes.md").read_text()
    codes = set(re.findall(r"\]\(\.\./mlgen/codes\.md#([a-z-]+)\)", text))
    assert codes
    assert all(f"\n## {code}\n" in manual for code in codes)


def test_the_reference_has_every_key() -> None:
    for kind in KINDS:
        text = reference.page([kind])
        for part in objects(kind):
            for key in part.get("properties", {}):
                assert f"`{key}`" in text, (kind, key)
