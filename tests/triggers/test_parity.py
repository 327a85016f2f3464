"""What a cluster's filter says of an event and hands on is what `mlgen run --event` says of it: one rule."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlgen.render.starts import start_manifests
from mlgen.runtime.pod import event_start
from mlgen.runtime.pod.start import FILE
from mlgen.triggers.events import Event, read_json
from mlgen.triggers.matching import Told, told
from mlgen.triggers.model import Trigger
from tests.spec.texts import plan_of
from tests.strategies import environment
from tests.triggers.listener import Listener, canonical_key

SPEC = """\
version: 1
name: told
params: {file: {type: string}, rows: 3, more: {type: json, default: []}}
on: ON
tasks: {tell: {run: echo, image: busybox, in: [params.file, params.rows, params.more]}}
"""
LISTENING = environment(triggers=True)
SECRETS = {("hooks", "key"): "s3same"}

OBJECT = '{object: "s3://ml-data/in/*.csv", params: {file: {object: uri}, rows: {object: size}}}'
DEEP = '{object: "s3://ml-data/**/x?.csv", params: {file: {object: name}}}'
BEARER = (
    '{webhook: bearer, secret: hooks/key, id: {body: id}, where: {body.ref: {glob: "refs/*"}, body.n: [1, true, "x"]}, '
    "params: {file: {body: a.b}, rows: {body: l.0.n}, more: {body: l}}}"
)
EVENT = (
    '{event: dev.x, source: {prefix: "/a"}, where: {data.model: [churn, "it\'s \\"$(x)\\" \\\\ ü"]}, '
    "params: {file: {data: a.b}, more: {data: a}, rows: {data: num}}}"
)
ON = {"object": OBJECT, "deep": DEEP, "bearer": BEARER, "event": EVENT}


def one(on: str) -> tuple[Trigger, dict[str, Any], event_start.Start]:
    """A trigger, its object, and what its pod reads."""
    plan = plan_of(SPEC.replace("ON", on).encode(), name="told")
    found = {str(m.data["kind"]): json.loads(json.dumps(m.data)) for m in start_manifests(plan, LISTENING)}
    return plan.triggers[0], found["Trigger"], event_start.Start.read(found["ConfigMap"]["data"][FILE].encode())


MADE = {name: one(on) for name, on in ON.items()}


def here(name: str, body: Any, headers: dict[str, str]) -> list[Told]:
    event = Event({key.lower(): value for key, value in headers.items()}, read_json(json.dumps(body)))
    return told(MADE[name][0], event)


def there(name: str, body: Any, headers: dict[str, str], errors: list[str] | None = None) -> list[Told]:
    _, manifest, start = MADE[name]
    listener = Listener([manifest], SECRETS, [] if errors is None else errors)
    jobs = listener.post(json.dumps(body).encode(), {"Authorization": "Bearer s3same", **headers})
    notes = [job["spec"]["template"]["metadata"]["annotations"][event_start.ANNOTATION] for job in jobs]
    return [run for note in notes for run in event_start.runs_of(start, note.encode())]


def record(key: Any = "in/a.csv", bucket: Any = "ml-data", event: Any = "ObjectCreated:Put", **more: Any) -> Any:
    return {"eventName": event, "s3": {"bucket": {"name": bucket}, "object": {"key": key, "eTag": "e1", **more}}}


SCALARS = (
    st.none() | st.booleans() | st.integers(-3, 3) | st.sampled_from(["", "x", "refs/a", "churn", "a$(b)", 'q"', 2.5])
)
JSON = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from(["a", "b", "n", "0"]), inner, max_size=2)
    ),
    max_leaves=5,
)
BODY = st.fixed_dictionaries(
    {},
    optional={
        "id": st.sampled_from(["i1", "", 3, None]),
        "ref": st.sampled_from(["refs/a", "refs/a/b", "refs/", 3]),
        "n": st.sampled_from([1, 1.0, True, "x", "1", 0, None]),
        "a": st.fixed_dictionaries({}, optional={"b": JSON}) | JSON,
        "l": st.lists(st.fixed_dictionaries({"n": JSON}) | JSON, max_size=2) | JSON,
    },
)
KEYS = [
    "in/a.csv", "in/b%20c.csv", "in/a+b.csv", "in%2Fa.csv", "in/a/b.csv", "in/%zz.csv", "in/a%3F.csv", "in/?.csv",
    "in/\u00fc.csv", "in/a.csvx", "x/y/x1.csv", "x1.csv", "a b/x1.csv", "in/a\n.csv", 3, None,
]  # fmt: skip
RECORDS = st.lists(
    st.builds(
        record,
        st.sampled_from(KEYS),
        st.sampled_from(["ml-data", "other", None, 3]),
        st.sampled_from(["ObjectCreated:Put", "s3:ObjectCreated:Put", "ObjectRemoved:Delete", None]),
        size=st.sampled_from([3, 3.0, "3", None]),
        versionId=st.sampled_from(["v1", "null", "", 3]),
    )
    | JSON,
    max_size=3,
)
DATA = st.fixed_dictionaries(
    {},
    optional={
        "model": st.sampled_from(["churn", 'it\'s "$(x)" \\ ü', "other", 3]),
        "a": st.fixed_dictionaries({}, optional={"b": JSON}) | JSON,
        "num": JSON,
    },
)
ATTRIBUTES = st.fixed_dictionaries(
    {},
    optional={
        "id": st.sampled_from(["1", ""]),
        "source": st.sampled_from(["/a/b", "/b", "/a"]),
        "type": st.sampled_from(["dev.x", "dev.y"]),
    },
)


@settings(max_examples=150, deadline=None)
@given(BODY)
def test_of_webhooks(body: Any) -> None:
    assert there("bearer", body, {}) == here("bearer", body, {})


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(["object", "deep"]), RECORDS | JSON)
def test_of_objects(name: str, records: Any) -> None:
    errors: list[str] = []
    assert there(name, {"Records": records}, {}, errors) == here(name, {"Records": records}, {})
    assert errors == []  # one would hide what another record of the same event asks for


@settings(max_examples=150, deadline=None)
@given(ATTRIBUTES, DATA | JSON, st.booleans())
def test_of_cloud_events(attributes: dict[str, str], data: Any, binary: bool) -> None:
    if binary and not isinstance(data, dict):
        return  # the listener takes maps alone
    body = data if binary else {"specversion": "1.0", **attributes, "data": data}
    headers = {canonical_key(f"ce-{key}"): value for key, value in attributes.items()} if binary else {}
    assert there("event", body, headers) == here("event", body, headers)


@pytest.mark.parametrize(
    ("name", "body", "headers", "expected"),
    [
        ("object", {"Records": [record(size=12)]}, {}, {"file": "s3://ml-data/in/a.csv", "rows": 12}),
        ("object", {"Records": [record("in/%C3%BC+b.csv")]}, {}, {"file": "s3://ml-data/in/\u00fc b.csv"}),
        ("object", {"Records": [record("in/x/a.csv")]}, {}, None),
        ("object", {"Records": [record(event="ObjectRemoved:Delete")]}, {}, None),
        ("deep", {"Records": [record("a/b/x1.csv")]}, {}, {"file": "x1.csv"}),
        ("bearer", {"id": "1", "ref": "refs/a", "n": 1, "a": {"b": "x"}}, {}, {"file": "x"}),
        ("bearer", {"id": "1", "ref": "refs/a", "n": False, "a": {"b": "x"}}, {}, None),
        ("bearer", {"ref": "refs/a", "n": 1, "a": {"b": "x"}}, {}, None),
        ("event", {"model": "churn", "a": {"b": "x"}}, {"Ce-Id": "1", "Ce-Source": "/a", "Ce-Type": "dev.x"},
         {"file": "x", "more": {"b": "x"}}),
        ("event", {"id": "1", "source": "/a", "type": "dev.x", "data": {"model": "churn", "a": {"b": "x"}}}, {},
         {"file": "x", "more": {"b": "x"}}),
    ],
)  # fmt: skip
def test_both_say_what_is_meant(name: str, body: Any, headers: dict[str, str], expected: Any) -> None:
    for found in (here(name, body, headers), there(name, body, headers)):
        assert [dict(run.values) for run in found] == ([] if expected is None else [expected])


def test_a_wrong_secret_starts_nothing() -> None:
    body = {"id": "1", "ref": "refs/a", "n": 1, "a": {"b": "x"}}
    assert len(there("bearer", body, {})) == 1
    for wrong in ("Bearer s3sam", "Bearer s3samee", "s3same", "Bearer", "", "bearer s3same", "Basic s3same"):
        assert there("bearer", body, {"Authorization": wrong}) == []


@pytest.mark.parametrize(
    "value",
    ["$(x)", "$(tt.params.event)", "$(uid)", '"', "\\", "\n", "'", {"a": 'b"'}, ["]", '"'], "\u2028", "x" * 50_000],
)
def test_no_value_is_anything_but_itself(value: Any) -> None:
    body = {"id": "1", "source": "/a", "type": "dev.x", "data": {"model": "churn", "a": {"b": value}}}
    [found] = there("event", body, {})
    assert found.values["file"] == value
    _, manifest, _ = MADE["event"]
    [job] = Listener([manifest], SECRETS).post(json.dumps(body).encode())
    note = job["spec"]["template"]["metadata"]["annotations"].pop(event_start.ANNOTATION)
    [template] = manifest["spec"]["template"]["spec"]["resourcetemplates"]
    expected = json.loads(json.dumps(template))
    del expected["spec"]["template"]["metadata"]["annotations"][event_start.ANNOTATION]
    assert job == expected  # nothing else of what is created is the event's
    assert set(note) <= set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/=")
