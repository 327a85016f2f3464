"""The earlier run that a run takes up: found in the ledger, or refused with what to do instead."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

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
from mlgen.runtime.reused import NOT_ASKED

MOST_BEFORE = 20  # runs, each the one that the one after it took up
_PAGE = 20  # runs, of which nearly always the first will do


@dataclass(frozen=True, slots=True)
class Base:
    """The run that is taken up, with its executions. before: the uids of those that it took up in turn."""

    run: Run
    before: tuple[str, ...]


def find(records: Records, plan: Plan, ask: Ask) -> Base:
    """The run that is taken up; where none is named, the latest that succeeded and was asked for all that is needed.

    Raises Misuse "unknown-run", "ambiguous-run", "run-goes-on", "other-run", "no-run".
    """
    records.catch_up()
    env = records.environment.name

    def question(history: History) -> Base:
        found = query.find_run(history, ask.resume) if ask.resume is not None else _latest(history, plan, env, ask)
        return Base(query.run_of(history, found.uid) or found, tuple(_before(history, found)))

    if ask.resume is not None and not records.in_cluster:
        _refuse_going(records, ask.resume)
    try:
        base = answered(records, lambda opened: question(opened.history))
    except Misuse as unknown:
        raise _going_in_cluster(records, ask.resume) or unknown from None
    _check(records, plan, base.run)
    return base


def _latest(history: History, plan: Plan, env: str, ask: Ask) -> Run:
    """The latest run that succeeded, and of which nothing was left out that must be known now."""
    rest = f"WHERE r.pipeline = ? AND r.env = ? AND r.state = '{State.COMPLETE}' ORDER BY {LATEST} LIMIT ? OFFSET ?"
    needed = ask.needed(plan)
    passed = 0
    while page := history.select_runs(rest, plan.name, env, _PAGE, passed):
        if found := next((run for run in page if not _left_out(run) & needed), None):
            return found
        passed += len(page)
    what = f"no run of {plan.name} in {env} has succeeded yet, so nothing before the task is known"
    why = f"{passed} succeeded in which tasks were left out that must be known now, by --only" if passed else ""
    raise Misuse("no-run", what, why=why, fix="run it whole once, or name a run: --resume RUN")


def _left_out(run: Run) -> set[str]:
    tasks = run.record.tasks if run.record else {}
    return {name for name, status in tasks.items() if status.reason == NOT_ASKED}


def _before(history: History, run: Run) -> Iterator[str]:
    """The uids of the runs that a run took up, as each names the one before it, as far as the ledger has them."""
    seen = {run.uid}
    while run.record is not None and (uid := run.record.resumes) is not None and uid not in seen:
        yield uid
        seen.add(uid)
        found = history.select_runs("WHERE r.uid = ?", uid) if len(seen) <= MOST_BEFORE else []
        if not found:
            return
        [run] = found


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
