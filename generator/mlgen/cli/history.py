"""The history that a command answers from: what was cut off is told, what waits is landed, then the ledger is read."""

from __future__ import annotations

import gc

from mlgen.cli.output import note
from mlgen.cli.records import Records, open_records
from mlgen.cli.workspace import Workspace
from mlgen.diagnostic import CannotAnswer
from mlgen.ledger.read import History, read


def open_ledger(env: str) -> Records:
    """The records of an environment of the project around the current folder, whose ledger can be read here."""
    records = open_records(Workspace.around(), env)
    if records.environment.ledger.url is not None:
        fix = "read the records of runs on this machine, without --env"
        raise CannotAnswer("not-yet", f"the ledger of {env} is a repository elsewhere, which is not read yet", fix=fix)
    return records


def open_history(env: str) -> History:
    """All that is known now."""
    records = open_ledger(env)
    records.catch_up()
    # All records live until the answer is given. To look for cycles among them, again and again, costs a fifth.
    gc.disable()
    try:
        history = read(records.repository, records.branch)
    finally:
        gc.freeze()
        gc.enable()
    if history.skipped:
        first, count = history.skipped[0], len(history.skipped)
        files, others = ("1 file", "") if count == 1 else (f"{count} files", " and others")
        note(f"{files} of the ledger cannot be read here: {first.path}{others}: {first.reason}")
    return history
