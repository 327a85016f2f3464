"""`on` as typed data: one map or a list of them, each of what tells of an event."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from mlgen.diagnostic import Diagnostic
from mlgen.schedules.model import Concurrency
from mlgen.spec.model import Place, Setting, Trigger, TriggerParam
from mlgen.spec.settings import secret_key
from mlgen.triggers.model import ROOTS, Field, Host, How, Kind, Root, Scalar, Test

TextOf = Callable[[object, Place], str | None]
MOST_VALUES = 50  # that a field may be one of


def read_triggers(value: object, place: Place, text_of: TextOf, found: list[Diagnostic]) -> Iterator[Trigger]:
    """text_of: the text of a plain value at its place. What cannot be read is told in `found`."""
    if isinstance(value, list):
        for index, one in enumerate(value):
            if isinstance(one, dict):
                yield from read_triggers(one, place / index, text_of, found)
    elif isinstance(value, dict):
        kind = next((kind for kind in Kind if kind in value), None)
        reading = _Reading(kind, value, place, found)
        given = value.get("params")
        concurrency = value.get("concurrency")
        yield Trigger(
            place,
            kind,
            reading.setting(str(kind)) if kind else None,
            reading.secret(),
            Concurrency(concurrency) if concurrency in list(Concurrency) else Concurrency.ALLOW,
            tuple(reading.events()),
            reading.id(),
            tuple(reading.tests()),
            tuple(reading.param(n, v, place / "params" / n, text_of) for n, v in given.items())
            if isinstance(given, dict)
            else (),
        )


class _Reading:
    """One trigger. kind: None where it says none."""

    def __init__(self, kind: Kind | None, data: dict[str, object], place: Place, found: list[Diagnostic]) -> None:
        self.kind, self.data, self.place, self.found = kind, data, place, found
        self.roots = ROOTS[kind] if kind else ()

    def setting(self, key: str) -> Setting | None:
        value = self.data.get(key)
        return Setting(value, self.place / key) if isinstance(value, str) else None

    def secret(self) -> Setting | None:
        value, place = self.data.get("secret"), self.place / "secret"
        if not isinstance(value, str):
            return None
        key = secret_key(value)
        if key is None:
            why, fix = (
                "a spec names a secret, it never holds one",
                "write secret: NAME/KEY of a Secret in the namespace",
            )
            message = "this is not a reference of the form secret/key"
            self.found.append(Diagnostic("bad-value", message, place.span, why, fix, secret=True))
            return None
        return Setting(key, place)

    def events(self) -> Iterator[Setting]:
        value = self.data.get("events")
        for index, one in enumerate(value if isinstance(value, list) else ()):
            if isinstance(one, str):
                yield Setting(one, self.place / "events" / index)

    def id(self) -> Field | None:
        value = self.data.get("id")
        return self.field(value, self.place / "id") if isinstance(value, dict) and self.kind is Kind.WEBHOOK else None

    def param(self, name: str, value: object, place: Place, text_of: TextOf) -> TriggerParam:
        if isinstance(value, dict):
            return TriggerParam(name, place, field=self.field(value, place))
        return TriggerParam(name, place, text_of(value, place))

    def field(self, value: dict[str, object], place: Place) -> Field | None:
        """Of a map with one key, such as {body: head.ref}."""
        if len(value) > 1:
            self.one_key(place, value)
            return None
        (root, text), *_ = [*value.items(), ("", None)]
        return (
            self._field(root, text, place, place / root if root in list(Root) else place) if text is not None else None
        )

    def tests(self) -> Iterator[tuple[Place, Test]]:
        where = self.data.get("where")
        source = self.data.get("source")
        if self.kind is Kind.EVENT and isinstance(source, str | list | dict):
            yield from self.test(Field(Root.EVENT, ("source",)), source, self.place / "source")
        for name, value in where.items() if isinstance(where, dict) else ():
            root, _, text = name.partition(".")
            place = self.place / "where" / name
            field = self._field(root, text, place, place, key=True)
            if field is not None:
                yield from self.test(field, value, place)

    def one_key(self, place: Place, value: dict[str, object]) -> None:
        first, second, *_ = value
        why, fix = "it is one thing", f"keep one of them, such as {first}"
        self.found.append(
            (place / second).key_finding("bad-trigger", f"`{first}` and `{second}` stand together", why, fix)
        )

    def _field(self, root: str, text: object, place: Place, at: Place, *, key: bool = False) -> Field | None:
        told = place.key_finding if key else place.finding
        if self.kind is None:
            return None
        if root not in self.roots:
            names = " and ".join(self.roots)
            example = f"{self.roots[0]}.NAME" if key else f"{{{self.roots[0]}: NAME}}"
            why = f"of {_A[self.kind]} there is {names}"
            message = f'"{root[:80]}" is no part of {_A[self.kind]}'
            self.found.append(told("bad-trigger", message, why, f"write {example}"))
            return None
        if not isinstance(text, str):
            return None
        try:
            return Field.read(Root(root), text)
        except ValueError as error:
            told = at.key_finding if key else at.finding
            fix = f"write {root}.a.b" if key else f"write {{{root}: a.b}}"
            if root == Root.HEADER:
                fix = "write letters, digits and hyphens"
            if Root(root) in _NAMED:
                fix = "write one of them"
            self.found.append(told("bad-trigger", str(error), "", fix))
            return None

    def test(self, field: Field, value: object, place: Place) -> Iterator[tuple[Place, Test]]:
        if isinstance(value, dict):
            if len(value) > 1:
                self.one_key(place, value)
                return
            for how in (How.PREFIX, How.GLOB):
                text = value.get(how)
                if isinstance(text, str):
                    yield place, Test(field, how, (text,))
            return
        values = tuple(one for one in (value if isinstance(value, list) else [value]) if isinstance(one, Scalar))
        if values:
            yield place, Test(field, How.IS, values)


_NAMED = (Root.EVENT, Root.OBJECT)
_A = {Kind.OBJECT: "an object", Kind.WEBHOOK: "a webhook", Kind.EVENT: "a CloudEvent"}
HOSTS = tuple(Host)
