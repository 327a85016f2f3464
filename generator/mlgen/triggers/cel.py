"""A trigger as the filters of Tekton Triggers' `cel` interceptor: which events pass, and what of them is handed on.

Every literal is quoted here, and no text of an author is ever an expression. What is handed on is one text of base64,
which stands for itself in JSON, in Kubernetes' `$( )` and in Tekton's: what Triggers puts into a template is spliced
into its JSON as it is, so that an event which holds a map where a text was meant would write a part of it.

The rule is that of `mlgen.triggers.matching`, which says the same of an event here; tests hold the two together. Types
are asked before each step, as an error, unlike a `false`, would hide what another object of the same event asks for.
Source: tektoncd/triggers v0.37 pkg/interceptors/cel, pkg/template/resource.go and jsonpath.go.
"""

from __future__ import annotations

from mlgen.triggers.globs import pattern
from mlgen.triggers.matching import DELIVERY, KEY
from mlgen.triggers.model import FIELDS, Field, Host, How, Kind, Root, Scalar, Test, Trigger

EXTENSION = "mlgen"  # the name of what is handed on
EVENT = "event"  # of a CloudEvent, however it was told
_CLOUD_EVENT = f'extensions["{EVENT}"]'
_KEY_AS_TOLD = r"^([^%?#\x00-\x20\x7f]|%[0-9A-Fa-f]{2})*$"  # else Go's url.Parse fails, or takes another part


def quoted(text: str) -> str:
    """A literal: ASCII, and nothing in it that CEL, YAML or a shell would read otherwise."""
    return f'"{"".join(map(_character, text))}"'


def _character(one: str) -> str:
    if " " <= one <= "~" and one not in "\"\\$`'":
        return one
    return f"\\u{ord(one):04x}" if ord(one) < 1 << 16 else f"\\U{ord(one):08x}"


def literal(value: Scalar) -> str:
    """A value as JSON in Go has it, where every number is a float."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return quoted(value) if isinstance(value, str) else repr(float(value))


def secret_filter(trigger: Trigger) -> str | None:
    """Whether the sender knows the secret, where no interceptor of its own asks that."""
    if trigger.secret is None or trigger.what in (Host.GITHUB, Host.GITLAB):
        return None
    name, key = trigger.secret
    given = 'header.canonical("Authorization")'
    return f'{given}.startsWith("Bearer ") && {given}.substring(7).compareSecret({quoted(key)}, {quoted(name)})'


def cloud_event() -> str:
    """A CloudEvent as a map, whether its attributes are headers or stand in the body."""
    attributes = ", ".join(f'"{name}": header.canonical("Ce-{name.capitalize()}")' for name in FIELDS[Root.EVENT])
    return f'header.canonical("Ce-Id") != "" ? {{{attributes}, "data": body}} : body'


def event_filter(trigger: Trigger) -> str:
    """Whether an event is meant."""
    if trigger.kind is Kind.OBJECT:
        return f'"Records" in body && type(body["Records"]) == list && body["Records"].exists(r, {_record(trigger)})'
    parts = []
    if trigger.kind is Kind.EVENT:
        kind, source = Field(Root.EVENT, ("type",)), Field(Root.EVENT, ("source",))
        parts = [*_test(Test(kind, How.IS, (trigger.what,))), *_present(source), *_present(Field(Root.EVENT, ("id",)))]
    elif trigger.what == Host.BEARER:
        key = trigger.id or KEY
        parts = [*_present(key), f"type({_value(key)}) == string", f'{_value(key)} != ""']
    else:
        parts = [f'{_identity(trigger)} != ""']
    fields = dict(trigger.fields)
    parts += [part for test in trigger.tests for part in _test(test)]
    parts += [part for name in trigger.required for part in _present(fields[name])]
    return " && ".join(dict.fromkeys(parts))


def document(trigger: Trigger) -> str:
    """What is handed on of an event that is meant: see `matching.of_document`."""
    if trigger.kind is Kind.OBJECT:
        part = '{"eventName": r["eventName"], "s3": {"bucket": r["s3"]["bucket"], "object": r["s3"]["object"]}}'
        found = f'body["Records"].filter(r, {_record(trigger)}).map(r, {part})'
    else:
        values = ", ".join(
            f'"{name}": {" && ".join(_present(field))} ? dyn({_value(field)}) : dyn(null)'
            for name, field in trigger.fields
        )
        found = f'[{{"identity": dyn([{_identity(trigger)}]), "values": dyn({{{values}}})}}]'
    return f'base64.encode(bytes({{"found": dyn({found})}}.marshalJSON()))'


def _identity(trigger: Trigger) -> str:
    if trigger.kind is Kind.EVENT:
        return ", ".join(_value(Field(Root.EVENT, (name,))) for name in ("source", "id"))
    if trigger.what == Host.BEARER:
        return _value(trigger.id or KEY)
    *first, last = (_value(Field(Root.HEADER, (name,))) for name in DELIVERY[trigger.what])
    return f'({first[0]} != "" ? {first[0]} : {last})' if first else last


def _record(trigger: Trigger) -> str:
    """Whether a record `r` of a bucket's notification tells of an object that was written and fits."""
    bucket, _, key = trigger.what.removeprefix("s3://").partition("/")
    path = '("http://o/" + r["s3"]["object"]["key"].replace("+", "%20")).parseURL()["path"]'
    parts = [
        *_steps("r", ("eventName",), "r")[0],
        'type(r["eventName"]) == string',
        '(r["eventName"].startsWith("ObjectCreated:") || r["eventName"].startsWith("s3:ObjectCreated:"))',
        *_steps("r", ("s3", "bucket", "name"), "r")[0],
        f'r["s3"]["bucket"]["name"] == {quoted(bucket)}',
        *_steps("r", ("s3", "object", "key"), "r")[0],
        'type(r["s3"]["object"]["key"]) == string',
        f'r["s3"]["object"]["key"].matches({quoted(_KEY_AS_TOLD)})',
        f"{path}.matches({quoted(f'^/{pattern(key)}$')})",
    ]
    return " && ".join(dict.fromkeys(parts))


