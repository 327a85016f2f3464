"""The ledger in the forms of others, read back by what others read it with."""

from __future__ import annotations

import csv
import hashlib
import io
import json
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from mlgen.diagnostic import Misuse
from mlgen.ledger.export import columnar, delimited, events, slsa
from mlgen.ledger.export.select import Selected, Selection, select
from mlgen.ledger.export.tables import TABLES, Kind
from mlgen.ledger.record import Source
from mlgen.ledger.run import RunRecord
from mlgen.ledger.runevent import to_bytes
from tests.ledger import marquez, records
from tests.ledger.exported import LATER, NOW, Ledger, entries, land, selected, uid
from tests.ledger.test_openlineage import rebuilt, schema_errors, told

GUARDED = ("=", "+", "-", "@", "\t", "\r", "\n", "'", "＝")  # noqa: RUF001 - a wide one is meant


@pytest.fixture(scope="module")
def ledger(tmp_path_factory: pytest.TempPathFactory) -> Ledger:
    return land(tmp_path_factory.mktemp("ledger"), entries())


@pytest.fixture(scope="module")
def every(ledger: Ledger) -> list[Selected]:
    """All that is exported of it."""
    return selected(ledger)


def test_of_what_is_told_twice_one_counts(every: list[Selected]) -> None:
    assert not any(one.entry.reconciled for one in every)
    assert [one.path for one in every] == sorted(one.path for one in every)
    assert len(every) == len(entries()) - 2


def test_also_where_midnight_lies_between(tmp_path: Path) -> None:
    others = [records.task(f"o{day}", ended_at=f"2026-11-{day}T10:00:00Z") for day in range(20, 31)]
    own, other = records.run(), records.run(reconciled=True, ended_at="2026-11-30T23:00:00Z")
    ledger = land(tmp_path, [own, other, *others])
    assert [one.entry for one in selected(ledger) if isinstance(one.entry, RunRecord)] == [own]


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        ({"runs": ("r2",)}, ["ship-0"]),
        ({"runs": ("r2", "r1")}, ["run", "train-0", "train-1", "ship-0"]),
        ({"runs": (uid("r2"),)}, ["ship-0"]),
        ({"runs": (f"r2.{uid('r2')[:8]}",)}, ["ship-0"]),
        ({"runs": (uid("r2")[:6],)}, ["ship-0"]),
        ({"after": datetime.fromisoformat(LATER)}, ["ship-0"]),
        ({"after": datetime.fromisoformat(LATER) + timedelta(seconds=1)}, []),
        ({"after": datetime.fromisoformat("2026-11-28T12:00:05.5+02:00")}, ["run", "ship-0"]),
        ({"artifact": "cdcdcdcd"}, ["train-1"]),
        ({"artifact": "00" * 4}, []),
    ],
)
def test_what_is_wanted_is_selected(wanted: dict[str, Any], found: list[str], ledger: Ledger) -> None:
    chosen = (one.entry for one in selected(ledger, Selection(**wanted)))
    assert ["run" if isinstance(e, RunRecord) else f"{e.task}-{e.attempt}" for e in chosen] == found


@pytest.mark.parametrize(
    ("run", "code"), [("r3", "unknown-run"), ("r", "ambiguous-run"), ("", "unknown-run"), (uid("r3"), "unknown-run")]
)
def test_a_run_that_is_not_one(run: str, code: str, ledger: Ledger) -> None:
    with pytest.raises(Misuse) as refused:
        selected(ledger, Selection(runs=(run,)))
    assert refused.value.code == code


def test_since_a_commit_is_what_landed_after_it(tmp_path: Path) -> None:
    repository, first = land(tmp_path, entries()[:3])
    _, second = land(tmp_path, entries()[3:])
    found = list(select(repository, second, Selection(since=first), lambda *_: None))
    assert [one.path.rpartition("/")[2][:4] for one in found] == ["run.", "ship"]


def test_a_file_that_is_no_record_is_told_of(tmp_path: Path) -> None:
    repository, tip = land(tmp_path, entries())
    path = records.task("r3").path
    commit = repository.commit({path: b"{}\n"}, parent=tip, message="x\n", seconds=int(NOW.timestamp()))
    skipped: list[str] = []
    assert len(list(select(repository, commit, Selection(), lambda path, _: skipped.append(path)))) == 4
    assert skipped == [path]


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


def statements(every: list[Selected], artifact: str | None = None) -> list[dict[str, Any]]:
    return [json.loads(one.data) for one in slsa.statements(iter(every), artifact)]


def test_each_artifact_has_a_statement(every: list[Selected]) -> None:
    found = statements(every)
    assert [one["subject"][0]["name"] for one in found] == ["model", "data"]
    assert found[1]["subject"][0]["digest"] == {"sha256": "cd" * 32}
    assert len(statements(every, "cdcdcdcd")) == 1


