"""`mlgen ledger export`: the ledger in the forms of others, on stdout or in files, with little memory."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from enum import StrEnum
from itertools import chain
from pathlib import Path
from typing import Annotated

import typer

from mlgen.cli.ledgers.records import open_records
from mlgen.cli.options import EnvOption
from mlgen.cli.output import note
from mlgen.cli.projects.workspace import Workspace
from mlgen.cli.streamed import opened, text_to
from mlgen.diagnostic import Misuse
from mlgen.git import GitError, Repository, branch_ref
from mlgen.ledger.export import columnar, delimited, events, slsa
from mlgen.ledger.export.select import Selected, Selection, select
from mlgen.ledger.export.tables import TABLES, Cell, Table
from mlgen.ledger.faults import broken
from mlgen.ledger.stream import stream_imported

_TIME = re.compile(r"\d{4}-\d\d-\d\d([T ].*)?")


class ExportFormat(StrEnum):
    """In whose form."""

    OPENLINEAGE = "openlineage"
    SLSA = "slsa"
    CSV = "csv"
    PARQUET = "parquet"


class TableName(StrEnum):
    """Of what a row tells. The tables themselves: `mlgen.ledger.export.tables`."""

    EXECUTIONS = "executions"
    RUNS = "runs"
    PARAMS = "params"
    METRICS = "metrics"
    VALUES = "values"
    ARTIFACTS = "artifacts"


def export(
    form: Annotated[ExportFormat, typer.Argument(metavar="FORMAT", help="openlineage, slsa, csv or parquet.")],
    *,
    table: Annotated[
        TableName | None, typer.Option("--table", help="Of csv and parquet; executions where none is named.")
    ] = None,
    run: Annotated[
        list[str] | None, typer.Option("--run", metavar="RUN", help="Only this run; may be given more than once.")
    ] = None,
    since: Annotated[
        str | None,
        typer.Option("--since", metavar="T|COMMIT", help="Only what ended since a time, or landed since a commit."),
    ] = None,
    artifact: Annotated[
        str | None,
        typer.Option("--artifact", metavar="DIGEST", help="Only what made or read it; 8 hex digits or more."),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option("--out", metavar="PATH", help="A file; for slsa a folder, with a file for each artifact."),
    ] = None,
    env: EnvOption = "local",
) -> None:
    """Give the ledger in a form that others read.

    openlineage: events, one a line, START and end of each. slsa: in-toto statements with SLSA provenance, unsigned, one
    a line or a file.
    csv, parquet: tables.
    """
    digits = None if artifact is None else _digits(artifact)
    _check(form, table, digits, out)
    records = open_records(Workspace.around(), env)
    records.catch_up()
    repository = records.repository
    tally = _Tally()
    try:
        commit = repository.tip(branch_ref(records.branch)) if repository else None
        if repository is None or commit is None:
            note("the ledger has no records yet")
            return
        selection = _selection(repository, tuple(run or ()), since, digits)
        export = _Export(repository, commit, selection, tally)
        export.write(form, tally.table(TABLES[table or TableName.EXECUTIONS]), out)
    except GitError as error:
        raise broken(records.branch, str(error)) from None
    if tally.skipped:
        note(f"{tally.skipped} of the ledger's files cannot be read here, such as {tally.example}")
    if digits is not None and not tally.records:
        raise Misuse("unknown-artifact", f"no record that was asked for names {artifact}", fix="`mlgen runs show RUN`")
    others = f", {_count(tally.events, 'event')} of other producers" if tally.events else ""
    count = _count(tally.records, "record")
    if form in (ExportFormat.CSV, ExportFormat.PARQUET):
        count = f"{_count(tally.rows, 'row')} of {count}"
    note(f"{count}{others}; of the ledger at {commit}")


def _count(number: int, what: str) -> str:
    return f"{number:,} {what}{'' if number == 1 else 's'}"


def _digits(digest: str) -> str:
    found = digest.removeprefix("sha256:").lower()
    if not re.fullmatch("[0-9a-f]{8,64}", found):
        raise Misuse("bad-option", f'--artifact: "{digest[:80]}" is no digest', fix="sha256: and 8 hex digits or more")
    return found


def _check(form: ExportFormat, table: TableName | None, digits: str | None, out: Path | None) -> None:
    """Raises Misuse for options that exclude each other."""
    if table is not None and form not in (ExportFormat.CSV, ExportFormat.PARQUET):
        raise Misuse("options", f"--table is for csv and parquet: {form} has no tables", fix="leave it out")
    if table is not None and digits is not None and TABLES[table].of_runs:
        raise Misuse("options", f'"{table}" tells of whole runs, which name no artifact', fix="leave one of both out")
    if form is ExportFormat.PARQUET and out is None and sys.stdout.isatty():
        raise Misuse("options", "Parquet is no text for a terminal", fix="say --out FILE")


def _selection(repository: Repository, runs: tuple[str, ...], since: str | None, digits: str | None) -> Selection:
    if since is None:
        return Selection(runs, artifact=digits)
    if _TIME.fullmatch(since):
        try:
            time = datetime.fromisoformat(since)
        except ValueError:
            raise Misuse("bad-option", f"--since: no calendar has {since[:80]}") from None
        return Selection(runs, after=time if time.tzinfo else time.replace(tzinfo=UTC), artifact=digits)
    commit = repository.resolve(since)
    if commit is None:
        fix = "2026-01-31, 2026-01-31T12:00:00Z, or a commit of the ledger"
        raise Misuse("bad-option", f'--since: "{since[:80]}" is neither a time nor a commit', fix=fix)
    return Selection(runs, since=commit, artifact=digits)


@dataclass(slots=True)
class _Tally:
    """What came by. rows: of a table. events: of others. example: the first file that is no record, and why."""

    records: int = 0
    rows: int = 0
    events: int = 0
    skipped: int = 0
    example: str = ""

    def skip(self, path: str, reason: str) -> None:
        self.skipped += 1
        self.example = self.example or f"{path}: {reason}"

    def each(self, selected: Iterator[Selected]) -> Iterator[Selected]:
        for one in selected:
            self.records += 1
            yield one

    def table(self, table: Table) -> Table:
        """The table, whose rows are counted."""

        def rows(one: Selected) -> Iterator[tuple[Cell, ...]]:
            for row in table.rows(one):
                self.rows += 1
                yield row

        return replace(table, rows=rows)


@dataclass(frozen=True, slots=True)
class _Export:
    repository: Repository
    commit: str
    selection: Selection
    tally: _Tally

    def write(self, form: ExportFormat, table: Table, out: Path | None) -> None:
        selected = self.tally.each(select(self.repository, self.commit, self.selection, self.tally.skip))
        if form is ExportFormat.SLSA and out is not None:
            _write_each(slsa.statements(selected, self.selection.artifact), out)
            return
        # Before a file is made: what is asked wrongly shows at the first record.
        selected = chain([first], selected) if (first := next(selected, None)) else iter(())
        with opened(out) as file:
            if form is ExportFormat.PARQUET:
                columnar.write(table, selected, file)
                return
            write = text_to(file)
            for chunk in self._chunks(form, table, selected):
                write(chunk)

    def _chunks(self, form: ExportFormat, table: Table, selected: Iterator[Selected]) -> Iterator[bytes]:
        if form is ExportFormat.CSV:
            yield from delimited.lines(table, selected)
        elif form is ExportFormat.SLSA:
            yield from (one.data for one in slsa.statements(selected, self.selection.artifact))
        else:
            yield from events.lines(selected)
            yield from self._imported()

    def _imported(self) -> Iterator[bytes]:
        """Events of other producers are of no run of mlgen's, and have no digests."""
        chosen = self.selection
        if chosen.runs or chosen.artifact:
            return
        stored = stream_imported(
            self.repository,
            self.commit,
            since=chosen.since,
            wanted=lambda path: chosen.takes_day(path[len("imported/") :][:10]),
        )
        for line in events.imported_lines(stored, self.tally.skip, chosen.after):
            self.tally.events += 1
            yield line


def _write_each(statements: Iterator[slsa.Statement], folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for one in statements:
        with opened(folder / one.name) as file:
            file.write(one.data)
