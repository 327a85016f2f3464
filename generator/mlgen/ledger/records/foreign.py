"""Files of OpenLineage events from elsewhere, read one event after another: NDJSON, JSON arrays, or events in a row.

They are strangers' files: what is not OpenLineage is refused with its place, and size, depth and memory are bounded.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO, Any

from mlgen import secrets
from mlgen.canonical import Json
from mlgen.ledger.records import imported
from mlgen.ledger.records.entry import from_bytes
from mlgen.ledger.records.fields import BadRecord, decode
from mlgen.secrets import Finding
from mlgen.secrets.masking import scrub

MAX_LINE = 4 << 20  # bytes of a line: an event of 1 MiB and what a producer puts between its tokens
MAX_WHOLE = 64 << 20  # bytes of a file that is no NDJSON, and so is read whole
_SPACE = re.compile(r"[ \t\r\n]*")
_RUNLESS = re.compile(r"(Job|Dataset)Event$")


@dataclass(frozen=True, slots=True)
class Place:
    """Where something stands in a file. Both count from 1, columns in characters."""

    line: int
    column: int


@dataclass(frozen=True, slots=True)
class Foreign:
    """An event as the ledger keeps it. masked: what in it looked like a secret, and is "***" now."""

    data: bytes
    place: Place
    masked: tuple[Finding, ...]


@dataclass(frozen=True, slots=True)
class LeftOut:
    """An event that tells of no run: of a job or dataset alone."""

    place: Place


class NotOpenLineage(Exception):
    """A file that is not what it should be; the message says why."""

    def __init__(self, place: Place, reason: str) -> None:
        self.place = place
        super().__init__(reason)


def read(file: IO[bytes], env: str) -> Iterator[Foreign | LeftOut]:
    """The events of a file in their order, for the ledger of an environment. Raises NotOpenLineage."""
    for place, value in _values(file):
        yield _event(place, value, env)


def _event(place: Place, value: Json, env: str) -> Foreign | LeftOut:
    if not isinstance(value, dict):
        raise NotOpenLineage(place, "is no event: an event is a JSON object")
    if "run" not in value and _RUNLESS.search(str(value.get("schemaURL"))):
        return LeftOut(place)
    try:
        data = imported.mark(value, env)
        masked = secrets.find(data)
        if masked:
            scrubbed: Any = scrub(value)
            data = imported.mark(scrubbed, env)
        from_bytes(data)  # what a fold will ask of it, now: its depth, for one
    except BadRecord as error:
        raise NotOpenLineage(place, f"is no RunEvent: {error}") from None
    except RecursionError:
        raise NotOpenLineage(place, "is nested too deep") from None
    return Foreign(data, place, tuple(masked))


def _values(file: IO[bytes]) -> Iterator[tuple[Place, Json]]:
    """The JSON values of a file. Of NDJSON, which may be of any length, a line is in memory at a time."""
    number, line = 1, file.readline(MAX_LINE)
    while line and not line.strip():
        number, line = number + 1, file.readline(MAX_LINE)
    if not _is_event(line):
        yield from _whole(number, line, file)
        return
    while line:
        if len(line) >= MAX_LINE and not line.endswith(b"\n"):
            raise NotOpenLineage(Place(number, 1), f"is longer than {MAX_LINE:,} bytes")
        yield from _in_text(_text(line, number), number)
        number, line = number + 1, file.readline(MAX_LINE)


def _is_event(line: bytes) -> bool:
    """Whether a first line is an event by itself, as in NDJSON. A fault in it is told of by whoever reads it."""
    stripped = line.removeprefix(b"\xef\xbb\xbf").strip()
    return stripped.startswith(b"{") and stripped.endswith(b"}")


def _whole(number: int, line: bytes, file: IO[bytes]) -> Iterator[tuple[Place, Json]]:
    data = line + file.read(MAX_WHOLE)
    if len(data) > MAX_WHOLE:
        raise NotOpenLineage(
            Place(number, 1), f"begins a file of more than {MAX_WHOLE:,} bytes that has no event on each line"
        )
    yield from _in_text(_text(data, number), number)


def _text(data: bytes, number: int) -> str:
    try:
        return data.decode("utf-8-sig" if number == 1 else "utf-8")
    except UnicodeDecodeError as error:
        before = data[: error.start].decode(errors="replace")
        place = Place(number + before.count("\n"), len(before) - before.rfind("\n"))
        raise NotOpenLineage(place, "is not UTF-8") from None


def _in_text(text: str, number: int) -> Iterator[tuple[Place, Json]]:
    """The values of a text that begins on a line: one after another, or the members of lists."""
    cursor = _Cursor(text, number)
    while char := cursor.next():
        if char == "[":
            yield from _in_list(cursor)
        else:
            yield cursor.place, cursor.value()


def _in_list(cursor: _Cursor) -> Iterator[tuple[Place, Json]]:
    cursor.at += 1
    if cursor.next() == "]":
        cursor.at += 1
        return
    while True:
        yield cursor.place, cursor.value()
        char = cursor.next()
        if char not in ("]", ","):
            raise NotOpenLineage(cursor.place, "is not JSON: a comma or ] is missing")
        cursor.at += 1
        if char == "]":
            return
        cursor.next()


@dataclass(slots=True)
class _Cursor:
    """A way through a text that is walked once: a list of a million events may stand on one line. at: an index."""

    text: str
    line: int
    at: int = 0
    _line_start: int = 0
    _seen: int = 0

    def next(self) -> str:
        """The first character that is no space, from here on; "" at the end."""
        match = _SPACE.match(self.text, self.at)
        assert match is not None
        self.at = match.end()
        newlines = self.text.count("\n", self._seen, self.at)
        if newlines:
            self.line += newlines
            self._line_start = self.text.rfind("\n", self._seen, self.at) + 1
        self._seen = self.at
        return self.text[self.at : self.at + 1]

    @property
    def place(self) -> Place:
        return Place(self.line, self.at - self._line_start + 1)

    def value(self) -> Json:
        """The value that begins here; then what follows it is next. Raises NotOpenLineage."""
        try:
            value, self.at = decode(self.text, self.at)
        except json.JSONDecodeError as error:
            self.at = error.pos
            self.next()
            raise NotOpenLineage(self.place, f"is not JSON: {error.msg}") from None
        except ValueError as error:
            raise NotOpenLineage(self.place, f"is not JSON: {error}") from None
        except RecursionError:
            raise NotOpenLineage(self.place, "is nested too deep") from None
        return value
