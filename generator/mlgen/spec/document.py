"""YAML text → plain data that knows its places. Nothing here knows what a pipeline is."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from mlgen.canonical import Json
from mlgen.diagnostic import Diagnostic, Span, sort
from mlgen.spec.reader import SHIFT, Node, Reader, Route, Stop
from mlgen.spec.source import Source, decode


@dataclass(frozen=True, slots=True)
class Document:
    """One YAML file, read.

    data: plain values; None where the text could not be read to its end, and for an empty file.
    diagnostics: what was refused, in the order of the file. refused: the routes of refused values; a scalar among
    them is None in `data`, a map or list may lack parts, and nothing more should be said of what is there or below.
    whole_floats: whether a number like 2.0 is among the data, which JSON Schema counts as an integer.
    A route is a tuple of keys and indices: ("tasks", "train", "in", 0). The places of a route that is not there
    are those of the deepest part of it that is.
    """

    source: Source
    data: Json
    diagnostics: tuple[Diagnostic, ...]
    refused: frozenset[Route] = frozenset()
    whole_floats: bool = False
    _places: Node = 0

    @property
    def file(self) -> str:
        return self.source.file

    @property
    def lines(self) -> Sequence[str]:
        return self.source.lines

    def span(self, route: Route) -> Span:
        """The place of a value."""
        return self.source.span(*self.offsets(route)[1])

    def key_span(self, route: Route) -> Span:
        """The place of a value's key; of an item of a list, the item; of the whole file, line 1."""
        return self.source.span(*self.offsets(route)[0]) if route else self.source.first_line

    def text(self, route: Route) -> str:
        """The text of a scalar: a quoted one's content, a number's digits as the author wrote them."""
        value = self.data
        for part in route:
            value = value[part]  # type: ignore[index]  # a route leads through lists and maps
        return value if isinstance(value, str) else self.source.text[slice(*self.offsets(route)[1])]

    def inner_span(self, route: Route, start: int, end: int) -> Span:
        """The place of a part of a text, by offsets in what `text` gives; the whole text where that is not certain."""
        first, last = self.offsets(route)[1]
        offsets = _offsets(self.source.text[first:last], self.text(route))
        if offsets is None or not 0 <= start <= end < len(offsets):
            return self.source.span(first, last)
        return self.source.span(first + offsets[start], first + offsets[end])

    def offsets(self, route: Route) -> tuple[tuple[int, int], tuple[int, int]]:
        """The offsets, in the source's text, of a value's key (or of the value, where it has none) and of the value."""
        node = self._places
        key: int | None = None
        for part in route:
            children = None if isinstance(node, int) else node[1]
            if isinstance(children, dict) and part in children:
                key, node = children[part]
            elif isinstance(children, list) and isinstance(part, int) and 0 <= part < len(children):
                key, node = None, children[part]
            else:
                break
        place = node if isinstance(node, int) else node[0]
        return _unpack(place if key is None else key), _unpack(place)


def read(file: str, data: bytes) -> Document:
    """The document of a file's bytes; never raises, whatever they are.

    Syntax errors, excess of size or depth, and a second document end the reading; everything else is collected.
    """
    source, finding = decode(file, data)
    if finding is not None:
        return Document(source, None, (finding,))
    reader = Reader(source)
    try:
        found = reader.document()
    except Stop:
        return Document(source, None, tuple(sort(reader.findings)))
    if found is None or (found[0] is None and not reader.findings):
        fix = "write version: 1, and what follows it"
        empty = Diagnostic("missing-key", "the file holds nothing", source.first_line, "", fix)
        return Document(source, None, (empty,))
    value, places = found
    refused = frozenset(reader.refused_routes(places))
    return Document(source, value, tuple(sort(reader.findings)), refused, reader.whole_floats, places)


def _unpack(place: int) -> tuple[int, int]:
    return place >> SHIFT, place & (1 << SHIFT) - 1


_CHARACTERS = {
    "'": re.compile(r"''|."),
    '"': re.compile(r"\\x..|\\u.{4}|\\U.{8}|\\.|."),
}


def _offsets(written: str, text: str) -> list[int] | None:
    """Where each character of a scalar's text, and its end, stands in the scalar as written; None if not certain."""
    if written == text:
        return list(range(len(text) + 1))
    if written.startswith("|"):
        return _block_offsets(written, text)
    characters = _CHARACTERS.get(written[:1])
    folded = "\n" in written or "\r" in written
    if folded and (characters is None or "\\" not in written):
        return _folded_offsets(written, text)
    if characters is None or folded:
        return None
    found = [match.start() for match in characters.finditer(written, 1, len(written) - 1)]
    return [*found, len(written) - 1] if len(found) == len(text) else None


_LINE_END = re.compile(r"[ \t]*(?:\r\n|\r|\n)[ \t\r\n]*")


def _folded_offsets(written: str, text: str) -> list[int] | None:
    """As `_offsets`, for lines that were joined: what stands between two of them is a blank, or ends of lines.

    Blanks at the beginnings of lines are the writer's, except where a folded block has lines that stand deeper: there
    the text has more of them, and so less is passed over.
    """
    at = end = len(written)
    match = re.match(r">[^\r\n]*(?:\r\n|\r|\n)[ \t\r\n]*", written)
    if match is not None:
        at = match.end()
    else:
        quoted = written[:1] in ("'", '"')
        at, end = (1, end - 1) if quoted else (0, end)
    found: list[int] = []
    for number, character in enumerate(text):
        if at < end and written[at] == character and character not in "\r\n":
            joined = _LINE_END.match(written, at) if character in " \t" else None
            found.append(at)
            at = joined.end() if joined else at + (2 if written[0] == character == "'" else 1)
            continue
        if character not in " \n":
            return None
        found.append(at)
        joined = _LINE_END.match(written, at)
        if joined is not None:
            at = joined.end()
        elif (number == 0 or text[number - 1] not in " \n") and text[number:].strip("\n"):
            return None  # else one of several ends of lines, a deeper line's blank, or the block's end
    return [*found, min(at, len(written))]


def _block_offsets(written: str, text: str) -> list[int] | None:
    """As `_offsets`, for a block that keeps its lines: each stands behind the block's indentation."""
    _, *lines = written.splitlines(keepends=True)
    at = len(written) - sum(map(len, lines))
    found: list[int] = []
    for line, wanted in zip(lines, text.splitlines(keepends=True), strict=False):
        content = line.rstrip("\r\n")
        indent = len(content) - len(wanted.rstrip("\n"))
        if content[max(indent, 0) :] != wanted.rstrip("\n"):
            return None
        found += range(at + indent, at + indent + len(wanted))
        at += len(line)
    return [*found, len(written)] if len(found) == len(text) else None
