"""The pod of an event: one run however often it is told, and none of values that do not fit."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from mlgen.diagnostic import CannotAnswer, Misuse
from mlgen.runtime.pod.event_start import ANNOTATION, Start, is_meant, start
from mlgen.schedules.model import Concurrency
from mlgen.triggers.matching import MAX_BYTES, MOST, Param
from mlgen.triggers.model import Field, Kind, Root, Trigger
from mlgen.values import Type
from tests.runtime.test_start import RUN, RUNS, Server

FIELDS = (
    ("rows", Field(Root.DATA, ("rows",))),
    ("text", Field(Root.DATA, ("text",))),
    ("tree", Field(Root.DATA, ("t",))),
)
PARAMS = {
    "rows": Param(Type.INTEGER, minimum=1, maximum=10),
    "text": Param(Type.STRING),
    "tree": Param(Type.JSON),
}


def what(concurrency: Concurrency = Concurrency.ALLOW, **more: Any) -> Start:
    given: dict[str, Any] = {"params": (("word", "a$b"),), "fields": FIELDS, **more}
    return Start("daily", Trigger(Kind.EVENT, "dev.x", concurrency=concurrency, **given), PARAMS, RUN)


def note(*values: Any, identity: Any = ("/a", "1")) -> bytes:
    found = [{"identity": list(identity), "values": one} for one in values]
    return base64.b64encode(json.dumps({"found": found}).encode())


def params(server: Server) -> dict[str, str]:
    [run] = server.runs.values()
    return {one["name"]: one["value"] for one in run["spec"]["params"]}


def test_an_event_starts_a_run_once() -> None:
    server = Server()
    said = start(what(), note({"rows": 3, "text": "x"}), server)
    [name] = server.runs
    assert said == f"{name} is started, for /a 1"
    assert start(what(), note({"rows": 3, "text": "x"}), server) == f"{name} is there already, for /a 1"
    assert len(server.runs) == 1
    assert params(server) == {"n": "1", "rows": "3", "text": "x", "word": "a$$b"}
    notes = server.runs[name]["metadata"]["annotations"]
    assert notes == {"mlgen.dev/plan-digest": "d", ANNOTATION: '["/a","1"]'}
    start(what(), note({"rows": 3}, identity=("/a", "2")), server)
    assert len(server.runs) == 2


@pytest.mark.parametrize(
    "text", ["$(x)", "$HOME $", "'\"\\", "a\nb\r\n", "\u00fc\U0001f600", "", " x ", "-p", "$$(y)", "x" * 20_000]
)
def test_a_text_is_itself(text: str) -> None:
    server = Server()
    if text in ("$(x)", "$$(y)"):  # as `mlgen run -p` says
        with pytest.raises(Misuse, match="Tekton takes for a variable"):
            start(what(), note({"text": text}), server)
        assert not server.runs
        return
    start(what(), note({"text": text}), server)
    assert params(server)["text"] == text.replace("$", "$$")


@pytest.mark.parametrize(
    ("value", "text"), [({"a": [1, None]}, '{"a":[1,null]}'), ("x", '"x"'), ([], "[]"), (False, "false"), (2.0, "2")]
)
def test_a_json_param_takes_anything(value: Any, text: str) -> None:
    server = Server()
    start(what(), note({"tree": value}), server)
    assert params(server)["tree"] == text


@pytest.mark.parametrize(
    ("values", "problem"),
    [
        ({"rows": "many"}, 'rows: "many" is not an integer'),
        ({"rows": 2.5}, 'rows: "2.5" is not an integer'),
        ({"rows": 11}, "rows: 11 is above the maximum 10"),
        ({"rows": 1e30}, "rows:"),
        ({"rows": True}, 'rows: "true" is not an integer'),
        ({"rows": [3]}, "rows: it is a list, no integer"),
        ({"text": {"a": 1}}, "text: it is a map, no string"),
        ({"text": "\0"}, "text: a text with a NUL"),
        ({"text": "\ud800"}, "text: the text is not Unicode"),
        ({"tree": {"a": ["\ud800"]}}, "tree: the JSON holds half of a character"),
        ({"text": "x" * (MAX_BYTES + 1)}, "more than 32,768 bytes"),
        ({"text": "x" * 300_000}, "more than 32,768 bytes"),
        ({"text": "$(params.word)"}, "Tekton takes for a variable"),
        ({"text": "$(tasks.a.results.b)"}, "Tekton takes for a variable"),
    ],
)
def test_what_does_not_fit_starts_nothing(values: Any, problem: str) -> None:
    server = Server()
    with pytest.raises(Misuse) as caught:
        start(what(), note(values), server)
    assert problem in str(caught.value.message)
    assert not server.asked


@pytest.mark.parametrize(
    "data",
    [
        b"", b"$(tt.params.event)", b"!!", base64.b64encode(b"{"), base64.b64encode(b"\xff"),
        base64.b64encode(b"[" * 10**5),
        base64.b64encode(b'{"found": [1]}'), base64.b64encode(b'{"found": [{"identity": [], "values": {}}]}'),
        base64.b64encode(b'{"found": [{"identity": [3], "values": {}}]}'), note({"word": "x"}), note({"n": "x"}),
        base64.b64encode(b'{"found": [{"identity": ["a"], "values": {"rows": NaN}}]}'),
        base64.b64encode(b'{"found": [{"identity": ["a"], "values": {"rows": 1e999}}]}'),
        base64.b64encode(b'{"found": [{"identity": ["a"], "values": {"rows": 1' + b"0" * 350 + b"}}]}"),
        note({"rows": 1}, identity=("/a", "\ud800")),
    ],
)  # fmt: skip
def test_what_no_filter_made_starts_nothing(data: bytes) -> None:
    server = Server()
    with pytest.raises(Misuse, match="cannot be read"):
        start(what(), data, server)
    assert not server.asked


def test_of_several_those_that_fit_are_started() -> None:
    server = Server()
    found = [{"identity": ["/a", str(n)], "values": {"rows": n}} for n in (3, 30, 4)]
    with pytest.raises(Misuse, match="above the maximum"):
        start(what(), base64.b64encode(json.dumps({"found": found}).encode()), server)
    assert len(server.runs) == 2


def test_an_event_of_too_many_starts_nothing() -> None:
    server = Server()
    with pytest.raises(Misuse, match="are the most"):
        start(what(), note(*({"rows": 1} for _ in range(MOST + 1))), server)
    assert not server.asked


def test_of_objects_the_name_is_that_of_the_version() -> None:
    fields = (("text", Field(Root.OBJECT, ("uri",))),)
    trigger = Trigger(Kind.OBJECT, "s3://ml-data/in/*.csv", fields=fields, required=("text",))
    stored = Start("daily", trigger, PARAMS, RUN)

    def told(**more: str) -> bytes:
        record = {"eventName": "ObjectCreated:Put", "s3": {"bucket": {"name": "ml-data"}, "object": more}}
        return base64.b64encode(json.dumps({"found": [record, record]}).encode())

    server = Server()
    start(stored, told(key="in/a%20b.csv", eTag="e1"), server)
    assert params(server)["text"] == "s3://ml-data/in/a b.csv"
    start(stored, told(key="in/a+b.csv", eTag="e1", sequencer="9"), server)  # told again, written otherwise
    assert len(server.runs) == 1
    start(stored, told(key="in/a%20b.csv", eTag="e2"), server)
    assert len(server.runs) == 2
    assert start(stored, told(key="out/a.csv", eTag="e1"), server) == "nothing is asked for"


def test_what_goes_on_is_heeded() -> None:
    server = Server()
    start(what(Concurrency.FORBID), note({"rows": 1}), server)
    said = start(what(Concurrency.FORBID), note({"rows": 1}, identity=("/a", "2")), server)
    assert "is not started" in said
    assert len(server.runs) == 1
    [(_, path), *_] = server.asked
    assert path.startswith(f"{RUNS}?labelSelector=")
    assert path.endswith("mlgen.dev/trigger")
    said = start(what(Concurrency.REPLACE), note({"rows": 1}, identity=("/a", "3")), server)
    assert "in place of" in said
    assert len(server.runs) == 2


def test_a_cluster_that_does_not_answer_is_asked_again() -> None:
    server = Server(answers=[OSError("away"), 503])
    start(what(), note({"rows": 1}), server, pause=lambda _: None)
    assert len(server.runs) == 1
    with pytest.raises(CannotAnswer, match="refuses the run"):
        start(what(), note({"rows": 1}), Server(answers=[403]), pause=lambda _: None)


def test_another_versions_words_are_told() -> None:
    assert is_meant(b'{"on": {}}')
    assert not is_meant(b'{"schedule": {}}')
    assert not is_meant(b"{")
    for data in (
        b"{}",
        b'{"on": {"kind": "object"}, "params": {}}',
        b'{"on": 3, "params": {}, "pipeline": "a", "run": {}}',
    ):
        with pytest.raises(CannotAnswer, match="cannot be read"):
            Start.read(data)