def test_provenance_says_what_went_in(every: list[Selected]) -> None:
    build = statements(every)[0]["predicate"]["buildDefinition"]
    assert build["externalParameters"]["params"] == records.full().params
    digests = [one["digest"] for one in build["resolvedDependencies"]]
    assert {"gitCommit": "c" * 40} in digests
    assert {slsa.FOLDER_DIGEST: "ab" * 32} in digests
    assert [one.get("uri") for one in build["resolvedDependencies"]][3] == "oci://ghcr.io/acme/churn:1.8"


def test_a_folder_is_not_said_to_be_a_file(tmp_path: Path) -> None:
    folder = replace(records.artifact("model"), media_type=slsa.FOLDER_TYPE)
    repository, commit = land(tmp_path, [records.task(outputs=(folder,))])
    (one,) = slsa.statements(select(repository, commit, Selection(), lambda *_: None))
    assert json.loads(one.data)["subject"][0]["digest"] == {slsa.FOLDER_DIGEST: "ab" * 32}


def test_a_path_is_not_said_to_be_a_uri(every: list[Selected]) -> None:
    path, uri = (one["subject"][0] for one in (*statements(every, "abababab"), *statements(every, "cdcdcdcd")))
    assert uri["uri"] == "s3://b/data"
    assert path["uri"] == "s3://ml-artifacts/prod/churn/r1/train.0b/model"
    local = slsa._artifact(records.artifact("model"))
    assert "uri" not in local
    assert local["annotations"]["mlgen_path"] == ".mlgen/artifacts/churn/r1/model"


def test_what_no_standard_allows_is_not_said(tmp_path: Path) -> None:
    """A record may hold any text there."""
    odd = records.artifact("model", "s3://b/dt=1/a key %41 ü")
    source = Source("not a commit", "x.yaml", "https://git.example/a b")
    record = records.task(outputs=(odd,), source=source, image="an image", image_digest="sha256:none")
    ledger = land(tmp_path, [record])
    (statement,) = statements(selected(ledger))
    assert faults(statement) == []
    assert statement["subject"][0]["uri"] == "s3://b/dt=1/a%20key%20%2541%20%C3%BC"
    dependencies = statement["predicate"]["buildDefinition"]["resolvedDependencies"]
    assert dependencies[1:] == [{"name": "image", "uri": "oci://an%20image"}]


def test_the_record_that_says_so_can_be_found(every: list[Selected]) -> None:
    (record,) = statements(every, "cdcdcdcd")[0]["predicate"]["runDetails"]["byproducts"]
    (one,) = [one for one in every if one.path == record["name"]]
    assert record["digest"]["sha256"] == hashlib.sha256(one.data).hexdigest()


PROVENANCE = json.loads((Path(__file__).parents[1] / "data/in-toto/provenance-statement.json").read_bytes())


def faults(statement: object) -> list[str]:
    return [error.message for error in jsonschema.Draft202012Validator(PROVENANCE).iter_errors(statement)]


def test_every_statement_is_what_the_specifications_ask(every: list[Selected]) -> None:
    assert [faults(one) for one in statements(every)] == [[], []]


@pytest.mark.parametrize(
    "spoil",
    [
        lambda s: s["subject"].clear(),
        lambda s: s["subject"][0].pop("digest"),
        lambda s: s["subject"][0]["digest"].update(sha256="AB" * 32),
        lambda s: s["subject"][0].update(uri="a/path"),
        lambda s: s["predicate"]["buildDefinition"].pop("buildType"),
        lambda s: s["predicate"]["buildDefinition"]["resolvedDependencies"].append({"name": "x"}),
        lambda s: s["predicate"]["runDetails"]["builder"].clear(),
        lambda s: s["predicate"]["runDetails"]["metadata"].update(startedOn="yesterday"),
    ],
)
def test_that_schema_would_notice(spoil: Any, every: list[Selected]) -> None:
    statement = statements(every)[0]
    spoil(statement)
    assert faults(statement)


def test_in_toto_s_library_reads_every_statement(every: list[Selected]) -> None:
    json_format = pytest.importorskip("google.protobuf.json_format", reason="in-toto-attestation is not installed")
    from in_toto_attestation.predicates.provenance.v1 import provenance_pb2
    from in_toto_attestation.v1 import statement_pb2
    from in_toto_attestation.v1.statement import Statement

    for one in slsa.statements(iter(every)):
        # Strict: a field that the specification does not know is an error, as is one of another type.
        statement = json_format.Parse(one.data, statement_pb2.Statement())
        Statement.copy_from_pb(statement).validate()
        data = json.loads(one.data)
        predicate = json_format.ParseDict(data["predicate"], provenance_pb2.Provenance())
        assert predicate.build_definition.build_type == slsa.BUILD_TYPE
        assert predicate.run_details.builder.id.startswith(slsa.BUILDER)
        assert predicate.run_details.metadata.started_on.ToJsonString() == "2026-11-28T10:00:00Z"
        assert json_format.MessageToDict(predicate) == without_empty(data["predicate"])
        for part in (*data["subject"], *data["predicate"]["buildDefinition"]["resolvedDependencies"]):
            assert part.get("uri") or part.get("digest") or part.get("content")


