"""`mlgen gc`: throw away what is not needed any more. Without --delete it only says what would go."""

from __future__ import annotations

import sys
from datetime import timedelta
from typing import Annotated

import typer

from mlgen.cli.clock import SystemClock
from mlgen.cli.collecting.marking import Marking, keep_pinned, keep_running, open_marking, sharing
from mlgen.cli.collecting.sweeping import Sweeping
from mlgen.cli.collecting.tasks import tasks
from mlgen.cli.collecting.text import Tally, answer, lines
from mlgen.cli.counting import Counting
from mlgen.cli.ledgers.records import Records, open_records
from mlgen.cli.main import new_app
from mlgen.cli.options import EnvOption, Format, FormatOption
from mlgen.cli.output import answer_json, answer_of_a_deed, note
from mlgen.cli.projects.workspace import Workspace
from mlgen.diagnostic import CannotAnswer, Findings, Misuse, visible
from mlgen.ledger.gc.keeping import Policy, Survey
from mlgen.ledger.gc.sweep import Judge
from mlgen.render.timeouts import of_run

KEEP_DAYS, KEEP_RUNS = 90, 10  # where neither is given
DAY = timedelta(days=1)
LEAST_GRACE = {True: 2 * DAY, False: timedelta(hours=1)}  # in a cluster; on this machine
UNKNOWN_GRACE = 30 * DAY  # where no spec says how long a run may take

app = new_app(no_args_is_help=True, help="Throw away what is not needed any more.")


@app.callback()
def _gc() -> None:
    """Throw away what is not needed any more."""


app.command()(tasks)


@app.command()
def artifacts(
    *,
    env: EnvOption,
    keep_days: Annotated[
        int | None,
        typer.Option("--keep-days", metavar="N", min=0, max=36500, help="Keep runs that ended in the last N days."),
    ] = None,
    keep_runs: Annotated[
        int | None, typer.Option("--keep-runs", metavar="N", min=0, help="Keep the latest N runs of each pipeline.")
    ] = None,
    keep: Annotated[list[str] | None, typer.Option("--keep", metavar="RUN", help="Keep this run, too.")] = None,
    models: Annotated[bool, typer.Option("--models", help="Models of other runs may go as well.")] = False,
    orphans: Annotated[bool, typer.Option("--orphans", help="What no record tells of may go as well.")] = False,
    delete: Annotated[bool, typer.Option("--delete", help="Do it. Without: only say what would go.")] = False,
    form: FormatOption = Format.TEXT,
) -> None:
    """Delete artifacts of old runs that no kept run refers to. The ledger's records stay.

    A run is kept if any rule keeps it; without a rule: --keep-days 90 --keep-runs 10. Of each pipeline the latest N
    that succeeded are kept, and the latest N that did not.
    """
    records = open_records(Workspace.around(), env)
    records.catch_up()
    now = SystemClock().now()
    envs = sharing(records.workspace, records.environment)
    marking = open_marking(records, envs, models=not models)
    with Counting("reading") as counting:
        marking.first(counting.say)
    keep_pinned(records.workspace, marking.survey)
    keep_running(records.workspace, marking.survey)
    young = grace(records)
    policy = _policy(keep_days, keep_runs, tuple(keep or ()), records, young)
    _check_named(policy, marking.survey)
    kept = marking.survey.keep_runs(policy, now)
    _check_ledger(records, marking, kept)
    before = now - max(young, timedelta(days=policy.days or 0))
    judge = Judge(marking.survey.marked, marking.survey.known, before, orphans=orphans)
    tally = Tally(every=form is Format.JSON)
    sweeping = Sweeping(records, marking, judge, tally, kept, now)
    sweeping.delete() if delete else sweeping.look()
    if sweeping.caching.gone:
        note(
            f"entries of the cache that {'went' if delete else 'would go'} with their bytes: {sweeping.caching.gone:,}"
        )
    found = answer(tally, records, marking, kept, deleted=delete)
    with answer_of_a_deed():
        if form is Format.JSON:
            answer_json(found)
        else:
            sys.stdout.write("".join(visible(line) + "\n" for line in lines(found)))


def _policy(days: int | None, runs: int | None, named: tuple[str, ...], records: Records, longest: timedelta) -> Policy:
    if days is None and runs is None:
        days, runs = KEEP_DAYS, KEEP_RUNS
    skew = DAY if records.in_cluster else timedelta(0)
    return Policy(days, runs, named, going=max(longest, UNKNOWN_GRACE), skew=skew)


def _check_named(policy: Policy, survey: Survey) -> None:
    """A name that means no run is a slip, and what it was to keep would go."""
    for word in policy.named:
        if not any(run.is_named(word) for run in survey.runs.values()):
            fix = "`mlgen runs list` has the names"
            raise Misuse("unknown-run", f'no ledger here has a run "{word}"', fix=fix)


def _check_ledger(records: Records, marking: Marking, kept: set[str]) -> None:
    """Raises CannotAnswer "nothing-kept": then it is more likely that something is wrong than that all may go."""
    if kept:
        return
    many = len(marking.survey.runs)
    raise CannotAnswer(
        "nothing-kept",
        f"of the {many} runs that the ledger has, these rules keep none" if many else "the ledger has no runs",
        why="it may be the wrong ledger, or the wrong rules; what is kept is told from the runs that are",
        fix=f"see `mlgen runs list --env {records.environment.name}`; --keep-runs 1 keeps the latest of each pipeline",
    )


def grace(records: Records) -> timedelta:
    """For how long after it was written a thing may belong to a run that has not told of it yet."""
    least = LEAST_GRACE[records.in_cluster]
    if not records.in_cluster:
        return least
    workspace = records.workspace
    try:
        plans = workspace.plans(workspace.specs(None))
    except (Findings, Misuse):
        note(f"the specs cannot be planned, so a run is taken to last up to {UNKNOWN_GRACE.days} days")
        return UNKNOWN_GRACE
    longest = max(of_run(plan, records.environment).pipeline for plan in plans)
    return max(least, min(timedelta(seconds=longest) + DAY, timedelta(days=3650)))
