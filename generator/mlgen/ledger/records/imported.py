"""An event of another producer (Spark, Airflow, dbt), kept beside mlgen's own records: lineage beyond mlgen.

It lies below `imported/`, where readers of runs do not look. Which ledger took it stands in a facet that the import
adds, so that the path is a pure function of the bytes and nobody takes the event for a record.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

from mlgen import canonical
from mlgen.ledger.records.artifact import spelled, uri_of
from mlgen.ledger.records.fields import IMPORTED as FACET
from mlgen.ledger.records.fields import NAME, RUN_ID, BadRecord, Fields, NewerFormat

FORMAT = 1
FOLDER = "imported"
MAX_BYTES = 1 << 20  # Spark's events tell of each column
MAX_DATASETS = 1000

# The words of OpenLineage 2-0-2; an event may have none.
EVENT_TYPES = ("START", "RUNNING", "COMPLETE", "ABORT", "FAIL", "OTHER")
# No version of mlgen in it: the same event, imported again by a later one, has the same bytes.
_PRODUCER = "https://mlgen.dev/mlgen"
_SCHEMA = "https://mlgen.dev/spec/facets/{}/MlgenImportedRunFacet.json"
_SCHEMA_URL = re.compile(re.escape(_SCHEMA).replace(r"\{\}", r"(\d{1,6})"))
_POSING = re.compile(r"\s*(mlgen|(https?:)?//mlgen\.dev)\s*(/|$)", re.IGNORECASE)
_OURS = "a record of mlgen is told by its own ledger alone"
# RFC 3339, as far as producers write it; the second may be 60 nowhere that we know.
_TIME = re.compile(r"(\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d)(\.\d+)?([Zz]|[+-]\d\d:\d\d)", re.ASCII)


@dataclass(frozen=True, slots=True)
class Dataset:
    """What a foreign job read or made."""

    namespace: str
    name: str

    @property
    def uri(self) -> str:
        """As mlgen writes the URI of an artifact, so that both name the same bytes in a bucket alike."""
        return spelled(uri_of(self.namespace, self.name))


@dataclass(frozen=True, slots=True)
class ImportedEvent:
    """One RunEvent of another producer. event_time: RFC 3339 as it was written. event_type: None where it has none.

    run_id: a UUID in lower case; several events (START, COMPLETE) tell of one run. parent: the runId of its parent.
    path: `imported/YYYY/MM/DD/<run_id>.<first 16 hex of the sha256>.json`, the day that of event_time in UTC.
    """

    run_id: str
    env: str
    event_time: str
    event_type: str | None
    namespace: str
    name: str
    producer: str
    inputs: tuple[Dataset, ...]
    outputs: tuple[Dataset, ...]
    parent: str | None
    path: str

    @property
    def at(self) -> datetime:
        """event_time, to be compared; in UTC."""
        return _utc(self.event_time)


def of_fields(fields: Fields, data: bytes) -> ImportedEvent:
    """The event that a file below `imported/` holds. data: its bytes. Raises BadRecord, NewerFormat."""
    about = fields.object("run").object("facets").object(FACET)
    match = _SCHEMA_URL.fullmatch(about.text("_schemaURL"))
    if match is None:
        raise BadRecord(f"run.facets.{FACET}._schemaURL is not of mlgen")
    if int(match[1]) > FORMAT:
        raise NewerFormat(f"the event has format {match[1]}, and this mlgen reads up to {FORMAT}: upgrade mlgen")
    return _event(fields, about.text("env", NAME), data)


def mark(event: Mapping[str, Any], env: str) -> bytes:
    """The bytes under which a ledger keeps a RunEvent: canonical JSON, with the facet that says whose ledger it is.

    The same event for the same environment gives the same bytes. Raises BadRecord for what is no RunEvent 2-0-2.
    """
    fields = Fields(event)
    run = fields.object("run")
    facets = run.mapping("facets") if run.get("facets") is not None else {}
    ours = {"_producer": _PRODUCER, "_schemaURL": _SCHEMA.format(FORMAT), "env": env}
    marked = {**event, "run": {**fields.mapping("run"), "facets": {**facets, FACET: ours}}}
    try:
        data = canonical.encode(marked) + b"\n"
    except UnicodeEncodeError:
        raise BadRecord("a text in it has half of a surrogate pair, which is no character") from None
    except ValueError as error:
        raise BadRecord(str(error)) from None
    if len(data) > MAX_BYTES:
        raise BadRecord(f"it has {len(data):,} bytes, more than {MAX_BYTES:,}")
    _event(Fields(marked), env, data)
    return data


def unmarked(event: Mapping[str, Any]) -> dict[str, Any]:
    """The event without the import's facet, as its producer wrote it."""
    facets = {key: value for key, value in event["run"]["facets"].items() if key != FACET}
    return {**event, "run": {**event["run"], "facets": facets}}


