"""`mlgen logs [RUN [TASK]]`: what the tasks of a run printed, as it was kept; in a cluster, as it is printed."""

from __future__ import annotations

import shutil
import sys
from difflib import get_close_matches
from typing import Annotated

import typer

from mlgen.cli import words
from mlgen.cli.asked import which
from mlgen.cli.ledgers.records import open_records
from mlgen.cli.main import new_app
from mlgen.cli.options import EnvOption
from mlgen.cli.output import note
from mlgen.cli.projects.workspace import Workspace
from mlgen.diagnostic import Misuse
from mlgen.ledger.records.entry import from_bytes
from mlgen.ledger.records.task import TaskRecord
from mlgen.local.rundir import AttemptFolder, RunFolder
from mlgen.local.rundirs import kept

app = new_app()


@app.command()
def logs(
    run: Annotated[
        str | None,
        typer.Argument(metavar="[RUN]", help="A run's name, or how its uid begins. Without one: the latest."),
    ] = None,
    task: Annotated[
        str | None, typer.Argument(metavar="[TASK]", help="A task of it, or an item: train[3]. Without one: all.")
    ] = None,
    *,
    env: EnvOption = "local",
    follow: Annotated[bool, typer.Option("--follow", "-f", help="In a cluster: until the run has ended.")] = False,
) -> None:
    """Show the logs of a run, attempt by attempt.

    Of one in a cluster from its pods, or from the bucket where `mlgen ledger reconcile` kept them.
    """
    records = open_records(Workspace.around(), env)
    if records.in_cluster:
        from mlgen.cli.cluster.logs import show  # here: logs on this machine need none of it

        show(records, run, task, follow=follow)
        return
    if follow:
        raise Misuse(
            "bad-option", "-f is for runs in a cluster", fix="leave it out: `mlgen run` shows how a run goes on"
        )
    folder = _find(kept(records.workspace.root), run)
    attempts = [a for a in folder.attempts() if task is None or task in (a.task, a.label)]
    if not attempts:
        raise _no_attempt(folder, task)
    for at, attempt in enumerate(attempts):
        if len(attempts) > 1:
            sys.stdout.write(f"{chr(10) if at else ''}== {attempt.label}, attempt {attempt.number + 1} ==\n")
        sys.stdout.flush()
        if not attempt.log.exists():
            note(f"{attempt.label} printed nothing{_why(attempt)}")
        else:
            with attempt.log.open("rb") as stream:
                shutil.copyfileobj(stream, sys.stdout.buffer)


def _why(attempt: AttemptFolder) -> str:
    """What its record says, where it has one: of a program that was never started, there is no more to see."""
    if not attempt.record.exists():
        return ""
    record = from_bytes(attempt.record.read_bytes())
    return f": it {words.of_record(record)}" if isinstance(record, TaskRecord) else ""


def _find(folders: list[RunFolder], wanted: str | None) -> RunFolder:
    """The run of that name or uid. Of one name, the latest; of all, where none is wanted."""
    if wanted is None:
        if not folders:
            raise Misuse("no-log", "no run is kept on this machine", fix="`mlgen run FILE` makes one")
        note(f"the latest run: {folders[-1].run}")
        return folders[-1]
    named = [f for f in folders if wanted in (f.run, f.path.name) or _is_uid(f, wanted)]
    if len({f.run for f in named}) > 1:
        names = ", ".join(sorted(f.path.name for f in named))
        raise Misuse("ambiguous-run", f'"{wanted}" is the beginning of several runs\' uids', fix=f"say one of {names}")
    if not named:
        near = get_close_matches(wanted, [f.run for f in folders], n=3) or [f.run for f in folders[-5:]]
        fix = f"kept on this machine: {', '.join(near)}" if near else "no run is kept on this machine: `mlgen run FILE`"
        raise Misuse("unknown-run", f'no logs of a run "{wanted}" are kept here', fix=fix)
    return named[-1]


def _is_uid(folder: RunFolder, wanted: str) -> bool:
    return len(wanted) >= 4 and (folder.uid.startswith(wanted) or wanted.startswith(folder.uid + "-"))


def _no_attempt(folder: RunFolder, task: str | None) -> Misuse:
    skipped = folder.skipped()
    if task in skipped:
        return Misuse("no-log", f'"{task}" has no log in {folder.run}: {words.skip(*skipped[task])}')
    started = [a.label for a in folder.attempts()]
    fix = which(task or "", started) if started else "no task of it was started"
    return Misuse("no-log", f'no task "{task}" ran in {folder.run}' if task else f"{folder.run} ran no task", fix=fix)
