"""Standard readers must accept our records unchanged: the schema of OpenLineage 2-0-2, and its official client."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from mlgen.ledger.records.runevent import to_bytes
from mlgen.ledger.records.task import TaskRecord
from tests.ledger import records

SCHEMA: dict[str, Any] = json.loads((Path(__file__).parents[1] / "data/openlineage/OpenLineage.json").read_bytes())
EVERY = records.every_kind()


def events() -> list[dict[str, Any]]:
    return [json.loads(to_bytes(record)) for record in EVERY]


def schema_errors(event: object) -> list[str]:
    checker = jsonschema.Draft202012Validator.FORMAT_CHECKER
    return [e.message for e in jsonschema.Draft202012Validator(SCHEMA, format_checker=checker).iter_errors(event)]


@pytest.mark.parametrize("event", events())
def test_every_record_fits_the_schema(event: dict[str, Any]) -> None:
    assert schema_errors(event) == []
    assert event["schemaURL"] == f"{SCHEMA['$id']}#/$defs/RunEvent"


@pytest.mark.parametrize(
    "spoil",
    [
        lambda e: e.pop("eventTime"),
        lambda e: e.pop("producer"),
        lambda e: e.update(eventType="SUCCESS"),
        lambda e: e["run"].update(runId="r1"),
        lambda e: e["run"]["facets"]["mlgen_task"].pop("_producer"),
        lambda e: e["job"].pop("name"),
        lambda e: e["inputs"][0].pop("namespace"),
        lambda e: e["outputs"][0]["facets"]["mlgen_artifact"].pop("_schemaURL"),
    ],
)
def test_the_schema_would_notice(spoil: Any) -> None:
    event = json.loads(to_bytes(records.full()))
    spoil(event)
    assert schema_errors(event)


openlineage = pytest.importorskip("openlineage.client.event_v2", reason="openlineage-python is not installed")


def properties_of(name: str) -> tuple[set[str], set[str]]:
    """(all properties, required ones) of a definition, with those of what it builds on."""
    found: set[str] = set()
    required: set[str] = set()
    for part in SCHEMA["$defs"][name].get("allOf", [SCHEMA["$defs"][name]]):
        if "$ref" in part:
            base = properties_of(part["$ref"].rpartition("/")[2])
            found, required = found | base[0], required | base[1]
        found |= set(part.get("properties", {}))
        required |= set(part.get("required", []))
    return found, required


@pytest.mark.parametrize("name", SCHEMA["$defs"])
def test_the_schema_is_that_of_the_official_client(name: str) -> None:
    import attr
    from openlineage.client.generated import base

    cls = getattr(base, name)
    assert cls._get_schema() == f"{SCHEMA['$id']}#/$defs/{name}"
    fields = {field.name: field for field in attr.fields(cls) if field.name not in ("_additional_skip_redact",)}
    # The client fills these two in by itself, so they have defaults there; the specification requires them.
    own = {"producer", "schemaURL", "_producer", "_schemaURL"}
    required = {key for key, field in fields.items() if field.default is attr.NOTHING} | (own & set(fields))
    assert properties_of(name) == (set(fields), required)


def test_the_states_are_those_of_the_official_client() -> None:
    event_type = SCHEMA["$defs"]["RunEvent"]["allOf"][1]["properties"]["eventType"]["enum"]
    assert event_type == [state.value for state in openlineage.RunState]


def rebuilt(event: dict[str, Any]) -> Any:
    """The event as the official client's objects; their constructors refuse what they do not know."""
    from openlineage.client import facet_v2
    from openlineage.client.generated.base import DatasetFacet, RunFacet

    def facet(cls: Any, data: dict[str, Any]) -> Any:
        own = {key: value for key, value in data.items() if key not in ("_schemaURL", "_producer")}
        if cls in (RunFacet, DatasetFacet):  # a facet of ours, which the client carries as additional properties
            built = cls(producer=data["_producer"]).with_additional_properties(**own)
        else:
            built = cls(producer=data["_producer"], **own)
            assert built._get_schema() == data["_schemaURL"]
        return built

    def dataset(cls: Any, data: dict[str, Any]) -> Any:
        facets = {key: facet(DatasetFacet, value) for key, value in data.pop("facets").items()}
        return cls(facets=facets, **data)

    run_facets = event["run"].pop("facets")
    job_facets = event["job"].pop("facets")
    kinds = {
        "parent": facet_v2.parent_run.ParentRunFacet,
        "errorMessage": facet_v2.error_message_run.ErrorMessageRunFacet,
    }
    parent = run_facets.get("parent")  # a run as a whole has none
    if parent is not None:
        parent["run"] = facet_v2.parent_run.Run(**parent["run"])
        parent["job"] = facet_v2.parent_run.Job(**parent["job"])
    location = facet_v2.source_code_location_job.SourceCodeLocationJobFacet
    return openlineage.RunEvent(
        eventTime=event["eventTime"],
        eventType=openlineage.RunState(event["eventType"]),
        producer=event["producer"],
        run=openlineage.Run(
            facets={k: facet(kinds.get(k, RunFacet), v) for k, v in run_facets.items()}, **event["run"]
        ),
        job=openlineage.Job(facets={k: facet(location, v) for k, v in job_facets.items()}, **event["job"]),
        inputs=[dataset(openlineage.InputDataset, d) for d in event["inputs"]],
        outputs=[dataset(openlineage.OutputDataset, d) for d in event["outputs"]],
    )


def told(value: Any) -> Any:
    """A JSON value without what says nothing, and without the schemas' URLs of our own facets."""
    if isinstance(value, dict):
        own = "mlgen.dev/spec" in value.get("_schemaURL", "")
        kept = {k: told(v) for k, v in value.items() if not (own and k == "_schemaURL")}
        return {k: v for k, v in kept.items() if v not in (None, {}, [])}
    return [told(item) for item in value if item is not None] if isinstance(value, list) else value


@pytest.mark.parametrize("record", EVERY)
def test_the_official_client_reads_every_record(record: TaskRecord) -> None:
    from openlineage.client.serde import Serde

    event = json.loads(to_bytes(record))
    said = json.loads(Serde.to_json(rebuilt(json.loads(to_bytes(record)))))
    # The client writes its own base facet's URL into facets that it does not know.
    del said["run"]["facets"]["mlgen_task"]["_schemaURL"]
    for dataset in (*said["inputs"], *said["outputs"]):
        del dataset["facets"]["mlgen_artifact"]["_schemaURL"]
    assert told(said) == told(event)
