"""The history that a command answers from: what was cut off is told, what waits is landed, then the index is asked."""

from __future__ import annotations

import gc
import sqlite3
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from typing import TypeVar

from mlgen.cli.cache import cached
from mlgen.cli.output import coloured, note
from mlgen.cli.records import Records, open_records
from mlgen.cli.workspace import Workspace
from mlgen.ledger.fields import BadRecord
from mlgen.ledger.index.build import Progress
from mlgen.ledger.index.history import History
from mlgen.ledger.index.kept import Opened, current

PATIENCE_SECONDS = 0.5  # before somebody at a terminal is told what takes so long
_T = TypeVar("_T")


def ask(env: str, question: Callable[[History], _T]) -> _T:
    """The answer to a question from all that is known now. It is asked again where the index turns out damaged."""
    records = open_records(Workspace.around(), env)
    records.catch_up()
    with closing(opened(records)) as found:
        _tell_elsewhere(records, found.history)
        _tell_skipped(found.history)
        try:
            return question(found.history)
        except (sqlite3.DatabaseError, ValueError, BadRecord):
            if found.file is None:
                raise
    with closing(opened(records, anew=True)) as found:
        return question(found.history)


def opened(records: Records, *, anew: bool = False) -> Opened:
    """The index of an environment's ledger, at the ledger's commit."""
    repository = records.repository
    # Of a ledger elsewhere, its mirror's path: it stands for URL and branch.
    where = "" if repository is None else repository.git_dir
    file = cached("index", where, records.branch).with_suffix(".sqlite")
    with _no_cycles(), _progress() as progress:
        return current(file, repository, records.branch, anew=anew, progress=progress, tell=note)


@contextmanager
def _no_cycles() -> Iterator[None]:
    """Records hold no cycles: to look for some among them, again and again, costs a fifth of a build."""
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


@contextmanager
def _progress() -> Iterator[Progress]:
    """A line on a terminal that counts what was read, and goes at the end."""
    if not coloured(sys.stderr):
        yield lambda _: None
        return
    began = time.monotonic()
    shown = False

    def tell(count: int) -> None:
        nonlocal shown
        if time.monotonic() - began > PATIENCE_SECONDS:
            shown = True
            sys.stderr.write(f"\rindexing the ledger: {count:,} files")
            sys.stderr.flush()

    try:
        yield tell
    finally:
        if shown:
            with suppress(OSError):
                sys.stderr.write("\r\x1b[K")


def _tell_skipped(history: History) -> None:
    count = history.count("skipped")
    if count:
        path, reason = history.select("SELECT path, reason FROM skipped ORDER BY path LIMIT 1")[0]
        files, others = ("1 file", "") if count == 1 else (f"{count} files", " and others")
        note(f"{files} of the ledger cannot be read here: {path}{others}: {reason}")


def _tell_elsewhere(records: Records, history: History) -> None:
    """In a plain clone, the ledger's branch is there as the other repository's."""
    branch, repository = records.branch, history.repository
    if history.commit is None and records.ledger.url is None and repository is not None:
        there = f"origin/{branch}"
        if repository.tip(f"refs/remotes/{there}") is not None:
            note(f'"{branch}" is no branch here, {there} is one: `git branch {branch} {there}`')
