"""What Marquez asks of an OpenLineage event before it takes it, in its own words.

Source: MarquezProject/marquez at a89b89cad27f87c90dd964c40dae8dfb3f64031f, below api/src/main:
`java/marquez/service/models/LineageEvent.java` (what is @NotNull, of which type), `java/marquez/common/Utils.java`
(toUuid), `java/marquez/common/models/{NamespaceName,DatasetName,JobName}.java` (what names may be),
`java/marquez/db/OpenLineageDao.java` (getRunState) and `resources/marquez/db/migration/` (VARCHAR(255) of names).
Facets that it does not know it keeps as they are (@JsonAnySetter).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

NAMESPACE = re.compile(r"[a-zA-Z:;=/0-9_\-.@+]{1,1024}")
COLUMN = 255
STATES = {"start", "complete", "fail", "abort"}  # any other is RUNNING for it
KNOWN_FACETS = {"nominalTime", "parent", "documentation", "sourceCodeLocation", "sql", "jobType", "schema", "symlinks"}


def refusals(event: Any) -> list[str]:
    """Why Marquez would answer anything but 201, or read something else than was meant; none: it takes it."""
    return list(_refusals(event))


def _refusals(event: Any) -> Iterator[str]:
    if not _is_time(event.get("eventTime")):
        yield "eventTime is no ZonedDateTime"
    if str(event.get("eventType")).lower() not in STATES:
        yield "eventType is taken for RUNNING"
    if not isinstance(event.get("producer"), str):
        yield "producer is null"
    if not _is_uri(event.get("schemaURL")) or not event["schemaURL"].endswith("/RunEvent"):
        yield "schemaURL is no URI of a RunEvent"
    run, job = event["run"], event["job"]
    if not _is_uuid(run.get("runId")):
        yield "run.runId is no UUID"
    yield from _names(job, "job")
    yield from _facets(run.get("facets") or {}, "run")
    yield from _facets(job.get("facets") or {}, "job")
    parent = (run.get("facets") or {}).get("parent")
    if parent is not None:
        if not _is_uuid(parent["run"].get("runId")):
            yield "parent.run.runId is no UUID"
        yield from _names(parent["job"], "parent.job")
        if "." in parent["job"]["name"]:
            yield "parent.job.name is cut at its last dot"
    for side in ("inputs", "outputs"):
        for dataset in event.get(side) or []:
            yield from _names(dataset, side)
            yield from _facets(dataset.get("facets") or {}, side)


def _names(about: Any, place: str) -> Iterator[str]:
    namespace, name = about.get("namespace"), about.get("name")
    if not isinstance(namespace, str) or not NAMESPACE.fullmatch(namespace) or len(namespace) > COLUMN:
        yield f"{place}.namespace {namespace!r} is no NamespaceName"
    if not isinstance(name, str) or not name.strip():
        yield f"{place}.name is blank"
    elif place.endswith("job") and len(name) > COLUMN:
        yield f"{place}.name does not fit into its column"


def _facets(facets: Any, place: str) -> Iterator[str]:
    for name, facet in facets.items():
        if len(name) > COLUMN:
            yield f"{place}.facets.{name} does not fit into its column"
        if name in KNOWN_FACETS and not (_is_uri(facet.get("_producer")) and _is_uri(facet.get("_schemaURL"))):
            yield f"{place}.facets.{name} has no producer or schema"


def _is_time(text: object) -> bool:
    try:
        return isinstance(text, str) and datetime.fromisoformat(text).tzinfo is not None
    except ValueError:
        return False


def _is_uri(text: object) -> bool:
    return isinstance(text, str) and bool(urlsplit(text).scheme) and not re.search(r"\s", text)


def _is_uuid(text: object) -> bool:
    try:
        return isinstance(text, str) and len(text) == 36 and bool(UUID(text))
    except ValueError:
        return False
