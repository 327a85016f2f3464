"""A table as CSV (RFC 4180): for spreadsheets, which take some texts for programs."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator

from mlgen.ledger.export.select import Selected
from mlgen.ledger.export.tables import Cell, Table

# Where a spreadsheet begins a formula: at the start of a cell, and where another reader than RFC 4180's would begin one
# (half of Europe splits at semicolons). Signs in both widths, and what is skipped before one. Source: OWASP, "CSV
# Injection". An apostrophe makes a text of it; it is doubled where one is, so that a program can take it away again.
_FORMULA = re.compile("(?:^|(?<=[;\t\r\n]))(?=\"*[-=+@\t\r\n'＝＋－＠])")  # noqa: RUF001 - the wide ones are meant
GUARD = "'"
_NUMBER = re.compile(r"-\d+(\.\d+)?([eE][+-]?\d+)?", re.ASCII)  # begins like a formula, and is none


def lines(table: Table, selected: Iterator[Selected]) -> Iterator[bytes]:
    """A header and the rows, in UTF-8, each line ended by CRLF. Numbers are bare; what is not known is empty."""
    import csv  # here: what a pod loads stays small, and none exports

    page = io.StringIO(newline="")
    writer = csv.writer(page)  # its default, "excel", is RFC 4180
    writer.writerow([column.name for column in table.columns])
    for one in selected:
        for row in table.rows(one):
            writer.writerow([_text(cell) for cell in row])
        if page.tell() > 1 << 16:
            yield page.getvalue().encode()
            page.seek(0)
            page.truncate()
    yield page.getvalue().encode()


def _text(cell: Cell) -> str:
    match cell:
        case None:
            return ""
        case bool():
            return "true" if cell else "false"
        case str():
            return cell if _NUMBER.fullmatch(cell) else _FORMULA.sub(GUARD, cell)
        case _:
            return repr(cell)
