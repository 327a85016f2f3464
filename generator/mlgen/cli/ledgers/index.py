"""`mlgen ledger index`: the index that questions are answered from. It keeps itself up to date; this says so."""

from __future__ import annotations

import sys
from typing import Annotated, Any

import typer

from mlgen.cli.clock import SystemClock
from mlgen.cli.ledgers.history import answered, tell_skipped
from mlgen.cli.ledgers.records import open_records
from mlgen.cli.options import EnvOption, Format, FormatOption
from mlgen.cli.output import answer_json
from mlgen.cli.projects.workspace import Workspace
from mlgen.diagnostic import visible
from mlgen.ledger.index.kept import Opened


def index(
    *,
    rebuild: Annotated[bool, typer.Option("--rebuild", help="Throw it away and build it again.")] = False,
    env: EnvOption = "local",
    form: FormatOption = Format.TEXT,
) -> None:
    """Bring the index of the ledger up to date, and say where it is. Every question does so by itself."""
    records = open_records(Workspace.around(), env)
    records.catch_up()
    clock = SystemClock()
    began = clock.monotonic()
    answer = answered(records, lambda found: _about(found, clock.monotonic() - began), anew=rebuild)
    if form is Format.JSON:
        answer_json(answer)
        return
    what = "built" if answer["built"] else "refreshed" if answer["read"] else "up to date"
    lines = [
        f"index    {answer['index'] or 'none is kept'}",
        f"records  {answer['records']:,} of {answer['runs']:,} runs",
        f"{what}: {answer['read']:,} files read in {answer['seconds']:.2f} s",
        f"ledger  {answer['ledger'] or 'empty'}",
    ]
    sys.stdout.write("".join(f"{visible(line)}\n" for line in lines))


def _about(found: Opened, seconds: float) -> dict[str, Any]:
    tell_skipped(found.history)
    return {
        "index": None if found.file is None else str(found.file),
        "sizeBytes": None if found.file is None else found.file.stat().st_size,
        "runs": found.history.count("run"),
        "records": found.history.files,
        "skipped": found.history.count("skipped"),
        "read": found.files,
        "built": found.built,
        "seconds": round(seconds, 3),
        **found.history.rests_on,
    }
