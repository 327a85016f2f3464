"""A look at a record's bytes, or at any text, in time linear in it; and the same for what is masked."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from mlgen.canonical import Json
from mlgen.ledger.secrets import shapes, words
from mlgen.ledger.secrets.shapes import Span
from mlgen.ledger.secrets.words import RANDOM, SHORTEST_PIECE

MASK = "***"
MOST_FOUND = 100  # of one record: whoever mends them looks again
LONGEST_PLACE = 120  # characters
SHORTEST = 8  # characters of a text that has one in it: "pwd=1234"
DEEPEST_BASE64 = 2  # a text in base64 in a text in base64


class Finding(NamedTuple):
    """A secret, without its text. place: such as `params.key`, or `line 3`. kind: words that follow "looks like"."""

    place: str
    kind: str

    @property
    def is_guess(self) -> bool:
        """Whether it only looks random: a value that happens to may be harmless."""
        return self.kind == RANDOM

    def __str__(self) -> str:
        return f"{self.place} looks like {self.kind}"


def find(data: bytes | str) -> list[Finding]:
    """What in a record's bytes, or in any text, looks like a secret; no finding shows its text.

    Of JSON all strings are looked at, names too, also where a name stands twice. Takes time linear in the data, and
    for a usual record some 0.1 ms.
    """
    raw = data.encode(errors="surrogatepass") if isinstance(data, str) else data
    if _is_plain(raw):
        return []
    text = raw.decode(errors="replace")
    try:
        value = json.loads(text, object_pairs_hook=_Pairs)
    except (ValueError, RecursionError):
        value = None
    if isinstance(value, (_Pairs, list)):
        found = _in_json(value)
    else:
        found = (Finding(f"line {1 + text.count(chr(10), 0, at.start)}", at.kind) for at in _spans(text))
    # The same secret may be found in two ways.
    unique = dict.fromkeys(one for one, _ in zip(found, range(MOST_FOUND), strict=False))
    return list(unique)


def masked(text: str) -> str:
    """A text for people without what looks like a secret in it."""
    for _ in range(3):  # what is left of a text may look like something else
        spans = sorted(_spans(text))
        if not spans:
            return text
        parts: list[str] = []
        end = 0
        for span in spans:
            if span.start >= end:
                parts += text[end : span.start], MASK
            end = max(end, span.end)
        text = "".join(parts) + text[end:]
    return MASK if any(True for _ in _spans(text)) else text


def scrub(value: Json, name: str = "") -> Json:
    """A JSON value without what looks like a secret, in strings and in names. name: under which it stands."""
    if isinstance(value, str):
        if _of_name(name, value) is not None:
            return MASK
        return value if words.explains(name) and not _has_more_than_random(value) else masked(value)
    if isinstance(value, list):
        return [scrub(item, name) for item in value]
    if isinstance(value, dict):
        return {masked(key): scrub(item, key) for key, item in value.items()}
    return value


def scrub_values(values: Mapping[str, Json]) -> dict[str, Json]:
    """The same of named values, whose names stay: params, metrics."""
    return {name: scrub(value, name) for name, value in values.items()}


class _Pairs(list[tuple[str, Any]]):
    """A JSON object, with all its names: a reader that takes the last of two would miss what is under the first."""


def _in_json(value: object) -> Iterator[Finding]:
    todo: list[tuple[str, str, object]] = [("", "", value)]  # place, the nearest name, value
    known: dict[str, tuple[Span, ...]] = {}  # a record says many things more than once

    def spans(text: str) -> tuple[Span, ...]:
        found = known.get(text)
        if found is None:
            found = known[text] = tuple(_spans(text))
        return found

    while todo:
        place, name, value = todo.pop()
        if isinstance(value, _Pairs):
            for key, item in value:
                told = spans(key)
                yield from (Finding(f"a name in {place or 'the record'}", span.kind) for span in told)
                shown = f"{place}.{MASK if told else key}" if place else MASK if told else key
                todo.append((shown[:LONGEST_PLACE], key, item))
        elif isinstance(value, list):
            todo += [(f"{place}[{at}]"[:LONGEST_PLACE], name, item) for at, item in enumerate(value)]
        elif isinstance(value, str):
            kind = _of_name(name, value)
            if kind is not None:
                yield Finding(place, kind)
                continue
            random_is_fine = words.explains(name)
            for span in spans(value):
                if span.kind != RANDOM or not random_is_fine:
                    yield Finding(place, span.kind)


def _of_name(name: str, value: str) -> str | None:
    return words.named(name, value) if name else None


def _has_more_than_random(text: str) -> bool:
    return any(span.kind != RANDOM for span in _spans(text))


def _spans(text: str, depth: int = 0) -> Iterator[Span]:
    """All in a text that looks like a secret; they may overlap."""
    if depth == 0 and (len(text) < SHORTEST or _is_plain(text.encode(errors="surrogatepass"))):
        return
    known = [*shapes.tokens(text), *words.assigned(text)]
    yield from known
    if known:  # most tokens look random too; what else does is seen when these are masked
        return
    yield from words.random_strings(text)
    if depth < DEEPEST_BASE64:
        for start, end, said in words.base64_texts(text):
            inner = next(_spans(said, depth + 1), None)
            if inner is not None:
                yield Span(start, end, inner.kind)


# One of these is in all that `_spans` finds, as far as it has no long piece of both cases with a digit in it: a part of
# a name, in lower case, or the first word of a token.
_CUES = (
    b"passw",
    b"pwd",
    b"passphrase",
    b"secret",
    b"token",
    b"credential",
    b"auth",
    b"dapi",
    b"dose",
    b"dkea",
    b"\\u",
)
_CUE_WORDS = frozenset({
    b"xoxa", b"xoxb", b"xoxe", b"xoxo", b"xoxp", b"xoxr", b"xoxs", b"bearer", b"basic", b"Bearer", b"Basic",
    b"BEARER", b"BASIC", b"Sig", b"sig", b"SIG", b"signature", b"Signature", b"wandb", b"WANDB", b"ghp", b"gho",
    b"ghu", b"ghs", b"ghr", b"github", b"pat", b"glpat", b"glptt", b"gldt", b"glrt", b"glcbt", b"gloas", b"glft",
    b"glimt", b"glagent", b"glsoat", b"xapp", b"sk", b"rk", b"whsec", b"hf", b"org", b"npm", b"pypi", b"gsk", b"r8",
    b"xai", b"pplx", b"dckr", b"dop", b"doo", b"dor", b"hvs", b"hvb", b"hvr", b"glc", b"glsa", b"shpat", b"shpca",
    b"shppa", b"shpss", b"GOCSPX", b"hooks",
})  # fmt: skip
_UPPER_CUES = (b"AKIA", b"ASIA", b"ABIA", b"AIza", b"SK", b"MII", b"eyJ")
_WORDS = bytes(c if chr(c).isascii() and chr(c).isalnum() else 0x20 for c in range(256))


def _is_plain(data: bytes) -> bool:
    """Whether nothing in it can be found, told without an expression: nearly all records are told so."""
    if data.count(b"@") != data.count(b"@sha256:"):
        return False
    lower = data.lower()
    # "cacheKey" is in each record.
    if lower.count(b"key") != lower.count(b"cachekey") or any(cue in lower for cue in _CUES):
        return False
    pieces = set(data.translate(_WORDS).split())
    if not _CUE_WORDS.isdisjoint(pieces):
        return False
    return not any(
        len(one) >= SHORTEST_PIECE
        and (not (one.islower() or one.isalpha() or one.isupper() or one.isdigit()) or one.startswith(_UPPER_CUES))
        for one in pieces
    )
