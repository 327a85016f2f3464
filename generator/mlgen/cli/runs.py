"""`mlgen runs list|show|compare`: the runs that the ledger tells of."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from mlgen.cli import runs_text
from mlgen.cli.history import open_history
from mlgen.cli.main import new_app
from mlgen.cli.options import EnvOption, Format, FormatOption
from mlgen.cli.output import answer_json, note, width
from mlgen.cli.records import open_records
from mlgen.cli.workspace import Workspace
from mlgen.diagnostic import Misuse
from mlgen.ledger import query
from mlgen.local.rundir import find
from mlgen.spec.project import Environment

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
    environment = open_records(Workspace.around(), env).environment
    try:
        found = query.find_run(history, run)
    except Misuse as unknown:
        raise _going(environment, run) or unknown from None
    if found.record is None and (more := _going(environment, found.name)):
        note(f"{more.message}: {more.fix}")
    folder = find(Workspace.around().root, found.name, found.uid)
    if form is Format.JSON:
        answer_json(query.show_run(history, found))
        return
    whys = {name: why for name, (_, why) in folder.skipped().items()} if folder else {}
    here = "" if folder else None
    logs = here if environment.namespace is None else f" --env {env}"
    sys.stdout.write(runs_text.run(history, found, whys=whys, logs=logs))


def _going(environment: Environment, run: str) -> Misuse | None:
    if environment.namespace is None:
        return None
    from mlgen.cli.going import going  # here: the ledger answers nearly all questions without a cluster

    return going(environment, run)


@app.command()
def compare(a: RunArgument, b: RunArgument, *, env: EnvOption = "local", form: FormatOption = Format.TEXT) -> None:
    """Show two runs side by side: params, metrics, values, artifacts, states."""
    history = open_history(env)
    found = query.compare_runs(history, query.find_run(history, a), query.find_run(history, b))
    if form is Format.JSON:
        answer_json(found)
    else:
        sys.stdout.write(runs_text.comparison(found))
