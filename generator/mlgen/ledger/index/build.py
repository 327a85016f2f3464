"""An index from a ledger's commit, and from one commit to a later one, in one transaction."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from itertools import islice

from mlgen.git import Repository
from mlgen.ledger.index import fill
from mlgen.ledger.index.schema import INDEXES, TABLES, VERSION
from mlgen.ledger.stream import stream

Progress = Callable[[int], None]  # is told how many files are in


def create(database: sqlite3.Connection) -> None:
    """The tables, without a row."""
    database.executescript(TABLES)


def bring(
    database: sqlite3.Connection,
    repository: Repository | None,
    commit: str | None,
    *,
    since: str | None = None,
    progress: Progress = lambda _: None,
) -> int:
    """Let the tables say what the ledger says at a commit; the count of files that were read.

    since: what they say already. Raises GitError; what sqlite3 raises. Either way nothing is half there.
    """
    count = 0
    try:
        database.execute("BEGIN IMMEDIATE")
        if repository is not None and commit is not None:
            files = stream(repository, commit, since=since)
            while batch := list(islice(files, fill.BATCH)):
                fill.add(database, batch)
                count += len(batch)
                progress(count)
        for statement in INDEXES.strip().split("\n"):
            database.execute(statement)
        database.executemany(
            "INSERT OR REPLACE INTO meta VALUES (?, ?)", [("version", VERSION), ("commit", commit or "")]
        )
        database.execute("COMMIT")
    except BaseException:
        if database.in_transaction:
            database.execute("ROLLBACK")
        raise
    return count
