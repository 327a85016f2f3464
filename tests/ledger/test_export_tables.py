"""Exported tables, read back by the csv module and by pyarrow, and as a spreadsheet would take them."""

from __future__ import annotations

import csv
import io
import re
from datetime import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlgen.ledger.export import columnar, delimited
from mlgen.ledger.export.select import Selected
from mlgen.ledger.export.tables import TABLES, Kind
from mlgen.ledger.records.run import RunRecord

GUARDED = ("=", "+", "-", "@", "\t", "\r", "\n", "'", "＝")  # noqa: RUF001 - a wide one is meant


def table(every: list[Selected], name: str) -> list[dict[str, str]]:
    data = b"".join(delimited.lines(TABLES[name], iter(every)))
    assert data.count(b"\n") >= data.count(b"\r\n") > 0
    return list(csv.DictReader(io.StringIO(data.decode(), newline="")))


def unguarded(cell: str) -> str:
    return re.sub(r"(^|[;\t\r\n])'", r"\1", cell)


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
    assert text.startswith(f"'{start}")
    assert unguarded(text) == f"{start}1+1"


@pytest.mark.parametrize(
    ("cell", "text"),
    [("a;=1+1", "a;'=1+1"), ('x\t"@cmd', "x\t'\"@cmd"), ("x\n-1", "x\n'-1"), ("a;b c=1", "a;b c=1"), (";'=", ";''=")],
)
def test_nor_where_another_reader_ends_a_cell(cell: str, text: str) -> None:
    assert delimited._text(cell) == text
    assert unguarded(delimited._text(cell)) == cell


@given(st.text(alphabet=";\t\r\n'\"=-+@a1", max_size=12))
def test_the_apostrophes_can_be_taken_away(cell: str) -> None:
    assert unguarded(delimited._text(cell)) == cell


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
