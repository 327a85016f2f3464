"""Which runs an event starts: told of the event itself, or of what a cluster's filter has left of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from mlgen.canonical import Json, encode
from mlgen.triggers.events import Event, Stored
from mlgen.triggers.globs import matches
from mlgen.triggers.model import Field, Host, How, Kind, Root, Scalar, Test, Trigger
from mlgen.values import Type, argument_problem, to_text

# What a sender calls one event, told again under the same name. The first that is there is taken.
DELIVERY: dict[str, tuple[str, ...]] = {
    Host.GITHUB: ("x-github-delivery",),
    Host.GITLAB: ("idempotency-key", "x-gitlab-event-uuid"),
}
EVENT_NAME: dict[str, str] = {Host.GITHUB: "x-github-event", Host.GITLAB: "x-gitlab-event"}
KEY = Field(Root.HEADER, ("idempotency-key",))  # of a BEARER's event, where its trigger names nothing else
MOST = 100  # runs of one event
MAX_BYTES = 32 * 1024  # of all params, as in `mlgen.local.params`: each record repeats them
_HALF = "half of a character, such as \\ud800 alone"


@dataclass(frozen=True, slots=True)
class Told:
    """A run that an event asks for. identity: what makes the event one. values: of params, by name."""

    identity: tuple[str, ...]
    values: Mapping[str, Json]


@dataclass(frozen=True, slots=True)
class Param:
    """What a pod must know of a param to judge its value. See `Argument`."""

    type: Type
    choices: tuple[str, ...] = ()
    minimum: float | None = None
    maximum: float | None = None

    def to_json(self) -> dict[str, object]:
        found = {"choices": list(self.choices) or None, "minimum": self.minimum, "maximum": self.maximum}
        return {"type": str(self.type), **{key: value for key, value in found.items() if value is not None}}

    @staticmethod
    def from_json(data: Mapping[str, Json]) -> Param:
        """Raises KeyError, TypeError or ValueError for what `to_json` never made."""
        choices, bounds = data.get("choices", []), [data.get("minimum"), data.get("maximum")]
        if not isinstance(choices, list):
            raise TypeError("no choices")
        low, high = (float(one) if isinstance(one, int | float) else None for one in bounds)
        return Param(Type(str(data["type"])), tuple(map(str, choices)), low, high)


def told(trigger: Trigger, event: Event) -> list[Told]:
    """The runs that an event asks a trigger for; none where it is not meant.

    Raises ValueError with a sentence for people where what it is called by is no text that can be hashed.
    """
    if trigger.kind is Kind.OBJECT:
        found = [one for one in event.stored() if matches(trigger.what, one.uri)]
        made = [_told(trigger, event, (s.bucket, s.key, _state(s)), s) for s in found]
        return list({one.identity: one for one in made if one is not None}.values())
    if not _is_named(trigger, event) or not all(passes(test, event) for test in trigger.tests):
        return []
    identity = identity_of(trigger, event)
    made = [_told(trigger, event, identity)] if identity else []
    return [one for one in made if one is not None]


def _state(stored: Stored) -> str:
    """What an object has anew each time it is written. A bucket that no longer keeps versions calls each one null."""
    version = stored.version if stored.version != "null" else ""
    return version or stored.etag or stored.sequencer


def _is_named(trigger: Trigger, event: Event) -> bool:
    if trigger.kind is Kind.EVENT:
        return event.attribute("type") == trigger.what
    name = EVENT_NAME.get(trigger.what)
    return name is None or not trigger.events or event.headers.get(name) in trigger.events


def identity_of(trigger: Trigger, event: Event) -> tuple[str, ...]:
    """What makes an event one, told twice or not; empty where it does not say."""
    if trigger.kind is Kind.EVENT:
        source, id_ = event.attribute("source"), event.attribute("id")
        return (source, id_) if source and id_ else ()
    if trigger.what == Host.BEARER:
        found = event.get(trigger.id or KEY)
        return (found,) if isinstance(found, str) and found else ()
    return next(((text,) for name in DELIVERY[trigger.what] if (text := event.headers.get(name))), ())


def _told(trigger: Trigger, event: Event, identity: tuple[str, ...], stored: Stored | None = None) -> Told | None:
    values = {name: event.get(field, stored) for name, field in trigger.fields}
    if any(values[name] is None for name in trigger.required):
        return None
    _must_be_whole(identity)
    return Told(identity, {name: value for name, value in values.items() if value is not None})


def _must_be_whole(identity: tuple[str, ...]) -> None:
    """Raises ValueError with a sentence for people."""
    try:
        "".join(identity).encode()
    except UnicodeEncodeError:
        raise ValueError(f"what tells the event from others holds {_HALF}") from None


def passes(test: Test, event: Event) -> bool:
    value = event.get(test.field)
    if test.how is How.IS:
        return any(_equal(value, one) for one in test.values)
    text = str(test.values[0])
    if not isinstance(value, str):
        return False
    return value.startswith(text) if test.how is How.PREFIX else matches(text, value)


def _equal(value: Json, other: Scalar) -> bool:
    """As JSON has it: true is no 1, and 1.0 is 1."""
    if isinstance(value, bool) or isinstance(other, bool):
        return isinstance(value, bool) and isinstance(other, bool) and value is other
    return isinstance(value, str | int | float) and value == other


def arguments(trigger: Trigger, params: Mapping[str, Param], one: Told) -> tuple[dict[str, str], list[str]]:
    """The texts of params of a run, and what is wrong with those that the event gave."""
    texts, problems = dict(trigger.params), []
    for name, value in one.values.items():
        param = params[name]
        try:
            text = text_of(param.type, value)
        except ValueError as error:
            problems.append(f"{name}: {error}")
            continue
        if problem := argument_problem(param, text):
            problems.append(f"{name}: {problem}")
        texts[name] = text
    if not problems and sum(len(encode(text)) for text in texts.values()) > MAX_BYTES:
        problems.append(f"the params have more than {MAX_BYTES:,} bytes")
    return texts, problems


def text_of(type_: Type, value: Json) -> str:
    """A value of an event as the text of a param. Raises ValueError with a sentence for people."""
    if type_ is not Type.JSON:
        if isinstance(value, str):
            return value
        if isinstance(value, list | dict):
            raise ValueError(f"it is a {'list' if isinstance(value, list) else 'map'}, no {type_}")
        return to_text(value)
    try:
        return encode(value).decode()
    except UnicodeEncodeError:
        raise ValueError(f"the JSON holds {_HALF}") from None


def of_document(trigger: Trigger, data: Json) -> Iterator[Told]:
    """The runs that a cluster's filter asks for: see `mlgen.triggers.cel`. Raises ValueError for what it never made."""
    found = data.get("found") if isinstance(data, dict) else None
    if trigger.kind is Kind.OBJECT:
        yield from told(trigger, Event({}, {"Records": found}))
        return
    for one in found if isinstance(found, list) else ():
        identity, values = (one.get("identity"), one.get("values")) if isinstance(one, dict) else (None, None)
        if not isinstance(identity, list) or not identity or not all(isinstance(part, str) for part in identity):
            raise ValueError("it does not say which event it is")
        if not isinstance(values, dict) or not set(values) <= {name for name, _ in trigger.fields}:
            raise ValueError("it gives what its trigger does not ask for")
        parts = tuple(map(str, identity))
        _must_be_whole(parts)
        yield Told(parts, {name: value for name, value in values.items() if value is not None})
