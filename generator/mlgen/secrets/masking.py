"""The same without what looks like a secret."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeVar

from mlgen.canonical import Json
from mlgen.secrets.look import MASK, RANDOM
from mlgen.secrets.names import explains, named, names_in_list, names_in_object
from mlgen.secrets.search import spans
from mlgen.secrets.shapes import Span

_PASSES = 4
_Scrubbed = TypeVar("_Scrubbed", Json, dict[str, Json])


def masked(text: str, *, guesses: bool = True) -> str:
    """A text for people without what looks like a secret in it. guesses: also what only looks random."""
    for _ in range(_PASSES):  # what is left of a text may look like something else
        found = _found(text, guesses)
        if not found:
            return text
        parts: list[str] = []
        end = 0
        for span in found:
            if span.start >= end:
                parts += text[end : span.start], MASK
            end = max(end, span.end)
        text = "".join(parts) + text[end:]
    return MASK if _found(text, guesses) else text


def _found(text: str, guesses: bool) -> list[Span]:
    return sorted(span for span in spans(text) if guesses or span.kind != RANDOM)


def scrub(value: Json, name: str = "") -> Json:
    """A JSON value without what looks like a secret, in strings and in names. name: under which it stands."""
    return _settled(value, lambda left: _scrubbed(left, name))


def scrub_values(values: Mapping[str, Json]) -> dict[str, Json]:
    """The same of named values, whose names stay: params, metrics."""
    return _settled(dict(values), _scrubbed_values)


def _settled(value: _Scrubbed, scrubbed: Callable[[_Scrubbed], _Scrubbed]) -> _Scrubbed:
    """Scrubbed until nothing changes: what is masked may be a name, and what stands under it another's then."""
    for _ in range(_PASSES):
        before, value = value, scrubbed(value)
        if value == before:
            break
    return value


def _scrubbed(value: Json, name: str) -> Json:
    if isinstance(value, str):
        if named(name, value) is not None:
            return MASK
        only_random = explains(name) and all(span.kind == RANDOM for span in spans(value))
        return value if only_random else masked(value)
    if isinstance(value, list):
        return [_scrubbed(item, under) for item, under in zip(value, names_in_list(value, name), strict=True)]
    if isinstance(value, dict):
        return {masked(key): item for key, item in _scrubbed_values(value, name).items()}
    return value


def _scrubbed_values(values: Mapping[str, Json], name: str = "") -> dict[str, Json]:
    under = names_in_object(values.items(), name)
    return {key: _scrubbed(item, one) for (key, item), one in zip(values.items(), under, strict=True)}
