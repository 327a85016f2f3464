"""`mlgen runs list|show|compare`: the runs that the ledger tells of."""

from __future__ import annotations

import sys
from enum import StrEnum
from typing import Annotated, Any

import typer

from mlgen.cli import comparison, runs_text
from mlgen.cli.clock import SystemClock
from mlgen.cli.ledgers.history import ask
from mlgen.cli.ledgers.records import open_records
from mlgen.cli.main import new_app
from mlgen.cli.options import MOST, EnvOption, Format, FormatOption
from mlgen.cli.output import answer_json, note, width
from mlgen.cli.projects.workspace import Workspace
from mlgen.cli.times import TIMES, moment_of
from mlgen.diagnostic import Misuse
from mlgen.ledger.index.history import History
from mlgen.ledger.questions import query
from mlgen.ledger.questions.listing import Wanted, select, to_json
from mlgen.ledger.questions.read import Run
from mlgen.ledger.records.task import State
from mlgen.local.rundirs import find
from mlgen.spec.project import Environment

WHERE = "Such as 'metrics.auc > 0.9 and params.epochs == 20'."
MOST_COMPARED = 8  # runs: more of them no screen shows side by side

app = new_app(no_args_is_help=True, help="List, show and compare runs, from the ledger.")


class ReportFormat(StrEnum):
    """What reads it: people, programs, a comment of a pull request."""

    TEXT = "text"
    JSON = "json"
    MARKDOWN = "markdown"


ReportOption = Annotated[ReportFormat, typer.Option("--format", help="text, json or markdown.")]
RunArgument = Annotated[str, typer.Argument(metavar="RUN", help="A run's name or uid, or how one of them begins.")]


@app.command("list")
def list_runs(
    *,
    pipeline: Annotated[str | None, typer.Option("--pipeline", metavar="NAME", help="Only runs of this one.")] = None,
    state: Annotated[State | None, typer.Option("--state", case_sensitive=False, help="How they ended.")] = None,
    since: Annotated[str | None, typer.Option("--since", metavar="TIME", help=f"Ended then or later: {TIMES}.")] = None,
    until: Annotated[str | None, typer.Option("--until", metavar="TIME", help="Ended before.")] = None,
    label: Annotated[list[str] | None, typer.Option("--label", metavar="K=V", help="A label that they have.")] = None,
    where: Annotated[list[str] | None, typer.Option("--where", metavar="EXPR", help=WHERE)] = None,
    highest: Annotated[str | None, typer.Option("--highest", metavar="METRIC", help="Most of this first.")] = None,
    lowest: Annotated[str | None, typer.Option("--lowest", metavar="METRIC", help="Least of this first.")] = None,
    limit: Annotated[int, typer.Option("--limit", metavar="N", min=1, max=MOST, help="The most runs to list.")] = 50,
    env: EnvOption = "local",
    form: ReportOption = ReportFormat.TEXT,
) -> None:
    """List runs, those that ended last first, or the best first."""
    if highest is not None and lowest is not None:
        raise Misuse("options", "--highest and --lowest exclude each other", fix="leave one out")
    now = SystemClock().now()
    best = (highest, True) if highest is not None else (lowest, False) if lowest is not None else None
    wanted = Wanted(
        pipeline=pipeline,
        state=state,
        since=None if since is None else moment_of(since, now),
        until=None if until is None else moment_of(until, now),
        labels=dict(map(_label, label or ())),
        where=where or (),
        best=best,
        limit=limit,
    )
    found, rests_on = ask(env, lambda history: (select(history, wanted), history.rests_on))
    for told in found.notes:
        note(told)
    match form:
        case ReportFormat.JSON:
            answer_json(to_json(found) | rests_on)
        case ReportFormat.TEXT:
            sys.stdout.write(runs_text.listing(found, wanted, width=width(sys.stdout)))
        case ReportFormat.MARKDOWN:
            sys.stdout.write(runs_text.listing_markdown(found, wanted))


def _label(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals:
        raise Misuse("bad-option", f'--label "{text[:80]}" has no value', fix="write --label NAME=VALUE")
    return name, value


@app.command()
def show(run: RunArgument, *, env: EnvOption = "local", form: FormatOption = Format.TEXT) -> None:
    """Show what a run did: its params, and what each task read, made and measured."""
    environment = open_records(Workspace.around(), env).environment

    def shown(history: History) -> tuple[Run, dict[str, Any], dict[str, str]]:
        found = query.find_run(history, run)
        answer = query.show_run(history, found) if form is Format.JSON else {"ledger": history.commit}
        whole = query.run_of(history, found.uid) or found
        return whole, answer, query.makers(history, (e.record for e in whole.executions))

    try:
        found, answer, makers = ask(env, shown)
    except Misuse as unknown:
        raise _going(environment, run) or unknown from None
    if found.record is None and (more := _going(environment, found.name)):
        note(f"{more.message}: {more.fix}")
    if form is Format.JSON:
        answer_json(answer)
        return
    folder = find(Workspace.around().root, found.name, found.uid)
    whys = {name: why for name, (_, why) in folder.skipped().items()} if folder else {}
    here = "" if folder else None
    logs = here if environment.namespace is None else f" --env {env}"
    sys.stdout.write(runs_text.run(found, answer["ledger"], whys=whys, logs=logs, makers=makers))


def _going(environment: Environment, run: str) -> Misuse | None:
    if environment.namespace is None:
        return None
    from mlgen.cli.cluster.going import going  # here: the ledger answers nearly all questions without a cluster

    return going(environment, run)


@app.command()
def compare(
    runs: Annotated[list[str], typer.Argument(metavar="RUN RUN...", help="Names or uids, or how they begin.")],
    *,
    changed: Annotated[bool, typer.Option("--changed", help="Only what differs, and how much does not.")] = False,
    env: EnvOption = "local",
    form: ReportOption = ReportFormat.TEXT,
) -> None:
    """Show runs side by side: params, metrics, values, artifacts, states."""
    if not 2 <= len(runs) <= MOST_COMPARED:
        raise Misuse("bad-option", f"{len(runs)} runs cannot be compared", fix=f"name 2 to {MOST_COMPARED} runs")
    found = ask(env, lambda history: query.compare_runs(history, [query.find_run(history, run) for run in runs]))
    found = comparison.changed(found) if changed else found
    match form:
        case ReportFormat.JSON:
            answer_json(found)
        case ReportFormat.TEXT:
            sys.stdout.write(comparison.to_text(found))
        case ReportFormat.MARKDOWN:
            sys.stdout.write(comparison.to_markdown(found))
