"""The earlier run that a run takes up: found in the ledger, or refused with what to do instead."""

from __future__ import annotations

from dataclasses import dataclass
from difflib import get_close_matches

from mlgen.cli.ledgers.history import answered
from mlgen.cli.ledgers.records import Records
from mlgen.diagnostic import Misuse
from mlgen.ledger.index.history import LATEST, History
from mlgen.ledger.questions import query
from mlgen.ledger.questions.read import Run
from mlgen.ledger.records.task import State
from mlgen.local import rundir
from mlgen.plan.model import Plan


@dataclass(frozen=True, slots=True)
class Ask:
    """What was asked for: a run to resume, a task to run again with all after it, or a task to run alone."""

    resume: str | None = None
    start: str | None = None
    only: str | None = None

    def __bool__(self) -> bool:
        return any((self.resume, self.start, self.only))

    def check(self, plan: Plan) -> None:
        """Raises Misuse for options that do not go together, and for a task that is none."""
        if self.start is not None and self.only is not None:
            raise Misuse("bad-option", "--from and --only exclude each other", fix="give one of them")
        wanted = self.start or self.only
        names = [task.name for task in plan.tasks]
        if wanted is None or wanted in names:
            return
        if wanted in [task.name for task in plan.finally_tasks]:
            why = f'"{wanted}" is a task of `finally`, which runs whenever the others have ended'
            raise Misuse(
                "no-such-task", f'no run begins with "{wanted}"', why=why, fix=f"name one of {', '.join(names)}"
            )
        near = get_close_matches(wanted, names, n=1)
        fix = f"did you mean {near[0]}?" if near else f"its tasks are {', '.join(names[:20])}"
        raise Misuse("no-such-task", f'"{plan.name}" has no task "{wanted[:80]}"', fix=fix)


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
    for folder in rundir.unended(records.workspace.root):
        if wanted in (folder.run, folder.path.name) or (len(wanted) >= 8 and wanted.startswith(folder.uid)):
            fix = "wait for its end, or end it by Ctrl-C where it was started"
            raise Misuse("run-goes-on", f"{folder.run} still runs", fix=fix)


def _going_in_cluster(records: Records, run: str | None) -> Misuse | None:
    if run is None or not records.in_cluster:
        return None
    from mlgen.cli.cluster.going import going  # here: the ledger answers nearly all questions without a cluster

    return going(records.environment, run)
