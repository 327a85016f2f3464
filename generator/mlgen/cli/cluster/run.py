"""`mlgen run FILE --env E` where E has a namespace: a PipelineRun, created and followed to its end."""

from __future__ import annotations

import json
import sys
import time
from contextlib import suppress
from dataclasses import dataclass

from mlgen.cli.clock import SystemClock
from mlgen.cli.cluster import answer as cluster_answer
from mlgen.cli.cluster import emptied, reusing
from mlgen.cli.cluster import ledger as cluster_ledger
from mlgen.cli.cluster.applied import check_applied
from mlgen.cli.cluster.kube import connect
from mlgen.cli.cluster.ledger import Told
from mlgen.cli.cluster.progress import ClusterProgress
from mlgen.cli.cluster.request import Object, Request
from mlgen.cli.interrupts import Interrupted, Interrupts
from mlgen.cli.ledgers.records import Records
from mlgen.cli.options import Format
from mlgen.cli.output import answer_json, answer_of_a_deed, note
from mlgen.cli.run_json import to_json
from mlgen.cli.uploading import upload
from mlgen.cluster import start, view
from mlgen.cluster.events import Outcome
from mlgen.cluster.follow import CANCEL, Follower
from mlgen.diagnostic import CannotAnswer, Fault
from mlgen.plan.model import Plan
from mlgen.runtime import plans
from mlgen.runtime.publish import wanted
from mlgen.spec.project import Environment

KEEP_SECONDS = 5.0  # for which a bucket that is away is waited for, to keep a plan


@dataclass(frozen=True, slots=True)
class Choices:
    """How a run is to be shown. commit: of the run, in words."""

    detach: bool
    logs: bool
    form: Format
    commit: str


def run(records: Records, plan: Plan, request: Request, choices: Choices) -> int:
    """Create a run and, unless it is to be left alone, follow it; the exit code."""
    api = connect()
    check_applied(api, records.workspace, plan, records.environment, request)
    _publish(records, plan, request)
    with Interrupts() as interrupts:
        interrupts.hold()
        stored = start.create(api, request.run, pause=time.sleep)
        if request.resumed is not None:
            reusing.put(records, plan, stored, request.resumed)
            start.release(api, stored, pause=time.sleep)
        if choices.detach:
            _tell_name(stored, choices.form)
            _tell_ways(stored, records.environment.name)
            return 0
        names = [task.name for task in plan.all_tasks]
        entries = reusing.entries(plan, request.resumed)
        progress = ClusterProgress(_name(stored), plan, records.environment.name)
        if request.resumed is not None:
            progress.reused(request.resumed.tasks, request.resumed.run)
        follower = Follower(
            api,
            stored,
            tasks=[task.name for task in plan.tasks if task.name in entries and not emptied.at_once(task)],
            finals=[task.name for task in plan.finally_tasks if task.name in entries],
            on_event=progress.hear,
            clock=SystemClock(),
            logs=lambda task: choices.logs and view.base_of(task) in names,
        )
        outcome, interrupted = _follow(follower, progress, interrupts)
    if outcome is None:
        _tell_ways(stored, records.environment.name)
        return 130
    outcome = reusing.whole(plan, emptied.told(plan, entries, outcome), request.resumed)
    told = cluster_ledger.ask(records, outcome, lambda task: follower.said(task, task))
    _answer(plan, outcome, told, choices, records.environment)
    return 130 if interrupted else 0 if outcome.ok else 1


def _publish(records: Records, plan: Plan, request: Request) -> None:
    """What the run needs, uploaded where it is not there yet.

    Who may start runs need not have the bucket's keys: what the plan pins was published before the merge, as a rule.
    """
    _keep_plan(records, plan)
    pinned = wanted([plan])
    if request.given:
        upload(records, [*pinned, *request.given], request.files)
    elif pinned:
        try:
            upload(records, pinned, request.files)
        except CannotAnswer as fault:
            if fault.code != "store-unreachable":
                raise
            note(f"whether all that the run needs is published cannot be seen from here: {fault.message}")


def _keep_plan(records: Records, plan: Plan) -> None:
    """For who resumes the run; that it cannot be put from here is no fault of the run."""
    with suppress(Fault, OSError):
        plans.keep(plan, records.open_at(records.environment.artifacts, patience_seconds=KEEP_SECONDS))


def _follow(follower: Follower, progress: ClusterProgress, interrupts: Interrupts) -> tuple[Outcome | None, bool]:
    """(what became of the run, None where it was left; whether it was cancelled)."""
    cancelled = False
    with progress:
        while True:
            try:
                interrupts.let_go()
                return follower.follow(), cancelled
            except Interrupted:
                if cancelled or not _wants_to_cancel(progress):
                    return None, True
            interrupts.hold()
            cancelled = _cancel(follower)


def _wants_to_cancel(progress: ClusterProgress) -> bool:
    """On a terminal, what its user says; elsewhere, that a job of CI is cancelled means its run (decision 0011)."""
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        return True
    with progress.paused():
        try:
            sys.stderr.write("cancel the run? its finally tasks and its record still run [y/N] ")
            sys.stderr.flush()
            return sys.stdin.readline().strip().lower() in ("y", "yes")
        except Interrupted:
            sys.stderr.write("\n")
            return False


def _cancel(follower: Follower) -> bool:
    try:
        follower.cancel()
    except Fault as fault:
        note(f"the run could not be cancelled: {fault.message}: {fault.why}")
        return False
    note("the run is being cancelled; interrupt again to leave it alone")
    return True


def _name(stored: Object) -> str:
    return str(stored["metadata"]["name"])


def _tell_ways(stored: Object, env: str) -> None:
    """What can be done about a run that is left alone."""
    name, namespace = _name(stored), stored["metadata"]["namespace"]
    note(f"{name} goes on: `mlgen logs {name} --env {env} -f` shows what it prints, and")
    note(f"`mlgen runs show {name} --env {env}` what became of it, once it has ended; to cancel it:")
    note(f"kubectl -n {namespace} patch pipelinerun {name} --type merge -p '{json.dumps(CANCEL)}'")


def _tell_name(stored: Object, form: Format) -> None:
    with answer_of_a_deed():
        if form is Format.JSON:
            answer_json(to_json(_name(stored), stored["metadata"]["uid"], None, {}, None))
        else:
            sys.stdout.write(f"{_name(stored)}\n")


def _answer(plan: Plan, outcome: Outcome, ledger: Told, choices: Choices, environment: Environment) -> None:
    with answer_of_a_deed():  # what became of the run is the exit code, whether somebody reads it or not
        if choices.form is Format.JSON:
            for line in ledger.lines if ledger.commit is None else ():
                note(f"ledger  {line}")
            answer_json(to_json(outcome.run, outcome.uid, outcome.state, outcome.tasks, ledger.commit))
            return
        sys.stdout.write(
            cluster_answer.text(
                plan,
                outcome,
                env=environment.name,
                artifacts=environment.artifacts,
                commit=choices.commit,
                ledger=ledger.lines,
            )
        )
