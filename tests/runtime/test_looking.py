"""The pod that looks for a GPU task in the cache, and stage-in and stage-out of a task that is cached."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

import pytest

from mlgen.ledger.folding.spool import Spool
from mlgen.ledger.records.artifact import Artifact
from mlgen.ledger.records.entry import from_bytes
from mlgen.ledger.records.task import State, TaskRecord, pod_run_id
from mlgen.runtime.cache import entries as cache
from mlgen.runtime.cache import key as cache_key
from mlgen.runtime.cache.entries import Entry
from mlgen.runtime.cache.looking import look
from mlgen.runtime.clock import timestamp
from mlgen.runtime.ending import Ending, record_of
from mlgen.runtime.fans import gathering
from mlgen.runtime.fans.outcomes import latest
from mlgen.runtime.pod.contract import Places
from mlgen.runtime.pod.invocation import LookupPod
from mlgen.runtime.protocol import CacheDocument, Execution, In, Out, TaskDocument
from mlgen.store import Store, open_store
from mlgen.values import Type
from tests.local.runs import RealClock
from tests.rights import Rights

DOCUMENT = TaskDocument(
    "demo", "prod", "train", (In("raw", "input", Type.FILE), In("epochs", "value", Type.INTEGER)),
    (Out("model", Type.MODEL), Out("auc", Type.METRIC)), (), "artifacts", None, "img", "sha256:" + "1" * 64, 60,
    cache=CacheDocument((("env", "prod"), ("image", "sha256:" + "1" * 64), ("run", "x")), "month"), late=True,
)  # fmt: skip


def execution(raw: str, epochs: str = "20", month: str = "may") -> Execution:
    pod = {"podUid": str(uuid4()), "taskRun": "t"}
    return Execution(
        run="demo-x1", run_uid=str(uuid4()), run_id=pod_run_id(str(uuid4()), pod["podUid"]), attempt=0,
        ins={"raw": raw, "epochs": epochs}, gate_values={"params.month": month}, params={"month": month},
        spec_digest="sha256:" + "2" * 64, plan_digest="sha256:" + "3" * 64, commit=None, engine="tekton", tekton=pod,
    )  # fmt: skip


def made(store: Store, run: Execution, digest: str) -> TaskRecord:
    """What an earlier execution left, and its entry."""
    now = timestamp(datetime.now(UTC))
    key = cache_key.make(DOCUMENT, run, {"raw": digest})
    place = f"demo/{run.run}/train.12345678/model"
    store.put(place, b"weights")
    outputs = (Artifact("model", f"{store.uri}/{place}", "sha256:" + "4" * 64, 7, "text/plain", "model"),)
    inputs = (Artifact("raw", "elsewhere/raw", digest, 5, "text/plain", "file"),)
    ending = Ending(State.COMPLETE, "Succeeded", 0, None, now, now)
    record = record_of(
        DOCUMENT, run, ending, inputs=inputs, outputs=outputs, metrics={"auc": 0.9}, cache_key=key.digest
    )
    cache.keep(store, Entry(record, {"model": f"{place}@{'sha256:' + '4' * 64}", "auc": "0.9"}, key))
    return record


@pytest.fixture
def places(tmp_path: Path) -> Places:
    (tmp_path / "results").mkdir()
    return replace(Places(), results=tmp_path / "results")


def results(places: Places) -> tuple[str, str]:
    return (places.results / "run").read_text(), (places.results / "hit").read_text()


def asked(tmp_path: Path, places: Places, store: Store, pod: LookupPod) -> list[str]:
    said: list[str] = []
    look(pod, places, store, lambda uri: open_store(uri, base=tmp_path), clock=RealClock(), say=said.append)
    return said


def test_a_hit_is_recorded_and_told_to_readers(tmp_path: Path, places: Places) -> None:
    store = open_store("artifacts", base=tmp_path)
    (tmp_path / "raw.csv").write_text("a,b,\n")
    content = open_store(str(tmp_path), base=tmp_path).measure_artifact("raw.csv")
    original = made(store, execution("x"), content.digest)
    mine = execution(str(tmp_path / "raw.csv"))  # without a digest: read, to know it
    said = asked(tmp_path, places, store, LookupPod(DOCUMENT, mine, ("true", 'params.month == "may"'), look=True))
    assert results(places) == ("false", "true")
    assert "taken from the cache" in said[0]
    (data,) = Spool(store).get_all(Spool(store).waiting())
    assert isinstance(data, bytes)
    record = from_bytes(data)
    assert isinstance(record, TaskRecord)
    assert (record.state, record.original_run_id, record.run_id) == (State.COMPLETE, original.run_id, mine.run_id)
    assert (record.outputs, record.metrics) == (original.outputs, {"auc": 0.9})
    assert [artifact.uri for artifact in record.inputs] == [str(tmp_path / "raw.csv")]
    (outcome,) = gathering.read(store, "demo", mine.run_uid, "train")
    assert outcome.texts["auc"] == "0.9"
    assert store.keys(cache.CLAIMS) == []


def test_a_hit_whose_claim_may_not_be_taken_back_is_a_hit(places: Places, least: Rights) -> None:
    tmp_path, digest = places.results.parent, "sha256:" + "6" * 64
    store = open_store("artifacts", base=tmp_path)
    made(store, execution("x"), digest)
    asked(tmp_path, places, store, LookupPod(DOCUMENT, execution(f"s3://bucket/raw@{digest}"), ("true",), look=True))
    assert results(places) == ("false", "true")
    assert least.refused == store.keys(cache.CLAIMS) != []


def test_what_ran_counts_more_than_what_an_earlier_look_had_found(places: Places) -> None:
    """A look that was killed once it had told of a hit is made again, and finds nothing: then the task itself runs."""
    tmp_path, digest = places.results.parent, "sha256:" + "6" * 64
    store = open_store("artifacts", base=tmp_path)
    made(store, execution("x"), digest)
    mine = replace(execution(f"s3://bucket/raw@{digest}"), attempt=1)
    asked(tmp_path, places, store, LookupPod(DOCUMENT, mine, ("true",), look=True))
    now = timestamp(datetime.now(UTC))
    for attempt, state in enumerate([State.FAIL, State.COMPLETE]):
        own = replace(mine, run_id=pod_run_id(mine.run_uid, str(uuid4())), attempt=attempt)
        record = record_of(DOCUMENT, own, Ending(state, "Succeeded", 0, None, now, now), metrics={"auc": 0.5})
        gathering.put(store, record, {"model": None, "auc": "0.5"})
        (counts,) = latest(gathering.read(store, "demo", mine.run_uid, "train"))
        assert (counts.run_id, counts.state) == (own.run_id, state)


@pytest.mark.parametrize(
    ("conditions", "look_", "epochs", "ran"),
    [
        (("true",), True, "21", True),
        (("true",), False, "20", True),
        (("true", "false"), True, "20", False),
        (('params.month == "june"',), True, "20", False),
    ],
)
def test_a_miss_runs_and_a_gate_that_is_false_does_not(
    places: Places, conditions: tuple[str, ...], look_: bool, epochs: str, ran: bool
) -> None:
    tmp_path, digest = places.results.parent, "sha256:" + "6" * 64
    store = open_store("artifacts", base=tmp_path)
    made(store, execution("x"), digest)
    mine = execution(f"s3://bucket/raw@{digest}", epochs)
    asked(tmp_path, places, store, LookupPod(DOCUMENT, mine, conditions, look=look_))
    assert results(places) == ("true" if ran else "false", "false")
    assert Spool(store).waiting() == []
