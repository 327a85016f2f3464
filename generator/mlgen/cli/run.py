"""`mlgen run FILE`: a pipeline run on this machine or in a cluster, its records in the ledger."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mlgen.cli.ledgers.records import Records, open_records
from mlgen.cli.main import new_app
from mlgen.cli.options import EnvOption, Format, FormatOption, SpecFileOrNone
from mlgen.cli.projects.sources import plan_in
from mlgen.cli.projects.workspace import Workspace
from mlgen.cli.resuming.ask import Ask
from mlgen.cli.running.wanted import Engine, Wanted
from mlgen.plan.model import Plan

app = new_app()


@app.command()
def run(
    file: SpecFileOrNone = None,
    *,
    param: Annotated[
        list[str] | None,
        typer.Option("-p", metavar="NAME=VALUE", help="A param, or an input's path or URI. Repeatable."),
    ] = None,
    env: EnvOption = "local",
    detach: Annotated[bool, typer.Option("--detach", help="In a cluster: do not follow the run to its end.")] = False,
    name: Annotated[str | None, typer.Option("--name", metavar="RUN", help="The run's name.")] = None,
    engine: Annotated[
        Engine | None,
        typer.Option("--engine", help="On this machine: run each task in the image that it declares, by this engine."),
    ] = None,
    logs: Annotated[bool, typer.Option("--logs", help="In a cluster: show what the tasks print, as they do.")] = False,
    resume: Annotated[
        str | None, typer.Option("--resume", metavar="RUN", help="Run only what failed in RUN, or changed since.")
    ] = None,
    start: Annotated[
        str | None, typer.Option("--from", metavar="TASK", help="Run a task and all after it, reusing the rest.")
    ] = None,
    only: Annotated[
        str | None, typer.Option("--only", metavar="TASK", help="Run one task, reusing what is before it.")
    ] = None,
    dates: Annotated[
        str | None,
        typer.Option("--backfill", metavar="PARAM=FIRST..LAST", help="A run for each date of a range, both included."),
    ] = None,
    step: Annotated[str | None, typer.Option("--step", help="From date to date: 1d (default), 2w, 1mo, 1y.")] = None,
    parallel: Annotated[
        int | None, typer.Option("--parallel", metavar="N", min=1, max=32, help="Of a backfill: runs at once.")
    ] = None,
    no_cache: Annotated[
        bool, typer.Option("--no-cache", help="Run every task; what they make can be taken by later runs.")
    ] = False,
    explain_cache: Annotated[
        bool,
        typer.Option(
            "--explain-cache", help="Run nothing: say which tasks would be cached, and what changed for others."
        ),
    ] = False,
    due: Annotated[
        bool, typer.Option("--due", help="Start the runs that schedules ask for by now, each once; for a crontab.")
    ] = False,
    since: Annotated[
        str | None, typer.Option("--since", metavar="TIME", help="Of --due: every time since then, not the latest.")
    ] = None,
    event: Annotated[
        Path | None,
        typer.Option("--event", metavar="EVENT", help="Start the runs that an event asks for, each once; - is stdin."),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Of --due and --event: start nothing, say what would be.")
    ] = False,
    form: FormatOption = Format.TEXT,
) -> None:
    """Run a pipeline: on this machine, or in the cluster of an environment with a namespace.

    Exit 1 if it failed, 130 if it was interrupted. Its records land on the ledger's branch; the work tree is never
    touched. In a cluster the pipeline must be there as it is rendered; the run is followed to its end.
    """
    wanted = Wanted(
        file=file,
        given=tuple(param or ()),
        env=env,
        name=name,
        engine=engine,
        detach=detach,
        logs=logs,
        ask=Ask(resume, start, only),
        dates=dates,
        step=step,
        parallel=parallel,
        no_cache=no_cache,
        explain_cache=explain_cache,
        due=due,
        since=since,
        event=event,
        dry_run=dry_run,
        form=form,
    )
    wanted.check()
    raise typer.Exit(_due(wanted) if due or event is not None else _run(wanted))


# Each way of running is imported where it is gone: none needs what another does, and start-up is felt by everyone.


def _due(wanted: Wanted) -> int:
    from mlgen.cli.clock import SystemClock
    from mlgen.cli.due import due

    files = [wanted.file] if wanted.file is not None else None
    workspace = Workspace.around(files)
    records = open_records(workspace, wanted.env)
    wanted.check_place(in_cluster=records.in_cluster)
    asked = due.Wanted(files, wanted.since, wanted.dry_run, wanted.more, wanted.form)
    source = workspace.source_for(wanted.env)
    if wanted.event is not None:
        from mlgen.cli.due import events

        return events.start_told(workspace, source, records, events.read(wanted.event), asked, clock=SystemClock())
    return due.due(workspace, source, records, asked, SystemClock())


def _run(wanted: Wanted) -> int:
    assert wanted.file is not None, "it was checked"
    workspace = Workspace.around([wanted.file])
    source = workspace.source_for(wanted.env)
    plan = plan_in(workspace, wanted.env, wanted.file)
    records = open_records(workspace, wanted.env)
    if wanted.explain_cache:
        from mlgen.cli.explaining import explain

        wanted.check_place(in_cluster=records.in_cluster)
        explain(records, source, plan, list(wanted.given), wanted.form, engine=wanted.engine)
        return 0
    if wanted.backfill:
        return _backfill(records, source, plan, wanted, wanted.file)
    wanted.check_place(in_cluster=records.in_cluster)
    if records.in_cluster:
        from mlgen.cli.running import there

        return there.run(records, source, plan, wanted)
    from mlgen.cli.running import here

    return here.run(records, workspace, plan, wanted)


def _backfill(records: Records, source: Workspace, plan: Plan, wanted: Wanted, file: Path) -> int:
    from mlgen.cli.backfilling import backfill
    from mlgen.cli.running import given

    asked = backfill.Wanted(
        file=file,
        text=wanted.dates or "",
        step=wanted.step or "1d",
        parallel=wanted.parallel or 1,
        given=list(wanted.given),
        name=None if wanted.name is None else given.name(plan, wanted.name),
        more=wanted.more,
        form=wanted.form,
    )
    # What a spec names, where it is not read from the folder.
    has = (lambda path: source.files.kind(path) in ("file", "folder")) if records.in_cluster else None
    return backfill.backfill(records, plan, asked, has=has)
