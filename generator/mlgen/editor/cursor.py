"""Where a cursor stands in a file that may be half-written: which key, value or item, told from its lines alone.

No YAML reader helps there: while somebody types, the text is broken most of the time, and broken where one asks.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from mlgen.editor.brackets import Brackets, unquoted
from mlgen.spec.reader import Route

MOST_LINES = 20_000  # that are looked at above the cursor
MOST_FLOW = 100_000  # characters of a list or map in brackets before the cursor
MOST_OPEN = 64  # brackets in one another, which is what a spec may have

# Quoted or plain, up to a colon that ends it. Possessive: each character is looked at once.
_PLAIN = r"""[^\s"'\[\]{},#&*!|>%@`](?:[^#:\s]|:(?!\s|$)|\s++(?!:(?:\s|$)))*+"""
_KEY = re.compile(rf"""(?P<key>"(?:[^"\\]|\\.)*"|'(?:[^']|'')*'|{_PLAIN})\s*:(?=\s|$)(?P<rest>.*)""")
_DASHES = re.compile(r"(?:-\s+|-$)+")
_BLOCK_SCALAR = re.compile(r"\s*[|>][-+0-9]*\s*(#.*)?$")
_WORD_END = re.compile(r"[^\s,\]}:#\"']*")


@dataclass(frozen=True, slots=True)
class Cursor:
    """What is being written at a place. Lines and columns count from 0, in characters.

    what: "key": a key of the map at `route`; "value": the value at `route` (an item's index is always 0); "text": a
    script, a comment or a text of several lines, where nothing is offered. typed: what stands between the beginning
    of the word and the cursor. start, end: the columns of the whole word, which an answer replaces. quote: the quote
    before it, if any. flow: inside brackets or braces. colon: whether one follows a key already. items: those before it
    in the same brackets, which may not be closed yet.
    """

    route: Route
    what: Literal["key", "value", "text"]
    typed: str
    line: int
    start: int
    end: int
    quote: str = ""
    flow: bool = False
    colon: bool = False
    items: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Entry:
    """A key, or an item of a list (key None), that what is below it belongs to. rest: where its value may begin."""

    key: str | None
    line: int
    rest: int


def locate(lines: Sequence[str], line: int, column: int) -> Cursor:
    """What is being written at a line and column, both from 0."""
    line = min(line, len(lines))
    text = lines[line] if line < len(lines) else ""
    column = min(column, len(text))
    before = text[:column]
    above, own, at = _own(text, line, column)
    entries = [*_above(lines, line, above, _DASHES.match(text.lstrip(" ")) is not None), *own]
    route: Route = tuple(0 if entry.key is None else entry.key for entry in entries)
    for index, entry in enumerate(entries):
        rest = (lines[entry.line] if entry.line < len(lines) else "")[entry.rest :]
        if entry.line < line and _BLOCK_SCALAR.match(rest) and entry.key is not None:
            return Cursor(route[: index + 1], "text", "", line, column, column)
        if rest.lstrip()[:1] in ("[", "{") and (entry.line < line or entry.rest <= column):
            return _flow(lines, entry, line, column, route[: index + 1])
        if entry.line < line and entry.key is not None and rest.strip() and not rest.lstrip().startswith("#"):
            return Cursor(route[: index + 1], "text", "", line, column, column)
    if _in_comment(before):
        return Cursor(route, "text", "", line, column, column)
    word = _Word(before[at:].lstrip(), text, line, column)
    if own and (own[-1].key is not None or not _KEY.match(text[own[-1].rest :].lstrip())):
        return _value(route, word)
    return _key(route, word)


def _own(text: str, line: int, column: int) -> tuple[int, list[_Entry], int]:
    """What the cursor's own line says: its indentation, the entries that it opens, and where its last part begins."""
    indent = len(text) - len(text.lstrip(" "))
    if not text.strip():
        return column, [], column
    entries: list[_Entry] = []
    at = indent
    while (match := _DASHES.match(text, at)) and match.end() <= column:
        entries += [_Entry(None, line, match.end())]
        at = match.end()
    key = _KEY.match(text, at)
    if key and column > key.start("rest"):
        entries.append(_Entry(unquoted(key["key"]), line, key.start("rest")))
        at = key.start("rest")
    return indent, entries, at


def _above(lines: Sequence[str], line: int, indent: int, is_item: bool) -> list[_Entry]:
    """The entries that a line of an indentation lies in, the outermost first."""
    found: list[_Entry] = []
    limit = indent + 1 if is_item else indent  # items may stand at the indentation of their list's key
    for number in range(line - 1, max(-1, line - 1 - MOST_LINES), -1):
        text = lines[number]
        stripped = text.lstrip(" ")
        here = len(text) - len(stripped)
        if here >= limit or not stripped or stripped.startswith("#"):
            continue
        dashes = _DASHES.match(stripped)
        if is_item and dashes and here == indent:
            continue  # a neighbour
        inner = here + (dashes.end() if dashes else 0)
        key = _KEY.match(text, inner)
        if key and inner < limit:
            found.append(_Entry(unquoted(key["key"]), number, key.start("rest")))
        if dashes:
            found.append(_Entry(None, number, inner))
        limit, is_item = here + (1 if dashes else 0), bool(dashes)
        indent = here
        if here == 0 and not dashes:
            break
    return found[::-1]


def _flow(lines: Sequence[str], entry: _Entry, line: int, column: int, route: Route) -> Cursor:
    """What is being written inside brackets or braces that began with the value of an entry."""
    whole = lines[line] if line < len(lines) else ""
    text = "\n".join([*lines[entry.line : line], whole[:column]])[entry.rest :][-MOST_FLOW:]
    brackets = Brackets(text)
    if brackets.commented or not 0 < len(brackets.open) <= MOST_OPEN:
        return Cursor(route, "text", "", line, column, column)
    for level in brackets.open[:-1]:
        route = (*route, 0 if level.kind == "[" else level.key or "")
    word = _Word(text[brackets.start :].rsplit("\n", 1)[-1].lstrip(), whole, line, column, flow=True)
    last = brackets.open[-1]
    if last.kind == "[":
        return replace(_value((*route, 0), word), items=tuple(last.items))
    return _key(route, word) if last.key is None else _value((*route, last.key), word)


@dataclass(frozen=True, slots=True)
class _Word:
    """What was typed before the cursor, in the text of its line."""

    typed: str
    text: str
    line: int
    column: int
    flow: bool = False

    @property
    def start(self) -> int:
        return self.column - len(self.typed)

    @property
    def end(self) -> int:
        match = _WORD_END.match(self.text, self.column)
        return match.end() if match else self.column


def _value(route: Route, word: _Word) -> Cursor:
    typed, line = word.typed, word.line
    quote = typed[0] if typed[:1] in ("'", '"') else ""
    if quote:
        close = word.text.find(quote, word.column)
        end = word.column if close < 0 else close
        return Cursor(route, "value", typed[1:], line, word.start + 1, end, quote, word.flow)
    return Cursor(route, "value", typed, line, word.start, word.end, "", word.flow)


def _key(route: Route, word: _Word) -> Cursor:
    colon = word.text[word.end :].lstrip().startswith(":")
    return Cursor(route, "key", word.typed.lstrip("\"'"), word.line, word.start, word.end, "", word.flow, colon)


def _in_comment(before: str) -> bool:
    """Whether the end of the text is a comment: a # after a blank, outside quotes."""
    quote = ""
    for index, char in enumerate(before):
        if quote:
            quote = "" if char == quote else quote
        elif char in "\"'" and (index == 0 or before[index - 1] in " [{,:"):
            quote = char
        elif char == "#" and (index == 0 or before[index - 1].isspace()):
            return True
    return False
