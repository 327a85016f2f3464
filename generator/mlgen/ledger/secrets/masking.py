"""The same without what looks like a secret."""

from __future__ import annotations

from collections.abc import Mapping

from mlgen.canonical import Json
from mlgen.ledger.secrets import words
from mlgen.ledger.secrets.look import MASK, RANDOM
from mlgen.ledger.secrets.search import spans

_PASSES = 3


def masked(text: str) -> str:
    """A text for people without what looks like a secret in it."""
    for _ in range(_PASSES):  # what is left of a text may look like something else
        found = sorted(spans(text))
        if not found:
            return text
        parts: list[str] = []
        end = 0
        for span in found:
            if span.start >= end:
                parts += text[end : span.start], MASK
            end = max(end, span.end)
        text = "".join(parts) + text[end:]
    return text if next(spans(text), None) is None else MASK


def scrub(value: Json, name: str = "") -> Json:
    """A JSON value without what looks like a secret, in strings and in names. name: under which it stands."""
    if isinstance(value, str):
        if words.named(name, value) is not None:
            return MASK
        only_random = words.explains(name) and all(span.kind == RANDOM for span in spans(value))
        return value if only_random else masked(value)
    if isinstance(value, list):
        return [scrub(item, name) for item in value]
    if isinstance(value, dict):
        return {masked(key): scrub(item, key) for key, item in value.items()}
    return value


def scrub_values(values: Mapping[str, Json]) -> dict[str, Json]:
    """The same of named values, whose names stay: params, metrics."""
    return {name: scrub(value, name) for name, value in values.items()}