def _event(fields: Fields, env: str, data: bytes) -> ImportedEvent:
    run, job = fields.object("run"), fields.object("job")
    run_id = run.text("runId").lower()
    if not RUN_ID.fullmatch(run_id):
        raise BadRecord("run.runId is no UUID")
    event_time = fields.text("eventTime")
    event_type = fields.optional_text("eventType")
    if event_type not in (None, *EVENT_TYPES):
        raise BadRecord(f"eventType is {str(event_type)[:40]!r}, not one of {', '.join(EVENT_TYPES)}")
    producer = _uri(fields, "producer")
    namespace = job.text("namespace")
    _refuse_ours(run, namespace, producer)
    if fields.get("schemaURL") is not None:  # required since 2021, and Marquez still takes events without
        _uri(fields, "schemaURL")
    day = _utc(event_time).strftime("%Y/%m/%d")
    sha256 = hashlib.sha256(data).hexdigest()
    return ImportedEvent(
        run_id=run_id,
        env=env,
        event_time=event_time,
        event_type=event_type,
        namespace=namespace,
        name=job.text("name"),
        producer=producer,
        inputs=_datasets(fields, "inputs"),
        outputs=_datasets(fields, "outputs"),
        parent=_parent(run),
        path=f"{FOLDER}/{day}/{run_id}.{sha256[:16]}.json",
    )


def _refuse_ours(run: Fields, namespace: str, producer: str) -> None:
    """Raises BadRecord for what says that mlgen wrote it.

    Exported again, it would pass for a record that mlgen made, and that no run of this ledger did.
    """
    facets = run.mapping("facets") if run.get("facets") is not None else {}
    for key in facets:
        if key.lower().startswith("mlgen_") and key != FACET:
            raise BadRecord(f"run.facets.{key[:80]} is mlgen's own: {_OURS}")
    for place, text in (("job.namespace", namespace), ("producer", producer)):
        if _POSING.match(text):
            raise BadRecord(f"{place} is {text[:80]!r}, mlgen's own: {_OURS}")


def _uri(fields: Fields, key: str) -> str:
    text = fields.text(key)
    try:
        scheme = urlsplit(text).scheme
    except ValueError:
        scheme = ""
    if not scheme:
        raise BadRecord(f"{key} is {text[:80]!r}, which is no URI")
    return text


def _utc(text: str) -> datetime:
    """Raises BadRecord. Without an offset nobody knows when it was, and OpenLineage allows none such."""
    match = _TIME.fullmatch(text)
    if match is None:
        raise BadRecord(f"eventTime is {text[:40]!r}, not of the form 2026-01-31T12:00:00Z")
    whole, fraction, zone = match.groups()
    try:
        # Six digits at most: Java's clocks give nine.
        return datetime.fromisoformat(f"{whole.upper()}{(fraction or '')[:7]}{zone.upper()}").astimezone(UTC)
    except (ValueError, OverflowError):
        raise BadRecord(f"eventTime is {text[:40]!r}, which no calendar has") from None


def _datasets(fields: Fields, key: str) -> tuple[Dataset, ...]:
    if fields.get(key) is None:
        return ()
    found = tuple(Dataset(d.text("namespace"), d.text("name")) for d in fields.objects(key))
    if len(found) > MAX_DATASETS:
        raise BadRecord(f"{key} has {len(found):,} datasets, more than {MAX_DATASETS:,}")
    return found


def _parent(run: Fields) -> str | None:
    if run.get("facets") is None or run.object("facets").get("parent") is None:
        return None
    return run.object("facets").object("parent").object("run").text("runId")
