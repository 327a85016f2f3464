"""The history that a command answers from: what was cut off is told, what waits is landed, then the ledger is read."""

from __future__ import annotations

import gc

from mlgen.cli.output import note
from mlgen.cli.records import Records, open_records
from mlgen.cli.workspace import Workspace
from mlgen.ledger.read import History, read


def open_history(env: str) -> History:
    """All that is known now."""
    records = open_records(Workspace.around(), env)
    records.catch_up()
    # All records live until the answer is given. To look for cycles among them, again and again, costs a fifth.
    gc.disable()
    try:
        history = read(records.repository, records.branch)
    finally:
        gc.freeze()
        gc.enable()
    _tell_elsewhere(records, history)
    if history.skipped:
        first, count = history.skipped[0], len(history.skipped)
        files, others = ("1 file", "") if count == 1 else (f"{count} files", " and others")
        note(f"{files} of the ledger cannot be read here: {first.path}{others}: {first.reason}")
    return history


def _tell_elsewhere(records: Records, history: History) -> None:
    """In a plain clone, the ledger's branch is there as the other repository's."""
    branch, repository = records.branch, history.repository
    if history.commit is None and records.ledger.url is None and repository is not None:
        there = f"origin/{branch}"
        if repository.tip(f"refs/remotes/{there}") is not None:
            note(f'"{branch}" is no branch here, {there} is one: `git branch {branch} {there}`')
