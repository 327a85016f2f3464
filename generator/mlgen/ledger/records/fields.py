"""Typed reading of JSON that somebody else wrote: each field by name, each refusal with its place."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator
from datetime import datetime
from typing import Any

from mlgen.canonical import Json

RUN_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,6})?Z", re.ASCII)
# Names become parts of a path in the ledger: no separator, and never "." or "..".
NAME = re.compile(r"[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?")
TASK = re.compile(r"[a-z]([a-z0-9-]{0,61}[a-z0-9])?")

IMPORTED = "mlgen_imported"  # the facet of events that others made, of `run.facets`


class BadRecord(Exception):
    """Bytes that are no record; the message says which field and why."""


class NewerFormat(BadRecord):
    """A record that only a newer mlgen understands: upgrade."""


class Fields:
    """The fields of a JSON object. Unknown ones are ignored: a newer mlgen may have added them.

    Every getter raises BadRecord, with the place, where the field is not what it must be.
    """

    __slots__ = ("_data", "_key", "_parent")

    def __init__(self, data: object, parent: Fields | None = None, key: str = "") -> None:
        self._parent, self._key = parent, key
        if not isinstance(data, dict):
            raise BadRecord(f"{self._place() or 'the record'} is not an object")
        self._data: dict[str, Any] = data

    def _place(self) -> str:
        # Put together when it is asked for: of the many thousand objects of a ledger, nearly all are as they must be.
        above = self._parent._place() if self._parent is not None else ""
        return f"{above}.{self._key}" if above else self._key

    def _bad(self, key: str, what: str) -> BadRecord:
        place = self._place()
        return BadRecord(f"{place}{'.' if place else ''}{key} {what}")

    def get(self, key: str) -> Any:
        return self._data.get(key)

    def object(self, key: str) -> Fields:
        return Fields(self._data.get(key), self, key)

    def objects(self, key: str) -> Iterator[Fields]:
        items = self._data.get(key, [])
        if not isinstance(items, list):
            raise self._bad(key, "is not a list")
        for at, item in enumerate(items):
            yield Fields(item, self, f"{key}[{at}]")

    def text(self, key: str, pattern: re.Pattern[str] | None = None) -> str:
        value = self._data.get(key)
        if not isinstance(value, str):
            raise self._bad(key, "is not a string" if key in self._data else "is missing")
        if pattern is not None and not pattern.fullmatch(value):
            raise self._bad(key, f"is {json.dumps(value[:80])}, which is not of the form {pattern.pattern}")
        return value

    def optional_text(self, key: str, pattern: re.Pattern[str] | None = None) -> str | None:
        return None if self._data.get(key) is None else self.text(key, pattern)

    def time(self, key: str) -> str:
        value = self.text(key, TIME)
        try:
            datetime.fromisoformat(value)
        except ValueError:
            raise self._bad(key, f"is {value}, which no calendar has") from None
        return value

    def integer(self, key: str) -> int:
        value = self._data.get(key)
        if not isinstance(value, int) or isinstance(value, bool) or value < 0:
            raise self._bad(key, "is not a count")
        return value

    def optional_integer(self, key: str) -> int | None:
        value = self._data.get(key)
        if value is not None and (not isinstance(value, int) or isinstance(value, bool)):
            raise self._bad(key, "is not an integer")
        return value

    def mapping(self, key: str) -> dict[str, Json]:
        value = self._data.get(key)
        if not isinstance(value, dict):
            raise self._bad(key, "is not an object" if key in self._data else "is missing")
        return value

    def optional_mapping(self, key: str) -> dict[str, Json] | None:
        return None if self._data.get(key) is None else self.mapping(key)


def is_imported(fields: Fields) -> bool:
    """Whether the fields of a ledger's file are those of an event that another producer made."""
    run = fields.get("run")
    facets = run.get("facets") if isinstance(run, dict) else None
    return isinstance(facets, dict) and facets.get(IMPORTED) is not None


def loads(data: bytes) -> Fields:
    """The fields of a JSON object in UTF-8. Raises BadRecord, also for what JSON readers disagree about."""
    try:
        value = _DECODER.decode(data.decode())
        _check_depth(data, value)
        if b"\\" in data and b"\\ud" in data.lower():
            json.dumps(value, ensure_ascii=False).encode()  # half of a surrogate pair is no text that can be printed
    except RecursionError:
        raise BadRecord("the record is nested too deep") from None
    except ValueError as error:  # also UnicodeError
        raise BadRecord(f"the record is not JSON: {error}") from None
    return Fields(value)


def decode(text: str, start: int) -> tuple[Json, int]:
    """The JSON value that begins at a place of a text, and where it ends; as strict as `loads`.

    Raises ValueError (JSONDecodeError where the place of the fault is known), RecursionError.
    """
    return _DECODER.raw_decode(text, start)


MAX_DEPTH = 64  # of lists and maps; Python's own limit differs from version to version


def _check_depth(data: bytes, value: Json) -> None:
    if data.count(b"{") + data.count(b"[") <= MAX_DEPTH:  # nearly every record: nothing to walk
        return
    level: list[Json] = [value]
    for _ in range(MAX_DEPTH):
        inner = [item.values() if isinstance(item, dict) else item for item in level if isinstance(item, dict | list)]
        level = [one for items in inner for one in items]
        if not level:
            return
    raise RecursionError


def _no_constant(word: str) -> Json:
    raise ValueError(f"{word} is no JSON number")


MAX_DIGITS = 4300  # of an integer: Python's own limit, which each process can set otherwise


def _integer(text: str) -> int:
    if len(text) > MAX_DIGITS:
        raise ValueError(f"{text[:40]}… has {len(text):,} digits, too many for a number")
    return int(text)


def _finite(text: str) -> float:
    value = float(text)
    if math.isinf(value):
        raise ValueError(f"{text[:40]} is too large for a number")
    return value


def _no_duplicate(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    # Readers differ on which of two equal keys counts: a record must say one thing to all of them.
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key is given twice")
    return found


# One for all records: json.loads makes a new one each time.
_DECODER = json.JSONDecoder(
    parse_constant=_no_constant, parse_float=_finite, parse_int=_integer, object_pairs_hook=_no_duplicate
)
