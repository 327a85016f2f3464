"""`mlgen runs list|show|compare`: the runs that the ledger tells of."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from mlgen.cli import runs_text
from mlgen.cli.history import open_history
from mlgen.cli.main import new_app
from mlgen.cli.options import EnvOption, Format, FormatOption
from mlgen.cli.output import answer_json, width
from mlgen.cli.workspace import Workspace
from mlgen.ledger import query
from mlgen.local.rundir import find

app = new_app(no_args_is_help=True, help="List, show and compare runs, from the ledger.")

RunArgument = Annotated[str, typer.Argument(metavar="RUN", help="A run's name or uid, or how one of them begins.")]


@app.command("list")
def list_runs(
    *,
    pipeline: Annotated[str | None, typer.Option("--pipeline", metavar="NAME", help="Only runs of this one.")] = None,
    limit: Annotated[int, typer.Option("--limit", metavar="N", min=1, help="The most runs to list.")] = 50,
    env: EnvOption = "local",
    form: FormatOption = Format.TEXT,
) -> None:
    """List runs, those that ended last first."""
    history = open_history(env)
    if form is Format.JSON:
        answer_json(query.list_runs(history, pipeline=pipeline, limit=limit))
    else:
        sys.stdout.write(runs_text.listing(history, pipeline=pipeline, limit=limit, width=width(sys.stdout)))


@app.command()
def show(run: RunArgument, *, env: EnvOption = "local", form: FormatOption = Format.TEXT) -> None:
    """Show what a run did: its params, and what each task read, made and measured."""
    history = open_history(env)
    found = query.find_run(history, run)
    folder = find(Workspace.around().root, found.name, found.uid)
    if form is Format.JSON:
        answer_json(query.show_run(history, found))
    else:
        whys = {name: why for name, (_, why) in folder.skipped().items()} if folder else {}
        sys.stdout.write(runs_text.run(history, found, whys=whys, logs=folder is not None))


@app.command()
def compare(a: RunArgument, b: RunArgument, *, env: EnvOption = "local", form: FormatOption = Format.TEXT) -> None:
    """Show two runs side by side: params, metrics, values, artifacts, states."""
    history = open_history(env)
    found = query.compare_runs(history, query.find_run(history, a), query.find_run(history, b))
    if form is Format.JSON:
        answer_json(found)
    else:
        sys.stdout.write(runs_text.comparison(found))
