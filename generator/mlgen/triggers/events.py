"""An event as it comes: headers and a JSON body, and what of it a trigger may name."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from urllib.parse import unquote_to_bytes

from mlgen.canonical import Json
from mlgen.triggers.model import FIELDS, Field, Root
from mlgen.values import MAX_INTEGER

# A key as notifications have it, like a form's value; what Go's url.Parse would refuse or cut is none.
_KEY = re.compile(r"([^%?#\x00-\x20\x7f]|%[0-9A-Fa-f]{2})*")
LONGEST_KEY = 1024  # bytes in UTF-8, of S3
CREATED = ("ObjectCreated:", "s3:ObjectCreated:")  # as AWS, and as MinIO and Ceph say it


@dataclass(frozen=True, slots=True)
class Stored:
    """An object that a bucket tells of: one that was written."""

    bucket: str
    key: str
    etag: str = ""
    version: str = ""
    sequencer: str = ""
    size: int | None = None

    @property
    def uri(self) -> str:
        return f"s3://{self.bucket}/{self.key}"


@dataclass(frozen=True, slots=True)
class Event:
    """headers: by their names in lower case."""

    headers: Mapping[str, str] = field(default_factory=dict)
    body: Json = None

    def get(self, wanted: Field, stored: Stored | None = None) -> Json:
        """The value of a field; None where there is none, as for JSON's null. stored: which object is meant."""
        match wanted.root:
            case Root.HEADER:
                return self.headers.get(wanted.path[0]) or None
            case Root.BODY:
                return _at(self.body, wanted.path)
            case Root.DATA:
                return _at(self.data, wanted.path)
            case Root.EVENT:
                return self.attribute(wanted.path[0])
        return None if stored is None else _of_object(stored, wanted.path[0])

    @property
    def is_binary(self) -> bool:
        """Whether it is a CloudEvent whose attributes are headers, its data the body; else they are of the body."""
        return bool(self.headers.get("ce-id"))

    def attribute(self, name: str) -> str | None:
        """Of a CloudEvent."""
        if self.is_binary:
            return self.headers.get(f"ce-{name}") or None
        found = self.body.get(name) if isinstance(self.body, dict) else None
        return found if isinstance(found, str) and found else None

    @property
    def data(self) -> Json:
        if self.is_binary:
            return self.body
        return self.body.get("data") if isinstance(self.body, dict) else None

    def stored(self) -> Iterator[Stored]:
        """The objects that a notification tells of; what cannot be read is none."""
        records = self.body.get("Records") if isinstance(self.body, dict) else None
        for record in records if isinstance(records, list) else ():
            found = _stored(record)
            if found is not None:
                yield found


def _at(value: Json, path: tuple[str, ...]) -> Json:
    for name in path:
        if name.isdecimal():
            value = value[int(name)] if isinstance(value, list) and int(name) < len(value) else None
        else:
            value = value.get(name) if isinstance(value, dict) else None
    return value


def _stored(record: Json) -> Stored | None:
    name, s3 = _at(record, ("eventName",)), _at(record, ("s3",))
    bucket, key = _at(s3, ("bucket", "name")), _at(s3, ("object", "key"))
    if not isinstance(name, str) or not name.startswith(CREATED) or not isinstance(bucket, str):
        return None
    if not isinstance(key, str) or not _KEY.fullmatch(key):
        return None
    try:
        decoded = unquote_to_bytes(key.replace("+", "%20")).decode()
    except UnicodeDecodeError:
        return None
    size = _at(s3, ("object", "size"))
    texts = [_at(s3, ("object", part)) for part in ("eTag", "versionId", "sequencer")]
    etag, version, sequencer = (text if isinstance(text, str) else "" for text in texts)
    if len(decoded.encode()) > LONGEST_KEY:
        return None
    return Stored(bucket, decoded, etag, version, sequencer, size if type(size) is int else None)


def read_json(text: str | bytes) -> Json:
    """JSON as Go reads it, by which clusters judge: every number is a float, so 3.0 is 3. Raises ValueError."""
    try:
        value: Json = json.loads(text, parse_int=_integer, parse_float=_number, parse_constant=_no_constant)
    except RecursionError:
        raise ValueError("the JSON is nested too deep") from None
    return value


def _integer(text: str) -> int | float:
    if len(text) > 400:
        raise ValueError("a number of more than 400 digits")
    return value if abs(value := int(text)) <= MAX_INTEGER else _number(text)


def _number(text: str) -> int | float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"{text[:40]} is too large for a number")
    return int(value) if value.is_integer() and abs(value) <= MAX_INTEGER else value


def _no_constant(word: str) -> Json:
    raise ValueError(f"{word} is no number that JSON can carry")


def _of_object(stored: Stored, name: str) -> Json:
    assert name in FIELDS[Root.OBJECT]
    if name == "name":
        return stored.key.rpartition("/")[2]
    found: Json = getattr(stored, name)
    return None if found == "" else found
