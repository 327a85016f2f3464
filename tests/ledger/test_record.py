from __future__ import annotations

import json
from uuid import UUID, uuid5

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlgen.ledger.records import run
from mlgen.ledger.records.artifact import dataset_name, uri_of
from mlgen.ledger.records.entry import Entry, from_bytes, path_of, record_from_bytes, to_bytes
from mlgen.ledger.records.fields import BadRecord, NewerFormat
from mlgen.ledger.records.run import Given
from mlgen.ledger.records.task import (
    MAX_BYTES,
    MOST_BYTES,
    RecordTooLarge,
    Source,
    local_run_id,
    pod_run_id,
    reconciled_run_id,
)
from tests.ledger import records

EVERY: list[Entry] = [
    *records.every_kind(),
    records.run(),
    records.run(reconciled=True, commit="c" * 40),
    records.run(given=Given(("epochs",), {"raw": "s3://b/raw@sha256:0"})),
    records.run(given=Given()),
]


@pytest.mark.parametrize("record", EVERY)
def test_a_record_survives_its_bytes(record: Entry) -> None:
    data = to_bytes(record)
    assert from_bytes(data) == record
    assert to_bytes(record_from_bytes(data)) == data
    assert data.endswith(b"}\n")
    assert path_of(data) == record.path


def test_where_records_lie() -> None:
    record = records.task(run="nightly-7", name="train", attempt=2)
    uid = records.uid("nightly-7")[:8]
    assert record.path == f"runs/2026/11/28/local/nightly-7.{uid}/train-2.{record.run_id[:8]}.json"
    assert records.run("nightly-7").path == f"runs/2026/11/28/local/nightly-7.{uid}/run.json"
    assert records.run("nightly-7", reconciled=True).path.endswith("/run.reconciled.json")
    assert records.task(ended_at="2027-01-01T00:00:00Z").path.startswith("runs/2027/01/01/")


def test_the_ids_of_executions() -> None:
    run, task_run, pod = (str(UUID(int=n)) for n in (1, 2, 3))
    assert local_run_id(run, "train", 1) == str(uuid5(UUID(run), "train/1"))
    assert pod_run_id(task_run, pod) == str(uuid5(UUID(task_run), pod))
    assert reconciled_run_id(task_run, 0) == str(uuid5(UUID(task_run), "attempt-0"))


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)
TIMES = st.datetimes().map(lambda t: t.isoformat(timespec="milliseconds") + "Z")


@given(
    values=st.dictionaries(st.text(), JSON, max_size=3),
    text=st.text(),
    time=TIMES,
    code=st.none() | st.integers(-1, 255),
)
@settings(max_examples=60, deadline=None)
def test_any_record_survives_its_bytes(values: dict[str, object], text: str, time: str, code: int | None) -> None:
    record = records.task(params=values, values=values, reason=text, ended_at=time, exit_code=code, image=text)
    assert from_bytes(to_bytes(record)) == record


def test_an_error_keeps_its_end() -> None:
    said = json.loads(to_bytes(records.task(error="x" * 10_000 + "the cause")))
    assert said["run"]["facets"]["errorMessage"]["message"].endswith("the cause")
    assert len(said["run"]["facets"]["errorMessage"]["message"]) == 4000


def test_a_record_that_is_too_large_says_what_to_shorten() -> None:
    with pytest.raises(RecordTooLarge, match=r"more than 65,536: shorten params config,"):
        to_bytes(records.task(params={"a": 1, "config": "x" * MAX_BYTES}))
    with pytest.raises(RecordTooLarge, match="the list of ins and outs"):
        to_bytes(records.task(outputs=tuple(records.artifact(f"i{n}") for n in range(400))))
    with pytest.raises(RecordTooLarge, match="more than 1,048,576: shorten the params config"):
        to_bytes(records.run(params={"config": "x" * run.MAX_BYTES}))


@pytest.mark.parametrize("value", [float("nan"), float("inf"), "\ud800"])
def test_what_no_reader_takes_is_not_written(value: object) -> None:
    entries: list[Entry] = [records.task(values={"x": value}), records.run(params={"x": value})]
    for record in entries:
        with pytest.raises(BadRecord, match="cannot be written"):
            to_bytes(record)


def test_a_run_keeps_its_labels_and_owner() -> None:
    told = records.run(labels={"cost-center": "cc-4411", "acme.example/team": "risk"}, owner="risk-team")
    assert from_bytes(to_bytes(told)) == told


def test_a_run_of_an_earlier_mlgen_has_no_labels() -> None:
    data = json.loads(to_bytes(records.run()))
    del data["labels"], data["owner"]
    assert from_bytes(json.dumps(data).encode()) == records.run()


@pytest.mark.parametrize("change", [{"labels": []}, {"labels": {"a": 1}}, {"labels": "a"}, {"owner": 7}])
def test_labels_are_texts(change: dict[str, object]) -> None:
    with pytest.raises(BadRecord, match=next(iter(change))):
        from_bytes(json.dumps(json.loads(to_bytes(records.run())) | change).encode())


def test_where_the_source_is() -> None:
    source = Source("c" * 40, "pipelines/a b.yaml", "https://git.example/acme/ml.git")
    assert source.url == f"https://git.example/acme/ml/blob/{'c' * 40}/pipelines/a%20b.yaml"
    assert Source("c" * 40, "p.yaml").url == f"urn:git:{'c' * 40}:p.yaml"


