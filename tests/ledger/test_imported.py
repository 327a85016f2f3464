"""Events of other producers in a ledger: where they lie, what is refused, and that readers of runs do not see them."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from mlgen import canonical, git
from mlgen.ledger.folding.fold import fold
from mlgen.ledger.folding.spool import Spool
from mlgen.ledger.records import entry, imported
from mlgen.ledger.records.fields import BadRecord, NewerFormat
from mlgen.ledger.records.imported import Dataset, ImportedEvent
from mlgen.ledger.records.runevent import to_bytes
from mlgen.ledger.stream import stream, stream_imported
from mlgen.store import Folder
from tests.ledger import records

RUN = "0190c6f0-33bd-7f4c-9d0a-8f3b5c1d2e4f"


def event(**changes: Any) -> dict[str, Any]:
    """What Spark's integration sends, as short as may be."""
    return {
        "eventTime": "2026-11-28T23:30:00.123456789-02:00",
        "eventType": "COMPLETE",
        "producer": "https://github.com/OpenLineage/OpenLineage/tree/1.40.0/integration/spark",
        "schemaURL": "https://openlineage.io/spec/2-0-2/OpenLineage.json#/$defs/RunEvent",
        "run": {"runId": RUN.upper(), "facets": {"parent": {"run": {"runId": RUN}}}},
        "job": {"namespace": "spark", "name": "etl.join"},
        "inputs": [{"namespace": "s3://lake", "name": "raw/2026.parquet"}],
        "outputs": [{"namespace": "s3://ml-data", "name": "churn/2026-10.csv", "facets": {}}],
        **changes,
    }


def test_an_event_says_where_it_lies() -> None:
    data = imported.mark(event(), "prod")
    found = entry.from_bytes(data)
    assert isinstance(found, ImportedEvent)
    assert found.path.startswith(f"imported/2026/11/29/{RUN}.")
    assert (found.env, found.run_id, found.parent) == ("prod", RUN, RUN)
    assert found.inputs == (Dataset("s3://lake", "raw/2026.parquet"),)
    assert found.outputs[0].uri == "s3://ml-data/churn/2026-10.csv"
    assert entry.path_of(data) == found.path
    assert imported.mark(event(), "prod") == data
    assert entry.path_of(imported.mark(event(), "dev")) != found.path
    assert imported.unmarked(json.loads(data)) == event()


def test_an_event_taken_from_another_ledger_is_marked_anew() -> None:
    first = json.loads(imported.mark(event(), "dev"))
    assert imported.mark(first, "prod") == imported.mark(event(), "prod")


@pytest.mark.parametrize(
    ("changes", "place"),
    [
        (json.loads(to_bytes(records.full())), r"run\.facets\.mlgen_task"),
        ({"run": {"runId": RUN, "facets": {"Mlgen_run": {}}}}, r"run\.facets\.Mlgen_run"),
        ({"job": {"namespace": "mlgen/prod", "name": "churn.train"}}, "job.namespace"),
        ({"job": {"namespace": " MLGEN", "name": "churn.train"}}, "job.namespace"),
        ({"producer": "https://mlgen.dev/mlgen/1.0"}, "producer"),
        ({"producer": "http://mlgen.dev"}, "producer"),
    ],
)
def test_nothing_poses_as_a_record_of_mlgen(changes: dict[str, Any], place: str) -> None:
    with pytest.raises(BadRecord, match=f"{place} is.* mlgen's own"):
        imported.mark(event(**changes), "prod")
    honest = imported.mark(event(), "prod")
    forged = canonical.encode({**json.loads(honest), **changes, "run": _marked(honest, changes)}) + b"\n"
    with pytest.raises(BadRecord):  # what somebody puts into a spool or ledger by hand
        entry.from_bytes(forged)


def _marked(honest: bytes, changes: dict[str, Any]) -> dict[str, Any]:
    run = json.loads(honest)["run"]
    return {**run, "facets": {**run["facets"], **changes.get("run", {}).get("facets", {})}}


@pytest.mark.parametrize(
    "changes", [{"job": {"namespace": "mlgenetics", "name": "x"}}, {"producer": "x://mlgen.dev.io"}]
)
def test_a_name_that_begins_like_mlgen_is_another_s(changes: dict[str, Any]) -> None:
    assert imported.mark(event(**changes), "prod")


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"eventTime": "2026-11-28T10:00:00"}, "eventTime"),
        ({"eventTime": "2026-02-30T10:00:00Z"}, "no calendar"),
        ({"eventTime": "0001-01-01T00:00:00+14:00"}, "no calendar"),
        ({"eventType": "DONE"}, "eventType"),
        ({"producer": "spark"}, "no URI"),
        ({"producer": "http://[x"}, "no URI"),
        ({"schemaURL": "RunEvent"}, "no URI"),
        ({"run": {"runId": "r1"}}, "no UUID"),
        ({"run": {"runId": RUN, "facets": []}}, "run.facets"),
        ({"job": {"namespace": "spark"}}, "job.name is missing"),
        ({"inputs": [{"name": "x"}]}, "inputs[0].namespace"),
        ({"outputs": {}}, "not a list"),
        ({"inputs": [{"namespace": "n", "name": "x"}] * 1001}, "datasets"),
        ({"more": "x" * imported.MAX_BYTES}, "bytes, more than"),
        ({"more": float("nan")}, "JSON"),
        ({"more": "\ud800"}, "surrogate pair"),
    ],
)
def test_what_is_no_run_event_is_refused(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(BadRecord, match=said.replace("[", r"\[").replace("]", r"\]")):
        imported.mark(event(**changes), "prod")


def test_an_old_producer_names_no_schema() -> None:
    old = event()
    del old["schemaURL"]
    assert imported.unmarked(json.loads(imported.mark(old, "prod"))) == old


def test_a_later_format_waits_for_a_later_mlgen() -> None:
    data = imported.mark(event(), "prod").replace(b"/facets/1/Mlgen", b"/facets/2/Mlgen")
    with pytest.raises(NewerFormat):
        entry.from_bytes(data)


def test_it_is_folded_like_all_and_no_reader_of_runs_sees_it(tmp_path: Path) -> None:
    repository = git.init_bare(tmp_path / "ledger.git")
    spool = Spool(Folder(tmp_path / "store", "store"))
    data = imported.mark(event(), "prod")
    for _ in range(2):
        spool.put_bytes(data)
        spool.put(records.task())
        folded = fold(spool, repository, "ledger", now=datetime(2026, 11, 29, tzinfo=UTC))
        assert not folded.refused
        assert not folded.conflicts
    assert folded.commit is not None
    assert sorted(folded.already) == sorted([entry.path_of(data), records.task().path])
    (stored,) = stream_imported(repository, folded.commit)
    assert stored.imported() == entry.from_bytes(data)
    with pytest.raises(BadRecord):
        stored.entry()
    message = repository.run("log", "-1", "--format=%s", folded.commit).decode()
    assert message == f"ledger: 1 record of r1.{records.uid('r1')[:8]}, 1 event from elsewhere\n"
    assert [one.entry() for one in stream(repository, folded.commit)] == [records.task()]


@pytest.mark.parametrize("scheme", ["s3", "s3a", "s3n", "S3A"])
def test_a_bucket_has_one_name_of_three(scheme: str) -> None:
    found = Dataset(f"{scheme}://ml-data", "churn/s3a://x.csv")
    assert found.uri == "s3://ml-data/churn/s3a://x.csv"
