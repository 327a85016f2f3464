"""A trigger of a plan: which events start a run, and what the run is called and given."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from mlgen import canonical
from mlgen.canonical import Json
from mlgen.schedules.model import Concurrency

Scalar = str | int | float | bool

HASH_LENGTH = 6  # hex digits that tell a pipeline's triggers apart
NAME_LENGTH = 16  # hex digits of an event in a run's name: two of 10⁶ events are alike by a chance of 1 to 10⁷
SEGMENT = re.compile(r"[A-Za-z0-9_-]{1,80}")
HEADER = re.compile(r"[A-Za-z0-9-]{1,80}")
MOST_SEGMENTS = 12


class Kind(StrEnum):
    """What tells of the event: a bucket, a host of repositories or a program of one's own, or a CloudEvent."""

    OBJECT = "object"
    WEBHOOK = "webhook"
    EVENT = "event"


class Host(StrEnum):
    """Who sends a webhook: it says how the sender is known."""

    GITHUB = "github"
    GITLAB = "gitlab"
    BEARER = "bearer"


class Root(StrEnum):
    """Which part of an event a field is of."""

    BODY = "body"
    HEADER = "header"
    DATA = "data"
    EVENT = "event"
    OBJECT = "object"


# The parts that an event of each kind has, and the fields of those that have these and no others.
ROOTS: dict[Kind, tuple[Root, ...]] = {
    Kind.OBJECT: (Root.OBJECT,),
    Kind.WEBHOOK: (Root.BODY, Root.HEADER),
    Kind.EVENT: (Root.DATA, Root.EVENT),
}
FIELDS: dict[Root, tuple[str, ...]] = {
    Root.EVENT: ("id", "source", "type", "subject", "time"),
    Root.OBJECT: ("uri", "bucket", "key", "name", "etag", "version", "size"),
}


@dataclass(frozen=True, slots=True)
class Field:
    """A field of an event. path: names of maps and numbers of lists; of a header or an attribute its one name."""

    root: Root
    path: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.root}.{'.'.join(self.path)}"

    @staticmethod
    def read(root: Root, text: str) -> Field:
        """Raises ValueError with a sentence for people."""
        if root is Root.HEADER:
            if not HEADER.fullmatch(text):
                raise ValueError(f'"{text[:80]}" is no name of a header')
            return Field(root, (text.lower(),))
        if root in FIELDS:
            if text not in FIELDS[root]:
                raise ValueError(f'"{text[:80]}" is none of {", ".join(FIELDS[root])}')
            return Field(root, (text,))
        path = tuple(text.split("."))
        if len(path) > MOST_SEGMENTS or not all(SEGMENT.fullmatch(one) for one in path):
            raise ValueError(f'"{text[:80]}" is no path: names of letters, digits, _ and -, with dots between them')
        return Field(root, path)


class How(StrEnum):
    """How a field is compared: with values, or as a text with what it begins with, or with a pattern."""

    IS = "is"
    PREFIX = "prefix"
    GLOB = "glob"


@dataclass(frozen=True, slots=True)
class Test:
    """A field that must be one of the values. values: of PREFIX and GLOB one text."""

    field: Field
    how: How
    values: tuple[Scalar, ...]

    def __str__(self) -> str:
        words = " or ".join(canonical.encode(one).decode() for one in self.values)
        return f"{self.field} {self.how} {words}"


@dataclass(frozen=True, slots=True)
class Trigger:
    """what: a URI's pattern, a host, or the type of a CloudEvent. secret: a Secret's name and key.

    params: texts by name. fields: what of the event by name. required: of those the params without a default.
    id: of a BEARER's event, what makes it one.
    """

    kind: Kind
    what: str
    secret: tuple[str, str] | None = None
    events: tuple[str, ...] = ()
    tests: tuple[Test, ...] = ()
    concurrency: Concurrency = Concurrency.ALLOW
    params: tuple[tuple[str, str], ...] = ()
    fields: tuple[tuple[str, Field], ...] = ()
    required: tuple[str, ...] = ()
    id: Field | None = None

    def to_json(self) -> dict[str, object]:
        found: dict[str, object] = {
            "kind": str(self.kind),
            "what": self.what,
            "secret": list(self.secret) if self.secret else None,
            "events": list(self.events),
            "tests": [
                {"root": str(t.field.root), "path": list(t.field.path), "how": str(t.how), "values": list(t.values)}
                for t in self.tests
            ],
            "concurrency": str(self.concurrency),
            "params": dict(self.params),
            "fields": {name: [str(field.root), *field.path] for name, field in self.fields},
            "required": list(self.required),
            "id": [str(self.id.root), *self.id.path] if self.id else None,
        }
        return {key: value for key, value in found.items() if value not in (None, [], {})}

    @staticmethod
    def from_json(data: Mapping[str, Json]) -> Trigger:
        """Raises KeyError, TypeError, ValueError or AttributeError for what `to_json` never made."""
        secret, id_ = _texts(data.get("secret")), _texts(data.get("id"))
        params, fields, tests = data.get("params", {}), data.get("fields", {}), data.get("tests", [])
        if not isinstance(params, dict) or not isinstance(fields, dict) or not isinstance(tests, list):
            raise TypeError("no trigger")
        return Trigger(
            Kind(str(data["kind"])),
            str(data["what"]),
            (secret[0], secret[1]) if secret else None,
            _texts(data.get("events")),
            tuple(_test(one) for one in tests),
            Concurrency(str(data["concurrency"])),
            tuple(sorted((name, str(text)) for name, text in params.items())),
            tuple(sorted((name, _field(_texts(path))) for name, path in fields.items())),
            _texts(data.get("required")),
            _field(id_) if id_ else None,
        )

    def __str__(self) -> str:
        """In words, on a line."""
        said = [f"{self.kind} {self.what}" + (f" {', '.join(self.events)}" if self.events else "")]
        said += [str(test) for test in self.tests]
        said += [f"{name} = {text}" for name, text in self.params]
        said += [f"{name} = {field}" for name, field in self.fields]
        said += [f"{self.concurrency} others"] if self.concurrency is not Concurrency.ALLOW else []
        return "; ".join(said)

    @property
    def digest(self) -> str:
        """A few hex digits that tell it from the other triggers of its pipeline."""
        return canonical.digest(self.to_json()).removeprefix("sha256:")[:HASH_LENGTH]

    def run_name(self, pipeline: str, identity: tuple[str, ...]) -> str:
        """What the run of an event is called: the same wherever and however often it is told, so it is one run.

        Others where what it is given is another: two triggers may start a pipeline by one event.
        """
        given = [f"{name}={text}" for name, text in self.params] + [f"{name}={field}" for name, field in self.fields]
        # Who sends a webhook numbers its events alone: those of another, which has another secret, are others.
        sender = [self.what, *(self.secret or ())] if self.kind is Kind.WEBHOOK else []
        whole = [str(self.kind), *sender, *identity, sorted(given)]
        return f"{pipeline}-{canonical.digest(whole).removeprefix('sha256:')[:NAME_LENGTH]}"


def _texts(value: object) -> tuple[str, ...]:
    if value is None:
        return ()
    if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
        raise TypeError("no list of texts")
    return tuple(value)


def _field(parts: tuple[str, ...]) -> Field:
    return Field(Root(parts[0]), parts[1:])


def _test(data: Json) -> Test:
    if not isinstance(data, dict) or not isinstance(values := data["values"], list):
        raise TypeError("no test")
    scalars = tuple(one for one in values if isinstance(one, str | int | float | bool))
    return Test(Field(Root(str(data["root"])), _texts(data["path"])), How(str(data["how"])), scalars)