def _steps(base: str, path: tuple[str, ...], root: str) -> tuple[list[str], str]:
    """What must hold so that a path leads somewhere from a value, and where it leads."""
    tests, at = [], base
    for name in path:
        if name.isdecimal():
            tests += [f"type({at}) == list", f"size({at}) > {int(name)}"]
            at = f"{at}[{int(name)}]"
        else:
            # What is declared to be a map need not be asked, and may not be: its type is known before it runs.
            tests += [] if at == "body" and root == "body" else [f"type({at}) == map"]
            tests.append(f"{quoted(name)} in {at}")
            at = f"{at}[{quoted(name)}]"
    return tests, at


def _base(field: Field) -> tuple[str, tuple[str, ...]]:
    if field.root is Root.BODY:
        return "body", field.path
    return _CLOUD_EVENT, ("data", *field.path) if field.root is Root.DATA else field.path


def _value(field: Field) -> str:
    if field.root is Root.HEADER:
        return f"header.canonical({quoted(field.path[0])})"
    base, path = _base(field)
    return _steps(base, path, base)[1]


def _present(field: Field) -> list[str]:
    if field.root is Root.HEADER:
        return [f'{_value(field)} != ""']
    base, path = _base(field)
    tests, value = _steps(base, path, base)
    return [
        *tests,
        *([f"type({value}) == string", f'{value} != ""'] if field.root is Root.EVENT else [f"{value} != null"]),
    ]


def _test(test: Test) -> list[str]:
    value, there = _value(test.field), _present(test.field)
    match test.how:
        case How.IS:
            said = " || ".join(f"{value} == {literal(one)}" for one in test.values)
            return [*there, f"({said})" if len(test.values) > 1 else said]
        case How.PREFIX:
            said = f"{value}.startsWith({quoted(str(test.values[0]))})"
        case How.GLOB:
            said = f"{value}.matches({quoted(f'^{pattern(str(test.values[0]))}$')})"
    return [*there, f"type({value}) == string", said]