@pytest.mark.parametrize(
    ("uri", "dataset"),
    [
        ("s3://ml-data/churn/a.csv", ("s3://ml-data", "churn/a.csv")),
        ("gs://b/k", ("gs://b", "k")),
        (".mlgen/artifacts/churn/r1/model", ("file", ".mlgen/artifacts/churn/r1/model")),
        ("/mnt/big/x", ("file", "/mnt/big/x")),
    ],
)
def test_artifacts_are_datasets(uri: str, dataset: tuple[str, str]) -> None:
    assert dataset_name(uri) == dataset
    assert uri_of(*dataset) == uri
    assert dataset_name("file:///mnt/big/x") == ("file", "/mnt/big/x")


def changed(record: Entry, *route: str, to: object) -> bytes:
    data = json.loads(to_bytes(record))
    *parents, last = route
    inner = data
    for key in parents:
        inner = inner[key]
    inner[last] = to
    return json.dumps(data).encode()


TASK = ("run", "facets", "mlgen_task")


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"", "not JSON"),
        (b"[]", "not an object"),
        (b"[" * 60_000, "not JSON|nested too deep"),
        (b'{"a": ' * 9_000 + b"1" + b"}" * 9_000, "nested too deep"),
        (b"\xff", "not JSON"),
        (b'{"eventType": NaN}', "NaN"),
        (b'{"eventType": 1e999}', "too large"),
        (b'{"eventType": "COMPLETE", "eventType": "FAIL"}', "twice"),
        (b'{"eventType": "\\ud800"}', "not JSON"),
        (b" " * (MOST_BYTES + 1), "more than 4,194,304"),
        (changed(records.task(), *TASK, "future", to="x" * MAX_BYTES), "more than 65,536"),
        (b"{}", "tasks is missing"),
        (b'{"eventType": "COMPLETE"}', "run is not an object"),
        (changed(records.task(), "eventType", to="START"), "eventType is 'START'"),
        (changed(records.task(), "eventTime", to="2026-11-27T10:00:05Z"), "eventTime"),
        (changed(records.task(), "job", "name", to="other.train"), "job.name"),
        (changed(records.task(), "run", "runId", to="../../etc/passwd"), "runId"),
        (changed(records.task(), *TASK, "run", to=".."), "run.facets.mlgen_task.run is"),
        (changed(records.task(), *TASK, "run", to="a/b"), "run is"),
        (changed(records.task(), *TASK, "env", to="a\n"), "env is"),
        (changed(records.task(), *TASK, "task", to="Train"), "task is"),
        (changed(records.task(), *TASK, "attempt", to=True), "attempt is not a count"),
        (changed(records.task(), *TASK, "endedAt", to="2026-13-01T00:00:00Z"), "no calendar"),
        (changed(records.task(), *TASK, "endedAt", to="2026-11-28T10:00:05+02:00"), "endedAt"),
        (changed(records.task(), *TASK, "specDigest", to="sha256:0"), "specDigest"),
        (changed(records.task(), *TASK, "params", to=[]), "params is not an object"),
        (changed(records.task(), *TASK, "_schemaURL", to="https://other.example/1/x"), "not of mlgen"),
        (changed(records.task(), "inputs", to={}), "inputs is not a list"),
        (changed(records.task(), "outputs", to=[{"namespace": "file", "name": "x"}]), r"outputs\[0\].facets"),
        (changed(records.run(), "uid", to="r1"), "uid"),
        (changed(records.run(), "state", to="Succeeded"), "state is 'Succeeded'"),
        (changed(records.run(), "tasks", to={"../x": {"status": "None", "reason": ""}}), "no task's name"),
    ],
)
def test_what_is_no_record(data: bytes, says: str) -> None:
    with pytest.raises(BadRecord, match=says) as error:
        from_bytes(data)
    assert not isinstance(error.value, NewerFormat)


def test_a_newer_mlgen_is_told_apart() -> None:
    url = "https://mlgen.dev/spec/facets/2/MlgenTaskRunFacet.json"
    for data in (changed(records.task(), *TASK, "_schemaURL", to=url), changed(records.run(), "version", to=2)):
        with pytest.raises(NewerFormat, match="upgrade mlgen"):
            from_bytes(data)


def test_unknown_fields_are_ignored() -> None:
    data = changed(records.task(), *TASK, "carbon", to={"grams": 3})
    assert from_bytes(data) == records.task()
    assert path_of(data) == records.task().path


@given(st.binary(max_size=200) | st.from_regex(rb'\{"(eventType|run)": .{0,40}\}', fullmatch=True))
@settings(max_examples=100, deadline=None)
def test_any_bytes_are_a_record_or_refused(data: bytes) -> None:
    with pytest.raises(BadRecord):
        from_bytes(data)


@given(st.data())
@settings(max_examples=150, deadline=None)
def test_any_change_of_a_field_is_read_or_refused(data: st.DataObject) -> None:
    whole = json.loads(to_bytes(data.draw(st.sampled_from(EVERY))))
    inner: object = whole
    while isinstance(inner, dict | list) and inner:
        parent, key = inner, data.draw(st.sampled_from(list(inner) if isinstance(inner, dict) else range(len(inner))))
        inner = parent[key]
        if data.draw(st.booleans()):
            break
    parent[key] = data.draw(JSON)
    try:
        found = record_from_bytes(json.dumps(whole).encode())
    except BadRecord:
        return
    assert ".." not in found.path.split("/")
    assert found == from_bytes(to_bytes(found))
