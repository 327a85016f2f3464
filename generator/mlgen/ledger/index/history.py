"""What a ledger says at a commit, asked of its index: runs, and what each read and made."""

from __future__ import annotations

import json
import sqlite3
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from typing import Any, TypeVar

from mlgen.git import GitError, Repository, branch_ref
from mlgen.ledger.faults import broken
from mlgen.ledger.index import build, rows
from mlgen.ledger.index.schema import MADE, READ
from mlgen.ledger.questions.read import ArtifactId, Execution, Run, Skipped, id_of
from mlgen.ledger.records.artifact import Artifact

_RUN = "r.id, r.uid, r.name, r.pipeline, r.env, r.started, r.ended, r.record"
LATEST = "r.ended DESC, r.uid DESC"
_RUNS_COLUMNS = 8
_IN_ONE_QUERY = 512
_T = TypeVar("_T")


@dataclass(frozen=True)
class History:
    """What the ledger says at one commit. commit: None where there is no ledger yet.

    as_of: when that was the newest one, where nobody can say whether it still is. repository: where the records
    themselves are. Methods raise sqlite3.Error where the index is damaged.
    """

    repository: Repository | None
    commit: str | None
    database: sqlite3.Connection = field(repr=False)
    as_of: datetime | None = None

    @property
    def rests_on(self) -> dict[str, str | None]:
        """What a program is told that an answer rests on: `{"ledger": commit}`, with "asOf" where it may be old."""
        stale = {} if self.as_of is None else {"asOf": self.as_of.strftime("%Y-%m-%dT%H:%M:%SZ")}
        return {"ledger": self.commit, **stale}

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

    def whole_runs(self, rest: str, *parameters: object) -> list[Run]:
        """Runs with their executions, which outlive this history. rest: as of `select_runs`."""
        found = self.select(f"SELECT {_RUN} FROM run r {rest}", *parameters)
        query = f"SELECT e.run, e.id, {rows.EXECUTION} FROM {rows.FROM_EXECUTION} WHERE e.run IN (%s)"
        executions = self.of_ids(query, [row[0] for row in found])
        by_run: dict[int, list[Execution]] = defaultdict(list)
        for (run, *_), execution in zip(executions, self.with_artifacts([row[1:] for row in executions]), strict=True):
            by_run[run].append(execution)
        return [self._run(row, tuple(by_run[row[0]])) for row in found]

    def _run(self, row: tuple[Any, ...], executions: tuple[Execution, ...] | None = None) -> Run:
        key, uid, name, pipeline, env, started, ended, record = row
        about = rows.run_record(record) if record else None
        times = rows.time_of(started), rows.time_of(ended)
        load = partial(self._executions, key) if executions is None else lambda: executions
        return Run(name, uid, pipeline, env, about, *times, load)

    def _executions(self, run: int) -> tuple[Execution, ...]:
        found = self.select(f"SELECT e.id, {rows.EXECUTION} FROM {rows.FROM_EXECUTION} WHERE e.run = ?", run)
        return tuple(self.with_artifacts(found))

    def outcomes_at(
        self, artifacts: Iterable[int], side: int, most: int, ids: dict[ArtifactId, int]
    ) -> list[tuple[Run, Execution]]:
        """The outcomes that touched artifacts on a side, each once: those of the runs that ended last first.

        artifacts: ids of rows. most: outcomes. ids: gets those of all that they touched.
        """
        # CROSS: from the artifacts to what touched them, whatever SQLite would guess. What is sorted is narrow.
        query = f"""SELECT e.started, {_RUN}, e.id, {rows.EXECUTION}
            FROM (SELECT e.id FROM touch t CROSS JOIN execution e ON e.id = t.execution JOIN run r ON r.id = e.run
                WHERE t.artifact IN (%s) AND t.side = {side:d} AND e.counts
                ORDER BY {LATEST}, e.started, e.task, e.item LIMIT {most:d}) met
            CROSS JOIN {rows.FROM_EXECUTION} JOIN run r ON r.id = e.run WHERE e.id = met.id"""
        met = {row[_RUNS_COLUMNS + 1]: row for row in self.of_ids(query, artifacts)}
        task = _RUNS_COLUMNS + 2
        found = sorted(met.values(), key=lambda row: (row[0], row[task], row[task + 1] or 0))  # started, task, item
        found.sort(key=lambda row: (row[7], row[2]), reverse=True)  # ended, uid
        runs = {row[1]: row[1 : _RUNS_COLUMNS + 1] for row in found}
        known = {key: self._run(row) for key, row in runs.items()}
        executions = self.with_artifacts([row[_RUNS_COLUMNS + 1 :] for row in found], ids)
        return [(known[row[1]], execution) for row, execution in zip(found, executions, strict=True)]

    def with_artifacts(
        self, found: Sequence[tuple[Any, ...]], ids: dict[ArtifactId, int] | None = None
    ) -> list[Execution]:
        """Executions of rows of the id and `rows.EXECUTION`, with what they touched. ids: gets those of artifacts."""
        touched: dict[tuple[int, int], list[Artifact]] = defaultdict(list)
        query = f"""SELECT t.execution, t.side, a.id, {rows.ARTIFACT} FROM touch t JOIN artifact a ON a.id = t.artifact
            WHERE t.execution IN (%s) ORDER BY t.execution, t.side, t.at"""
        for execution, side, key, *row in self.of_ids(query, [row[0] for row in found]):
            artifact = rows.artifact(tuple(row))
            touched[execution, side].append(artifact)
            if ids is not None:
                ids[id_of(artifact)] = key
        return [
            rows.execution(tuple(row), tuple(touched.get((key, READ), ())), tuple(touched.get((key, MADE), ())))
            for key, *row in found
        ]

    def artifact_ids(self, artifacts: Iterable[ArtifactId]) -> dict[ArtifactId, int]:
        """The ids of the rows of artifacts that are there."""
        query = "SELECT id FROM artifact WHERE uri = ? AND digest = ?"
        found = {one: self.select(query, one.uri, bytes.fromhex(one.digest[7:])) for one in artifacts}
        return {one: ids[0][0] for one, ids in found.items()}

    def of_ids(self, query: str, ids: Iterable[int | str]) -> list[tuple[Any, ...]]:
        """The rows of a query with `IN (%s)`, for ids of rows, or texts, some hundred at a time."""
        keys = list(ids)
        found = []
        for at in range(0, len(keys), _IN_ONE_QUERY):
            some = keys[at : at + _IN_ONE_QUERY]
            # Of few lengths, the last id repeated: SQLite need not read each query anew.
            some += some[-1:] * ((1 << (len(some) - 1).bit_length()) - len(some))
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
