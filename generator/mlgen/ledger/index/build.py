"""An index from a ledger's commit, and from one commit to a later one, in one transaction."""

from __future__ import annotations

import gc
import sqlite3
from collections.abc import Callable, Iterable, Iterator

from mlgen.git import Repository
from mlgen.ledger.index import events, fill
from mlgen.ledger.index.schema import INDEXES, TABLES, VERSION
from mlgen.ledger.stream import Stored, stream, stream_imported

MOST_FILES, MOST_BYTES = 2000, 16 << 20  # at a time
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
    collects = gc.isenabled()
    gc.disable()  # records hold no cycles: to look for some among them, again and again, costs a fifth
    try:
        database.execute("BEGIN IMMEDIATE")
        if repository is not None and commit is not None:
            for read, add in ((stream, fill.add), (stream_imported, events.add)):
                for files in portions(read(repository, commit, since=since)):
                    add(database, files)
                    count += len(files)
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
    finally:
        if collects:
            gc.enable()
    return count


def portions(files: Iterable[Stored]) -> Iterator[list[Stored]]:
    """The files as many at a time as memory should hold: a usual record has 2 KB; what others commit, up to 16 MB."""
    portion: list[Stored] = []
    size_bytes = 0
    for file in files:
        portion.append(file)
        size_bytes += len(file.blob.data)
        if len(portion) >= MOST_FILES or size_bytes >= MOST_BYTES:
            yield portion
            portion, size_bytes = [], 0
    if portion:
        yield portion
