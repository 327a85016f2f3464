"""What the run of an event is called: an event told twice is one run, and two events are never one."""

from __future__ import annotations

from typing import Any

from mlgen.triggers.events import Event
from mlgen.triggers.matching import told
from mlgen.triggers.model import Trigger
from tests.spec.texts import plan_of

SPEC = """\
version: 1
name: told
params: {file: {type: string}}
on: %s
tasks: {tell: {run: echo, image: busybox, in: [params.file]}}
"""
OBJECT = '{object: "s3://ml-data/*.csv", params: {file: {object: uri}}}'
BEARER = "{webhook: bearer, secret: %s/key, params: {file: {body: file}}}"


def trigger(on: str) -> Trigger:
    [found] = plan_of((SPEC % on).encode(), name="told").triggers
    return found


def name(on: str, body: Any, **headers: str) -> str:
    found = trigger(on)
    [one] = told(found, Event(headers, body))
    return found.run_name("told", one.identity)


def stored(etag: str, **more: str) -> Any:
    return {
        "Records": [
            {
                "eventName": "ObjectCreated:Put",
                "s3": {"bucket": {"name": "ml-data"}, "object": {"key": "a.csv", "eTag": etag, **more}},
            }
        ]
    }


def test_an_object_that_is_written_again_is_another_event() -> None:
    assert name(OBJECT, stored("1")) == name(OBJECT, stored("1"))
    assert name(OBJECT, stored("1")) != name(OBJECT, stored("2"))
    assert name(OBJECT, stored("1", versionId="v1")) != name(OBJECT, stored("1", versionId="v2"))
    # A bucket that no longer keeps versions calls each one null.
    assert name(OBJECT, stored("1", versionId="null")) != name(OBJECT, stored("2", versionId="null"))


def test_each_sender_of_webhooks_numbers_its_own() -> None:
    mine, yours = BEARER % "team-a", BEARER % "team-b"
    body, headers = {"file": "x"}, {"idempotency-key": "1"}
    assert name(mine, body, **headers) == name(mine, body, **headers)
    assert name(mine, body, **headers) != name(yours, body, **headers)