def without_empty(value: Any) -> Any:
    """As protobuf writes it: numbers of a Struct are doubles, and nothing more is lost."""
    if isinstance(value, dict):
        return {key: without_empty(item) for key, item in value.items()}
    if isinstance(value, list):
        return [without_empty(item) for item in value]
    return float(value) if isinstance(value, int) and not isinstance(value, bool) else value


def table(every: list[Selected], name: str) -> list[dict[str, str]]:
    data = b"".join(delimited.lines(TABLES[name], iter(every)))
    assert data.count(b"\n") >= data.count(b"\r\n") > 0
    return list(csv.DictReader(io.StringIO(data.decode(), newline="")))


def unguarded(cell: str) -> str:
    return cell.removeprefix(delimited.GUARD)


@pytest.mark.parametrize("name", TABLES)
def test_csv_reads_back_to_the_same_cells(name: str, every: list[Selected]) -> None:
    rows = [row for one in every for row in TABLES[name].rows(one)]
    assert rows
    for row, cells in zip(rows, table(every, name), strict=True):
        for column, value in zip(TABLES[name].columns, row, strict=True):
            text = cells[column.name]
            match column.kind:
                case Kind.TEXT | Kind.TIME:
                    assert unguarded(text) == ("" if value is None else value)
                case Kind.BOOLEAN:
                    assert text == str(value).lower()
                case _:
                    assert (float(text) if text else None) == value


@pytest.mark.parametrize("name", TABLES)
def test_no_text_of_a_record_is_a_formula(name: str, every: list[Selected]) -> None:
    texts = [column.name for column in TABLES[name].columns if column.kind is Kind.TEXT]
    for row in table(every, name):
        assert not [row[column] for column in texts if row[column].startswith(GUARDED[:-2]) and row[column] != "-1"]


@pytest.mark.parametrize("start", GUARDED)
def test_what_a_spreadsheet_takes_for_a_formula_is_a_text(start: str) -> None:
    text = delimited._text(f"{start}1+1")
    assert text == f"'{start}1+1"
    assert unguarded(text) == f"{start}1+1"


def test_numbers_stay_numbers(every: list[Selected]) -> None:
    values = {row["name"]: row["value"] for row in table(every, "metrics")}
    assert values == {"auc": "0.91", "loss": "-1.5e-07", "broken": ""}
    (run,) = {(row["name"], row["type"], row["value"]) for row in table(every, "params") if row["name"] == "deep"}
    assert run == ("deep", "json", '{"a":[1,null,true]}')


@pytest.mark.parametrize(("cell", "text"), [("-1", "-1"), ("-1.5e-07", "-1.5e-07"), ("-1+2", "'-1+2"), ("-", "'-")])
def test_a_number_below_zero_is_no_formula(cell: str, text: str) -> None:
    assert delimited._text(cell) == text


def test_columns_stay_where_they_are() -> None:
    """A change here breaks somebody's sheet: new columns come last."""
    assert {name: [column.name for column in one.columns][:9] for name, one in TABLES.items()} == {
        **{
            name: ["env", "pipeline", "run", "run_uid", "task", "attempt", "run_id", "state", "ended_at"]
            for name in ("executions", "metrics", "values", "artifacts")
        },
        "runs": ["env", "pipeline", "run", "run_uid", "state", "ended_at", "started_at", "seconds", "spec_digest"],
        "params": ["env", "pipeline", "run", "run_uid", "state", "ended_at", "name", "type", "value"],
    }


@pytest.mark.parametrize("name", TABLES)
def test_parquet_reads_back_to_the_same_cells(name: str, every: list[Selected]) -> None:
    pq = pytest.importorskip("pyarrow.parquet", reason="pyarrow is not installed: pip install 'mlgen[parquet]'")
    rows = [row for one in every for row in TABLES[name].rows(one)]
    file = io.BytesIO()
    assert columnar.write(TABLES[name], iter(every), file) == len(rows)
    found = pq.read_table(io.BytesIO(file.getvalue()))
    columns = TABLES[name].columns
    assert found.column_names == [column.name for column in columns]
    for row, got in zip(rows, found.to_pylist(), strict=True):
        wanted = [
            datetime.fromisoformat(str(value)) if column.kind is Kind.TIME else value
            for column, value in zip(columns, row, strict=True)
        ]
        assert list(got.values()) == wanted


def test_a_table_without_rows_has_its_columns(every: list[Selected]) -> None:
    pq = pytest.importorskip("pyarrow.parquet", reason="pyarrow is not installed: pip install 'mlgen[parquet]'")
    file = io.BytesIO()
    assert columnar.write(TABLES["runs"], iter(()), file) == 0
    assert pq.read_table(io.BytesIO(file.getvalue())).column_names[0] == "env"
    assert b"".join(delimited.lines(TABLES["runs"], iter(()))).startswith(b"env,pipeline,run,run_uid,state,")


def test_a_record_is_of_one_kind(every: list[Selected]) -> None:
    for one in every:
        kinds = {name for name, table in TABLES.items() if any(True for _ in table.rows(one))}
        of_runs = {name for name, table in TABLES.items() if table.of_runs}
        assert kinds <= (of_runs if isinstance(one.entry, RunRecord) else set(TABLES) - of_runs)
