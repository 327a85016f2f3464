"""A table as Parquet, with its types: for pandas, DuckDB and Spark. Needs the extra `mlgen[parquet]`."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain, islice
from typing import IO, Any

from mlgen.diagnostic import Misuse
from mlgen.ledger.export.select import Selected
from mlgen.ledger.export.tables import Kind, Table
from mlgen.ledger.questions.read import moment

ROWS = 10_000  # of a row group: all that is in memory at once


def write(table: Table, selected: Iterator[Selected], file: IO[bytes]) -> int:
    """Write a table to a file, and return the count of its rows. Raises Misuse "no-parquet"."""
    try:
        # Here: an extra, which few have, and 100 ms that nobody else wants to wait.
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ImportError:
        fix = "pip install 'mlgen[parquet]'"
        raise Misuse("no-parquet", "Parquet needs pyarrow, which is not installed", fix=fix) from None
    kinds = {
        Kind.TEXT: pa.string(),
        Kind.INTEGER: pa.int64(),
        Kind.NUMBER: pa.float64(),
        Kind.BOOLEAN: pa.bool_(),
        Kind.TIME: pa.timestamp("us", tz="UTC"),
    }
    schema = pa.schema([(column.name, kinds[column.kind]) for column in table.columns])
    times = [at for at, column in enumerate(table.columns) if column.kind is Kind.TIME]
    rows = chain.from_iterable(map(table.rows, selected))
    count = 0
    with pq.ParquetWriter(file, schema, compression="zstd") as writer:
        while page := list(islice(rows, ROWS)):
            columns: list[list[Any]] = [list(column) for column in zip(*page, strict=True)]
            for at in times:
                columns[at] = [moment(time) for time in columns[at]]
            arrays = [pa.array(cells, field.type) for cells, field in zip(columns, schema, strict=True)]
            writer.write_table(pa.Table.from_arrays(arrays, schema=schema))
            count += len(page)
    return count
