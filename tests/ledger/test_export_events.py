"""Exported OpenLineage events, judged by OpenLineage's schema and client, and by Marquez."""

from __future__ import annotations

import json
from typing import Any

import pytest

from mlgen.ledger.export import events
from mlgen.ledger.export.select import Selected
from mlgen.ledger.records.runevent import to_bytes
from tests.ledger import marquez, records
from tests.ledger.exported import entries
from tests.ledger.test_openlineage import rebuilt, schema_errors, told


def lines(every: list[Selected]) -> list[dict[str, Any]]:
    return [json.loads(line) for line in events.lines(iter(every))]


def test_each_end_has_its_start(every: list[Selected]) -> None:
    found = lines(every)
    assert len(found) == 8
    for start, end in zip(found[::2], found[1::2], strict=True):
        assert (start["eventType"], start["run"]["runId"]) == ("START", end["run"]["runId"])
        assert end["eventType"] in ("COMPLETE", "FAIL", "ABORT")
        assert start["eventTime"] <= end["eventTime"]
        assert (start["job"], start["inputs"]) == (end["job"], end["inputs"])
        assert start["outputs"] == []


def test_the_run_is_the_parent_that_its_tasks_name(every: list[Selected]) -> None:
    (run, _, task, *_) = lines(every)
    parent = task["run"]["facets"]["parent"]
    assert parent["run"]["runId"] == run["run"]["runId"]
    assert parent["job"] == {"namespace": run["job"]["namespace"], "name": run["job"]["name"]}


def test_records_go_out_as_they_lie(every: list[Selected]) -> None:
    found = list(events.lines(iter(every)))
    assert to_bytes(entries()[1]) in found  # type: ignore[arg-type]
    assert all(line.endswith(b"\n") and line.count(b"\n") == 1 for line in found)


def test_every_event_fits_openlineage_s_schema(every: list[Selected]) -> None:
    assert [schema_errors(event) for event in lines(every)] == [[]] * 8


def test_the_official_client_reads_every_event(every: list[Selected]) -> None:
    from openlineage.client.serde import Serde

    for line in events.lines(iter(every)):
        event = json.loads(line)
        said = json.loads(Serde.to_json(rebuilt(json.loads(line))))
        for about in (said["run"], *said["inputs"], *said["outputs"]):
            for name, facet in about.get("facets", {}).items():
                if name.startswith("mlgen_"):  # the client writes its own base facet's URL into those
                    del facet["_schemaURL"]
        assert told(said) == told(event)


def test_marquez_takes_every_event(every: list[Selected]) -> None:
    assert [marquez.refusals(event) for event in lines(every)] == [[]] * 8


@pytest.mark.parametrize(
    "spoil",
    [
        lambda e: e.update(eventTime="2026-11-28T10:00:00"),
        lambda e: e.update(eventType="DONE"),
        lambda e: e["run"].update(runId="r1"),
        lambda e: e["job"].update(namespace="a b"),
        lambda e: e["job"].update(name=" "),
        lambda e: e["run"]["facets"]["parent"]["job"].update(name="a.b"),
        lambda e: e["inputs"].append({"namespace": "s3://b", "name": ""}),
        lambda e: e.pop("producer"),
    ],
)
def test_marquez_rules_would_notice(spoil: Any) -> None:
    event = json.loads(to_bytes(records.full()))
    spoil(event)
    assert marquez.refusals(event)
