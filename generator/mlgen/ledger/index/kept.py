"""An index kept in a file of the user's cache: brought to the ledger's commit when it is asked, built anew at will.

Whoever refreshes or builds is alone: a lock of the operating system's, which ends with its process. A refresh is one
transaction of SQLite's; a new index is written beside the old one and takes its name when it is whole. A reader holds
one transaction, begun under the lock: it sees one commit's state, whatever others do meanwhile.
"""

from __future__ import annotations

import fcntl
import os
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from mlgen.diagnostic import CannotAnswer
from mlgen.git import GitError, Repository
from mlgen.ledger.index import build
from mlgen.ledger.index.history import History, asked, connect, read, tip
from mlgen.ledger.index.schema import VERSION

BUSY_SECONDS = 5.0  # for readers that are at work; they take milliseconds, unless somebody stopped them
_LOOKS, _LOOK_SECONDS = 20, 0.05  # at a lock, before somebody is told what is waited for

Tell = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Opened:
    """history: to be closed by who asked. file: None where no file keeps it. files: how many were read for it.

    built: whether it is a new one.
    """

    history: History
    file: Path | None
    files: int
    built: bool

    def close(self) -> None:
        self.history.database.close()


def current(
    file: Path,
    repository: Repository | None,
    branch: str,
    *,
    anew: bool = False,
    progress: build.Progress = lambda _: None,
    tell: Tell = lambda _: None,
) -> Opened:
    """What a branch says now, by the index in a file; where there can be no file, by one of this process alone.

    anew: throw away what is there. tell: is told, for people, what goes another way than usual.
    Raises CannotAnswer "ledger-broken"; "ledger-rewritten" where the index knows records that the branch has no longer;
    "disk-full".
    """
    commit = tip(repository, branch)
    if repository is None or commit is None:
        return Opened(replace(read(None, branch), repository=repository), None, 0, built=False)
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with _alone(file, tell):
            return asked(branch, lambda: _Keeper(file, repository, commit, progress, tell).current(anew=anew))
    except (OSError, sqlite3.DatabaseError) as error:
        tell(f"no index can be kept at {file} ({error}): this answer took a reading of the whole ledger")
    try:
        history = read(repository, branch, progress)
    except sqlite3.OperationalError as error:
        raise CannotAnswer(
            "disk-full",
            f"the ledger's index has no room: {error}",
            why="what does not fit into memory goes to a temporary file",
            fix="make room, or let SQLITE_TMPDIR name a folder that has some",
        ) from None
    return Opened(history, None, history.count("execution"), built=True)


@dataclass(frozen=True, slots=True)
class _Keeper:
    """Who is alone with an index's file. commit: the ledger's, now."""

    file: Path
    repository: Repository
    commit: str
    progress: build.Progress
    tell: Tell

    def current(self, *, anew: bool) -> Opened:
        database, known = (None, None) if anew else _open(self.file)
        if database is not None and known is not None:
            try:
                if known == self.commit or self._only_grew(known):
                    return self._refreshed(database, known)
            except sqlite3.DatabaseError:  # damaged: a new one knows as much
                pass
            finally:
                if not database.in_transaction:
                    database.close()
        count = self._build()
        database, known = _open(self.file)
        if database is None or known != self.commit:
            raise OSError(f"it does not keep what was written: {known}")
        return Opened(self._reading(database, self.commit), self.file, count, built=True)

    def _only_grew(self, known: str) -> bool:
        """False where the known commit is gone from the repository. Raises CannotAnswer "ledger-rewritten"."""
        try:
            grew = self.repository.only_grew(known, self.commit, "runs")
        except GitError:
            return False
        if not grew:
            raise CannotAnswer(
                "ledger-rewritten",
                f"the ledger at {self.commit} has no longer all that it had at {known}",
                why="a ledger only grows: somebody removed or changed records, or put another branch in its place",
                fix="`mlgen ledger verify` says more; `mlgen ledger index --rebuild` takes the ledger as it is now",
            )
        return True

    def _refreshed(self, database: sqlite3.Connection, known: str) -> Opened:
        count, commit = 0, self.commit
        if known != commit:
            try:
                count = build.bring(database, self.repository, commit, since=known, progress=self.progress)
            except sqlite3.OperationalError as error:
                if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY:
                    raise
                self.tell(f"another process holds the index: this is the ledger at {known}; it is at {commit} by now")
                commit = known
        return Opened(self._reading(database, commit), self.file, count, built=False)

    def _reading(self, database: sqlite3.Connection, commit: str) -> History:
        """Begin the one transaction of a reader. SQLite takes its snapshot with the first look."""
        database.execute("BEGIN")
        database.execute("SELECT value FROM meta").fetchone()
        return History(self.repository, commit, database)

    def _build(self) -> int:
        new = self.file.with_name(f"{self.file.name}.new")
        new.unlink(missing_ok=True)
        try:
            with closing(connect(str(new))) as database:
                # Nobody sees it before it is whole, and a build that was cut off is thrown away.
                database.execute("PRAGMA journal_mode = MEMORY")
                database.execute("PRAGMA synchronous = OFF")
                build.create(database)
                count = build.bring(database, self.repository, self.commit, progress=self.progress)
            with new.open("rb+") as written:
                os.fsync(written.fileno())
        except BaseException:
            new.unlink(missing_ok=True)
            raise
        # In this order: a journal that a killed refresh left must never be found beside another index than its own.
        self.file.unlink(missing_ok=True)
        self.file.with_name(f"{self.file.name}-journal").unlink(missing_ok=True)
        new.replace(self.file)
        return count


def _open(file: Path) -> tuple[sqlite3.Connection | None, str | None]:
    """The index in a file and the commit that it knows; nothing where there is none of this version."""
    if not file.exists():
        return None, None
    database = connect(str(file))
    try:
        database.execute(f"PRAGMA busy_timeout = {int(BUSY_SECONDS * 1000)}")
        database.execute("PRAGMA synchronous = NORMAL")
        about = dict(database.execute("SELECT key, value FROM meta"))
    except sqlite3.DatabaseError:
        about = {}
    if about.get("version") != VERSION:
        database.close()
        return None, None
    return database, about.get("commit")


@contextmanager
def _alone(file: Path, tell: Tell) -> Iterator[None]:
    """Waits until no other process refreshes or builds the index. The lock ends with its process, however that ends."""
    descriptor = os.open(file.with_name(f"{file.name}.lock"), os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
    try:
        for _ in range(_LOOKS):
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                time.sleep(_LOOK_SECONDS)
        else:
            tell("another mlgen brings the index of this ledger up to date: waiting for it")
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
