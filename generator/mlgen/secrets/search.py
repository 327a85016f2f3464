"""Where in a text something looks like a secret, by all that is known of it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from mlgen.secrets import assigned, names, shapes, words
from mlgen.secrets.look import MASK, RANDOM
from mlgen.secrets.plain import is_plain
from mlgen.secrets.shapes import Span

LONGEST_PLACE = 120  # characters
SHORTEST = 8  # characters of a text that has one in it: "pwd=1234"
DEEPEST_BASE64 = 2  # a text in base64 in a text in base64


class _Pairs(list[tuple[str, Any]]):
    """A JSON object, with all its names: a reader that takes the last of two would miss what is under the first."""


def places(text: str) -> Iterator[tuple[str, str]]:
    """(place, kind) of each secret in a text: within its JSON if it is some, else by lines."""
    try:
        value = json.loads(text, object_pairs_hook=_Pairs)
    except (ValueError, RecursionError):
        value = None
    if isinstance(value, (_Pairs, list)):
        yield from _in_json(value)
    else:
        yield from ((f"line {1 + text.count(chr(10), 0, at.start)}", at.kind) for at in spans(text))


def _in_json(value: object) -> Iterator[tuple[str, str]]:
    todo: list[tuple[str, str, object]] = [("", "", value)]  # place, the nearest name, value
    seen: dict[str, tuple[Span, ...]] = {}  # a record says many things more than once

    def spans_of(text: str) -> tuple[Span, ...]:
        found = seen.get(text)
        if found is None:
            found = seen[text] = tuple(spans(text))
        return found

    while todo:
        place, name, value = todo.pop()
        if isinstance(value, _Pairs):
            for (key, item), standing in zip(value, names.names_in_object(value, name), strict=True):
                told = spans_of(key)
                yield from ((f"a name in {place or 'the record'}", span.kind) for span in told)
                shown = f"{place}.{MASK if told else key}" if place else MASK if told else key
                todo.append((shown[:LONGEST_PLACE], standing, item))
        elif isinstance(value, list):
            under = names.names_in_list(value, name)
            todo += [
                (f"{place}[{at}]"[:LONGEST_PLACE], standing, item)
                for at, (item, standing) in enumerate(zip(value, under, strict=True))
            ]
        elif isinstance(value, str):
            kind = names.named(name, value)
            if kind is not None:
                yield place, kind
                continue
            random_is_fine = names.explains(name)
            for span in spans_of(value):
                if span.kind != RANDOM or not random_is_fine:
                    yield place, span.kind


def spans(text: str, depth: int = 0) -> Iterator[Span]:
    """All in a text that looks like a secret; they may overlap."""
    if len(text) < SHORTEST or is_plain(text.encode(errors="surrogatepass")):
        return
    known = [*shapes.tokens(text), *assigned.assigned(text)]
    yield from known
    if known:  # most tokens look random too; what else does is seen when these are masked
        return
    yield from words.random_strings(text)
    if depth < DEEPEST_BASE64:
        for start, end, said in words.base64_texts(text):
            inner = next(spans(said, depth + 1), None)
            if inner is not None:
                yield Span(start, end, inner.kind)
