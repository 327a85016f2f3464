"""What a ledger says at a commit, asked of its index: runs, and what each read and made."""

from __future__ import annotations

import json
import sqlite3
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, TypeVar

from mlgen.git import GitError, Repository, branch_ref
from mlgen.ledger.artifact import Artifact
from mlgen.ledger.index import build, rows
from mlgen.ledger.index.schema import MADE, READ
from mlgen.ledger.read import Execution, Run, Skipped, broken

_RUN = "r.id, r.uid, r.name, r.pipeline, r.env, r.started, r.ended, r.record"
LATEST = "r.ended DESC, r.uid DESC"
_IN_ONE_QUERY = 500
_T = TypeVar("_T")


@dataclass(frozen=True)
class History:
    """What the ledger says at one commit. commit: None where there is no ledger yet.

    repository: where the records themselves are. Methods raise sqlite3.Error where the index is damaged.
    """

    repository: Repository | None
    commit: str | None
    database: sqlite3.Connection = field(repr=False)

    def select(self, query: str, *parameters: object) -> list[tuple[Any, ...]]:
        """The rows of a query on the tables of `schema`; what others wrote comes as parameters only."""
        return self.database.execute(query, parameters).fetchall()

    @property
    def runs(self) -> list[Run]:
        """All, the latest to end first."""
        return self.select_runs()

    def select_runs(self, rest: str = f"ORDER BY {LATEST}", *parameters: object) -> list[Run]:
        """Runs. rest: of a query, what follows `FROM run r`."""
        return [self._run(row) for row in self.select(f"SELECT {_RUN} FROM run r {rest}", *parameters)]

    def runs_of(self, ids: Iterable[int]) -> dict[int, Run]:
        """Runs by the ids of their rows."""
        found = self._of_ids(f"SELECT {_RUN} FROM run r WHERE r.id IN (%s)", ids)
        return {row[0]: self._run(row) for row in found}

    def _run(self, row: tuple[Any, ...]) -> Run:
        key, uid, name, pipeline, env, started, ended, record = row
        about = rows.run_record(record) if record else None
        times = rows.time_of(started), rows.time_of(ended)
        return Run(name, uid, pipeline, env, about, *times, partial(self._executions, key))

    def _executions(self, run: int) -> tuple[Execution, ...]:
        keys = [key for (key,) in self.select("SELECT id FROM execution WHERE run = ?", run)]
        return tuple(execution for _, execution in self.executions_of(keys).values())

    def executions_of(self, ids: Iterable[int]) -> dict[int, tuple[int, Execution]]:
        """The run's row and the execution, by the ids of their rows, in the order of the ids given."""
        keys = list(ids)
        touched: dict[tuple[int, int], list[Artifact]] = defaultdict(list)
        touches = f"""SELECT t.execution, t.side, {rows.ARTIFACT} FROM touch t JOIN artifact a ON a.id = t.artifact
            WHERE t.execution IN (%s) ORDER BY t.execution, t.side, t.at"""
        for execution, side, *row in self._of_ids(touches, keys):
            touched[execution, side].append(rows.artifact(tuple(row)))
        found = {}
        query = f"SELECT e.id, e.run, {rows.EXECUTION} FROM {rows.FROM_EXECUTION} WHERE e.id IN (%s)"
        for key, run, *row in self._of_ids(query, keys):
            sides = (tuple(touched.get((key, side), ())) for side in (READ, MADE))
            found[key] = run, rows.execution(tuple(row), *sides)
        return {key: found[key] for key in keys}

    def _of_ids(self, query: str, ids: Iterable[int]) -> list[tuple[Any, ...]]:
        keys = list(ids)
        found = []
        for at in range(0, len(keys), _IN_ONE_QUERY):
            some = keys[at : at + _IN_ONE_QUERY]
            found += self.select(query % ",".join("?" * len(some)), *some)
        return found

    @property
    def skipped(self) -> list[Skipped]:
        """Files that are not told of, in the order of their paths."""
        return [Skipped(*row) for row in self.select("SELECT path, reason FROM skipped ORDER BY path")]

    def count(self, table: str) -> int:
        return int(self.select(f"SELECT count(*) FROM {table}")[0][0])

    @property
    def files(self) -> int:
        """How many records there are, of tasks and of runs."""
        query = "SELECT (SELECT count(*) FROM execution) + (SELECT count(*) FROM run WHERE record IS NOT NULL)"
        return int(self.select(query)[0][0])

    def events(self, executions: Sequence[Execution]) -> list[dict[str, Any]]:
        """The OpenLineage events of executions, as they were written."""
        if self.repository is None:
            return []
        with self.repository.reader() as reader:
            found = reader.get_all(e.oid for e in executions)
            return [json.loads(one.data) for one in found if one is not None]


def read(repository: Repository | None, branch: str, progress: build.Progress = lambda _: None) -> History:
    """All that a branch says now, by an index that nothing else sees; nothing where there is no repository.

    What is no record, or lies at another path than its own, is skipped: one bad file must not hide all others.
    Raises CannotAnswer "ledger-broken" where git cannot read the branch.
    """
    commit = tip(repository, branch)
    # Without a name it is in memory until it grows, and then in a file that ends with this process.
    database = connect("")
    build.create(database)
    asked(branch, lambda: build.bring(database, repository, commit, progress=progress))
    return History(repository, commit, database)


def connect(place: str, *, busy_seconds: float = 0) -> sqlite3.Connection:
    """A connection whose transactions begin and end where it is said. busy_seconds: to wait for others."""
    database = sqlite3.connect(place, isolation_level=None, timeout=busy_seconds)
    try:
        database.execute("PRAGMA cache_size = -65536")  # KiB
    except sqlite3.DatabaseError:  # it looks at the file
        database.close()
        raise
    return database


def tip(repository: Repository | None, branch: str) -> str | None:
    """The commit that a branch is at. Raises CannotAnswer "ledger-broken"."""
    return asked(branch, lambda: repository.tip(branch_ref(branch))) if repository else None


def asked(branch: str, question: Callable[[], _T]) -> _T:
    """What git answers. Raises CannotAnswer "ledger-broken"."""
    try:
        return question()
    except GitError as error:
        raise broken(branch, str(error)) from None
