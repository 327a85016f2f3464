"""An index kept in a file of the user's cache: brought to the ledger's commit when it is asked, built anew at will.

Whoever refreshes or builds is alone: a lock of the operating system's, which ends with its process. A refresh is one
transaction of SQLite's; a new index is written beside the old one and takes its name when it is whole. A reader holds
one transaction, begun under the lock: it sees one commit's state, whatever others do meanwhile.
"""

from __future__ import annotations

import fcntl
import os
import re
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
from mlgen.ledger.records import imported
from mlgen.ledger.records.fields import BadRecord

BUSY_SECONDS = 5.0  # for readers that are at work; they take milliseconds, unless somebody stopped them
_COMMIT = re.compile("[0-9a-f]{40}|[0-9a-f]{64}")
_LOOKS, _LOOK_SECONDS = 20, 0.05  # at a lock, before somebody is told what is waited for

# How it shows, whatever bit has turned: in what SQLite reads, or in what is made of that, such as a text that is not
# UTF-8, a record without a field, a time that no calendar has.
DAMAGE = (sqlite3.DatabaseError, BadRecord, ValueError, TypeError, LookupError, ArithmeticError)

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


def _believe(_known: str, _tip: str) -> None:
    """Any history is taken."""


@dataclass(frozen=True, slots=True)
class Keeping:
    """How an index is kept in a file. progress: is told how many files were read.

    judge: is given the commit that the index knows and a tip that lacks some of its records; raises what is to be
    raised. tell: is told, for people, what goes another way than usual.
    """

    file: Path
    judge: Callable[[str, str], None] = _believe
    progress: build.Progress = lambda _: None
    tell: Tell = lambda _: None

    def current(self, repository: Repository | None, branch: str, *, anew: bool = False) -> Opened:
        """What a branch says now; where there can be no file, by an index of this process alone.

        anew: throw away what is there. Raises CannotAnswer "ledger-broken", "disk-full"; what the judge raises.
        """
        seen = tip(repository, branch)
        if repository is None or seen is None:
            return Opened(replace(read(None, branch), repository=repository), None, 0, built=False)
        try:
            self.file.parent.mkdir(parents=True, exist_ok=True)
            with _alone(self.file, self.tell):
                return asked(branch, lambda: self._current(repository, branch, seen, anew=anew))
        except (OSError, sqlite3.DatabaseError) as error:
            self.tell(f"no index can be kept at {self.file} ({error}): this answer took a reading of the whole ledger")
        try:
            history = read(repository, branch, self.progress)
        except sqlite3.OperationalError as error:
            raise CannotAnswer(
                "disk-full",
                f"the ledger's index has no room: {error}",
                why="what does not fit into memory goes to a temporary file",
                fix="make room, or let SQLITE_TMPDIR name a folder that has some",
            ) from None
        return Opened(history, None, history.files, built=True)

    def _current(self, repository: Repository, branch: str, seen: str, *, anew: bool) -> Opened:
        self._new.unlink(missing_ok=True)  # of a build that was killed
        database, known = (None, None) if anew else _open(self.file)
        commit = seen
        if database is not None and known is not None:
            try:
                if known != seen:  # another process may have brought it on, to a commit that came since
                    commit = tip(repository, branch) or seen
                if known == commit or self._only_grew(repository, known, commit):
                    return self._refreshed(database, repository, known, commit)
            except DAMAGE:  # a new one knows as much
                pass
            finally:
                if not database.in_transaction:
                    database.close()
        count = self._build(repository, commit)
        database, known = _open(self.file)
        if database is None or known != commit:
            raise OSError(f"it does not keep what was written: {known}")
        return Opened(_reading(database, repository, commit), self.file, count, built=True)

    @property
    def _new(self) -> Path:
        return self.file.with_name(f"{self.file.name}.new")

    def _only_grew(self, repository: Repository, known: str, commit: str) -> bool:
        """False where the known commit is gone from the repository, or the judge lets another history pass."""
        try:
            if all(repository.only_grew(known, commit, folder) for folder in ("runs", imported.FOLDER)):
                return True
        except GitError:
            return False
        self.judge(known, commit)
        return False

    def _refreshed(self, database: sqlite3.Connection, repository: Repository, known: str, commit: str) -> Opened:
        count = 0
        if known != commit:
            try:
                count = build.bring(database, repository, commit, since=known, progress=self.progress)
            except sqlite3.OperationalError as error:
                if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY:
                    raise
                self.tell(f"another process holds the index: this is the ledger at {known}; it is at {commit} by now")
                commit = known
        return Opened(_reading(database, repository, commit), self.file, count, built=False)

    def _build(self, repository: Repository, commit: str) -> int:
        new = self._new
        try:
            with closing(connect(str(new))) as database:
                # Nobody sees it before it is whole, and a build that was cut off is thrown away.
                database.execute("PRAGMA journal_mode = MEMORY")
                database.execute("PRAGMA synchronous = OFF")
                build.create(database)
                count = build.bring(database, repository, commit, progress=self.progress)
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


def _reading(database: sqlite3.Connection, repository: Repository, commit: str) -> History:
    """Begin the one transaction of a reader. SQLite takes its snapshot with the first look."""
    database.execute("BEGIN")
    database.execute("SELECT value FROM meta").fetchone()
    return History(repository, commit, database)


def _open(file: Path) -> tuple[sqlite3.Connection | None, str | None]:
    """The index in a file and the commit that it knows; nothing where there is none of this version."""
    if not file.exists():
        return None, None
    try:
        database = connect(str(file), busy_seconds=BUSY_SECONDS)
    except sqlite3.DatabaseError:
        return None, None
    try:
        database.execute("PRAGMA synchronous = NORMAL")
        about = dict(database.execute("SELECT key, value FROM meta"))
    except DAMAGE:
        about = {}
    commit = about.get("commit")
    if about.get("version") != VERSION or not isinstance(commit, str) or not _COMMIT.fullmatch(commit):
        database.close()
        return None, None
    return database, commit


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
