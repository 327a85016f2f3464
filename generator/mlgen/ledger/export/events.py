"""OpenLineage events as others send them: a START for each end, of executions and of the runs that they are part of.

A record is the event that ends an execution, and goes out as it lies in the ledger, byte for byte. What a standard
reader misses is made from it here. Datasets have the names that OpenLineage's naming rules give them already
(`mlgen.ledger.records.artifact`).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from typing import Any

from mlgen import canonical
from mlgen.ledger.export.select import Selected
from mlgen.ledger.records import imported
from mlgen.ledger.records import run as run_json
from mlgen.ledger.records.fields import BadRecord
from mlgen.ledger.records.run import RunRecord
from mlgen.ledger.records.runevent import OPENLINEAGE, OUR_FACETS, PRODUCER
from mlgen.ledger.records.task import TaskRecord
from mlgen.ledger.stream import Stored

FORMAT = 1


def lines(selected: Iterator[Selected]) -> Iterator[bytes]:
    """NDJSON: START and then COMPLETE, FAIL or ABORT of each execution and run, in the order of the ledger's paths."""
    for one in selected:
        if isinstance(one.entry, TaskRecord):
            yield _line(_start(json.loads(one.data), one.entry.started_at))
            yield one.data if _is_line(one.data) else _line(json.loads(one.data))
        else:
            for event in run_events(one.entry):
                yield _line(event)


def imported_lines(
    events: Iterator[Stored], on_skipped: Callable[[str, str], None], after: datetime | None = None
) -> Iterator[bytes]:
    """NDJSON: the events of other producers, as these wrote them. on_skipped and after: as of `select`."""
    for stored in events:
        try:
            event = stored.imported()
        except BadRecord as error:
            on_skipped(stored.path, str(error))
            continue
        if after is None or event.at >= after:
            yield _line(imported.unmarked(json.loads(stored.blob.data)))


def run_events(run: RunRecord) -> Iterator[dict[str, Any]]:
    """The START and the end of a run as a whole: the parent that its executions name."""
    end: dict[str, Any] = {
        "eventTime": run.ended_at,
        "eventType": str(run.state),
        "producer": PRODUCER,
        "schemaURL": OPENLINEAGE,
        "run": {"runId": run.uid, "facets": {"mlgen_run": _run_facet(run)}},
        "job": {"namespace": f"mlgen/{run.env}", "name": run.pipeline, "facets": {}},
        "inputs": [],
        "outputs": [],
    }
    yield _start(end, run.started_at)
    yield end


def _run_facet(run: RunRecord) -> dict[str, Any]:
    """run.json, as a facet."""
    return {
        "_producer": PRODUCER,
        "_schemaURL": f"{OUR_FACETS}/{FORMAT}/MlgenRunFacet.json",
        **run_json.to_json(run),
    }


def _start(end: Mapping[str, Any], started_at: str) -> dict[str, Any]:
    """The event that began what another ended: same run, job and inputs. Nothing is known of its end yet."""
    facets = end["run"]["facets"]
    kept = {"parent": facets["parent"]} if "parent" in facets else {}
    run = {**end["run"], "facets": kept}
    return {**end, "eventTime": started_at, "eventType": "START", "run": run, "outputs": []}


def _line(event: Mapping[str, Any]) -> bytes:
    return canonical.encode(event) + b"\n"


def _is_line(data: bytes) -> bool:
    return data.endswith(b"\n") and data.count(b"\n") == 1
