"""The earlier run that a run takes up: found in the ledger, or refused with what to do instead."""

from __future__ import annotations

from mlgen.cli.ledgers.history import answered
from mlgen.cli.ledgers.records import Records
from mlgen.cli.resuming.ask import Ask
from mlgen.diagnostic import Misuse
from mlgen.ledger.index.history import LATEST, History
from mlgen.ledger.questions import query
from mlgen.ledger.questions.read import Run
from mlgen.ledger.records.task import State
from mlgen.local import rundirs
from mlgen.plan.model import Plan


def find(records: Records, plan: Plan, ask: Ask) -> Run:
    """The run that is taken up, with its executions; where none is named, the latest that succeeded.

    Raises Misuse "unknown-run", "ambiguous-run", "run-goes-on", "other-run", "no-run".
    """
    records.catch_up()
    env = records.environment.name

    def question(history: History) -> Run:
        if ask.resume is not None:
            found = query.find_run(history, ask.resume)
        else:
            rest = f"WHERE r.pipeline = ? AND r.env = ? AND r.state = '{State.COMPLETE}' ORDER BY {LATEST} LIMIT 1"
            latest = history.select_runs(rest, plan.name, env)
            if not latest:
                what = f"no run of {plan.name} in {env} has succeeded yet, so nothing before the task is known"
                raise Misuse("no-run", what, fix="run it whole once, or name a run: --resume RUN")
            [found] = latest
        return query.run_of(history, found.uid) or found

    if ask.resume is not None and not records.in_cluster:
        _refuse_going(records, ask.resume)
    try:
        run = answered(records, lambda opened: question(opened.history))
    except Misuse as unknown:
        raise _going_in_cluster(records, ask.resume) or unknown from None
    _check(records, plan, run)
    return run


def _check(records: Records, plan: Plan, run: Run) -> None:
    env = records.environment.name
    if run.pipeline != plan.name:
        fix = f"resume a run of {plan.name}: `mlgen runs list --pipeline {plan.name}`"
        raise Misuse("other-run", f"{run.name} is a run of {run.pipeline}, not of {plan.name}", fix=fix)
    if run.env != env:
        raise Misuse("other-run", f"{run.name} ran in {run.env}, not in {env}", fix=f"add --env {run.env}")
    if run.record is None:
        raise _going_in_cluster(records, run.name) or Misuse(
            "run-goes-on",
            f"the ledger does not know yet how {run.name} ended",
            fix=f"once it has ended: `mlgen ledger reconcile --env {env}`, or `mlgen ledger fold --env {env}`",
        )


def _refuse_going(records: Records, wanted: str) -> None:
    """Of a run on this machine whose engine is at work."""
    for folder in rundirs.unended(records.workspace.root):
        if wanted in (folder.run, folder.path.name) or (len(wanted) >= 8 and wanted.startswith(folder.uid)):
            fix = "wait for its end, or end it by Ctrl-C where it was started"
            raise Misuse("run-goes-on", f"{folder.run} still runs", fix=fix)


def _going_in_cluster(records: Records, run: str | None) -> Misuse | None:
    if run is None or not records.in_cluster:
        return None
    from mlgen.cli.cluster.going import going  # here: the ledger answers nearly all questions without a cluster

    return going(records.environment, run)
