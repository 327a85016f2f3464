"""`mlgen ledger reconcile`: tell what no pod could, keep logs, end pods that hold on, and fold."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Sequence
from dataclasses import fields
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mlgen.cli.clock import SystemClock
from mlgen.cli.ledgers.elsewhere import reached
from mlgen.cli.ledgers.folding import folded_answer, folded_lines, tell_refused
from mlgen.cli.ledgers.records import Records, open_records
from mlgen.cli.options import EnvOption, Format, FormatOption
from mlgen.cli.output import answer_json, note
from mlgen.cli.projects.workspace import Workspace
from mlgen.diagnostic import CannotAnswer, Misuse, visible
from mlgen.ledger import passes
from mlgen.ledger.folding.fold import Folded
from mlgen.spec.quantities import DURATION_RULE, duration_seconds

if TYPE_CHECKING:  # the other verbs of `ledger` ask no cluster
    from mlgen.cluster.reconcile import Missing, Reconciled
    from mlgen.ledger.records.entry import Entry

SHOWN = 50  # of what cannot be told of; a log of each minute should stay one


def reconcile(
    *,
    env: EnvOption,
    grace: Annotated[
        str, typer.Option("--grace", metavar="TIME", help="How long after its end a pod may still tell of it itself.")
    ] = "2m",
    form: FormatOption = Format.TEXT,
) -> None:
    """Tell of what no pod in a cluster could, keep the logs of pods that ended, end those that hold on; then fold.

    A CronJob of each environment does so every minute. Exit 1 if a record could not land for good.
    """
    wait = grace_of(grace)
    records = open_records(Workspace.around(), env)
    if records.environment.namespace is None:
        fix = "name an environment with a `namespace`; runs on this machine are told of by any command that reads them"
        raise Misuse("bad-option", f'"{env}" has no pods', fix=fix)
    now = SystemClock().now()
    folded, fault = _fold(records, now)  # first: what is left in the spool is read, record by record
    try:
        done = _reconcile(records, partial(_missing, records) if fault is None else None, now, wait)
    except CannotAnswer:
        tell_refused(folded, env)  # what was set aside is told once, by the fold that did it
        raise
    if done.records and fault is None:
        later, fault = _fold(records, now)
        folded = _both(folded, later)
    _tell(done, folded, env, form)
    if fault is not None:
        raise fault
    passes.mark(records.store, records.environment.name, now)
    raise typer.Exit(1 if folded.conflicts or folded.refused else 0)


def grace_of(text: str) -> timedelta:
    """What --grace means. Raises Misuse."""
    try:
        return timedelta(seconds=0 if text in ("0", "0s") else duration_seconds(text))
    except ValueError as error:
        raise Misuse("bad-option", f"--grace: {error}", fix=DURATION_RULE) from None


def _fold(records: Records, now: datetime) -> tuple[Folded, CannotAnswer | None]:
    """What was folded. While the ledger cannot be reached, logs are to be kept all the same."""
    try:
        return records.fold(now), None
    except CannotAnswer as fault:
        return Folded(), fault


def _missing(records: Records, entries: Sequence[Entry]) -> list[Entry]:
    from mlgen.ledger.told import missing  # here: as the rest of what only this verb needs

    with reached(records.ledger) as remote:  # each time: what is kept of logs before takes no time of the ledger's
        return missing(entries, records.spool, remote, records.branch)


def _reconcile(records: Records, missing: Missing | None, now: datetime, grace: timedelta) -> Reconciled:
    # Here: with what they import they take longer to load than `ledger fold` takes to run.
    from mlgen.cli.cluster.kube import connect
    from mlgen.cluster.api import ApiError, Unreachable
    from mlgen.cluster.reconcile import Reconciler
    from mlgen.cluster.refusals import fault_of

    namespace = records.environment.namespace
    assert namespace is not None
    api = connect()
    with tempfile.TemporaryDirectory(prefix="mlgen-reconcile-") as scratch:
        reconciler = Reconciler(
            api=api,
            namespace=namespace,
            env=records.environment.name,
            spool=records.spool,
            missing=missing,
            now=now,
            grace=grace,
            scratch=Path(scratch),
        )
        try:
            return reconciler.run()
        except (ApiError, Unreachable) as error:
            raise fault_of(error, api.server) from None


def _both(first: Folded, second: Folded) -> Folded:
    """What two folds did, one after the other. What the first one left, the second one has seen again."""
    by_others = first.by_others or second.by_others
    found = Folded(second.commit or first.commit, left=second.left, later=second.later, by_others=by_others)
    for one in fields(Folded):
        if one.name not in ("commit", "left", "later", "by_others"):
            getattr(found, one.name).extend([*getattr(first, one.name), *getattr(second, one.name)])
    return found


def _tell(done: Reconciled, folded: Folded, env: str, form: Format) -> None:
    for one in done.unfit[:SHOWN]:
        note(f"{one.name} cannot be told of: {one.reason}")
    if done.unfit[SHOWN:]:
        note(f"{len(done.unfit) - SHOWN} more cannot be told of: `--format json` names them")
    for text in done.unread:
        note(f"a log could not be read: {text}")
    tell_refused(folded, env)
    answer = _answer(done, folded)
    if form is Format.JSON:
        answer_json(answer)
        return
    lines = [
        *(f"told     {path}" for path in done.records),
        *(f"kept     {key}" for key in done.logs),
        *(f"deleted  pod {name}" for name in done.pods),
        f"runs     {done.runs or 'none'} looked at",
        *folded_lines(answer["folded"]),
        f"ledger  {folded.commit or 'empty'}",
    ]
    sys.stdout.write("".join(visible(line) + "\n" for line in lines))


def _answer(done: Reconciled, folded: Folded) -> dict[str, Any]:
    return {
        "runs": done.runs,
        "records": done.records,
        "logs": done.logs,
        "deleted": done.pods,
        "unfit": [{"name": one.name, "reason": one.reason} for one in done.unfit],
        "unread": done.unread,
        "folded": folded_answer(folded),
    }
