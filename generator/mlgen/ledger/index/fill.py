"""Files of the ledger into the tables, some thousands at a time: a new index is filled as an old one is refreshed."""

from __future__ import annotations

import hashlib
import sqlite3
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

from mlgen.canonical import Json
from mlgen.ledger.index import rows
from mlgen.ledger.index.schema import MADE, READ
from mlgen.ledger.questions.read import Execution, outcomes, told
from mlgen.ledger.records import run as run_json
from mlgen.ledger.records.fields import BadRecord
from mlgen.ledger.records.run import RunRecord
from mlgen.ledger.records.task import TaskRecord
from mlgen.ledger.stream import Stored

NOWHERE = ("", -1)  # the task and item of what is the run's own
_IN_ONE_QUERY = 500  # parameters; SQLite took 999 at most before 3.32

_RUN = "(SELECT id FROM run WHERE uid = ?)"
_SHARED = "(SELECT id FROM shared WHERE key = ?)"
_EXECUTION = f"INSERT INTO execution VALUES (?, {_RUN}, {_SHARED}, {_SHARED}, ?, ?, ?, ?, ?, ?, ?, ?, ?, 0, ?, ?, ?)"
_TOUCH = "INSERT INTO touch VALUES (?, ?, ?, (SELECT id FROM artifact WHERE uri = ? AND digest = ?), ?, ?, ?, ?)"


def add(database: sqlite3.Connection, files: Sequence[Stored]) -> None:
    """Add files that were not there before, within the caller's transaction. What is no record goes to `skipped`."""
    last_run, last = database.execute(
        "SELECT (SELECT coalesce(max(id), 0) FROM run), (SELECT coalesce(max(id), 0) FROM execution)"
    ).fetchone()
    batch = _Batch(last)
    for file in files:
        try:
            batch.take(file)
        except BadRecord as error:
            batch.skipped.append((file.path, str(error)))
    batch.write(database)
    for uids in _chunks(sorted(batch.uids)):
        _settle(database, uids, batch, last_run, last)


Counted = tuple[int, bool, Execution]  # the id of a row, and whether it says that the execution counts


class _Batch:
    """Rows that are written together. last: the highest id of an execution so far."""

    def __init__(self, last: int) -> None:
        self._last = last
        self.uids: set[str] = set()
        self.runs: dict[str, list[RunRecord]] = defaultdict(list)
        self.executions: dict[str, list[Counted]] = defaultdict(list)
        self.skipped: list[tuple[str, str]] = []
        self._shared: dict[str, bytes] = {}
        self._keys: dict[tuple[str | None, ...], bytes] = {}
        self._artifacts: dict[tuple[str, bytes], None] = {}
        self._executions: list[tuple[object, ...]] = []
        self._touches: list[tuple[object, ...]] = []
        self._names: set[tuple[str, str, str, str, str]] = set()

    def take(self, file: Stored) -> None:
        """Raises BadRecord, and leaves nothing of it then."""
        entry = file.entry()
        if isinstance(entry, TaskRecord):
            self._take_task(entry, file)
            return
        self.uids.add(entry.uid)
        self.runs[entry.uid].append(entry)
        about = run_json.to_json(entry)
        for kind in ("params", "labels"):
            self._name(kind, entry.pipeline, "", about.get(kind))

    def _take_task(self, record: TaskRecord, file: Stored) -> None:
        rest = rows.rest(record)
        common = rows.encode(rows.told(record))
        if common not in self._shared:  # its params are those of the run's other tasks
            self._name("params", record.pipeline, "", record.params)
        digest = hashlib.sha256(file.blob.data)
        self._last += 1
        self.uids.add(record.run_uid)
        execution = Execution(record, file.path, f"sha256:{digest.hexdigest()}", file.blob.oid)
        self.executions[record.run_uid].append((self._last, False, execution))
        self._executions.append(
            (
                self._last,
                record.run_uid,
                self._key(common),
                self._made(record),
                record.task,
                record.index,
                record.attempt,
                record.run_id,
                rows.microseconds(record.started_at),
                record.started_at,
                record.ended_at,
                str(record.state),
                int(record.reconciled),
                digest.digest(),
                bytes.fromhex(file.blob.oid),
                rest,
            )
        )
        for side, artifacts in ((READ, record.inputs), (MADE, record.outputs)):
            for at, a in enumerate(artifacts):
                key = a.uri, bytes.fromhex(a.digest[7:])
                self._artifacts[key] = None
                self._touches.append((self._last, side, at, *key, a.name, a.size_bytes, a.media_type, a.type))
        for name in record.outputs:
            self._names.add(("outs", name.name, record.pipeline, record.task, name.type))
        self._name("metrics", record.pipeline, record.task, record.metrics)
        self._name("values", record.pipeline, record.task, {**_variables(record), **record.values})

    def _made(self, record: TaskRecord) -> bytes:
        made = rows.made(record)
        if made not in self._keys:
            self._keys[made] = self._key(rows.encode(made))
        return self._keys[made]

    def _key(self, text: str) -> bytes:
        key = self._shared.get(text)
        if key is None:
            key = self._shared[text] = hashlib.sha256(text.encode()).digest()
        return key

    def _name(self, kind: str, pipeline: str, task: str, values: object) -> None:
        for name, value in values.items() if isinstance(values, dict) else ():
            self._names.add((kind, name, pipeline, task, rows.typed(value)[0]))

    def write(self, database: sqlite3.Connection) -> None:
        write = database.executemany
        write("INSERT OR IGNORE INTO run (uid) VALUES (?)", ((uid,) for uid in sorted(self.uids)))
        write("INSERT OR IGNORE INTO shared (key, text) VALUES (?, ?)", ((k, text) for text, k in self._shared.items()))
        write("INSERT OR IGNORE INTO artifact (uri, digest) VALUES (?, ?)", self._artifacts)
        write(_EXECUTION, self._executions)
        write(_TOUCH, self._touches)
        write("INSERT OR IGNORE INTO name VALUES (?, ?, ?, ?, ?)", self._names)
        write("INSERT OR REPLACE INTO skipped VALUES (?, ?)", self.skipped)


def _settle(database: sqlite3.Connection, uids: Sequence[str], batch: _Batch, last_run: int, last: int) -> None:
    """Say anew of some runs what depends on all their records: which executions count, state, facts.

    last_run, last: the highest ids before the batch; of a run after that all records are in the batch.
    """
    marks = ",".join("?" * len(uids))
    known = database.execute(f"SELECT uid, id, record FROM run WHERE uid IN ({marks})", uids).fetchall()
    before = _before(database, [run for _, run, _ in known if run <= last_run], last)
    runs, marked, facts = [], [], []
    for uid, run, record in known:
        mine = before.get(run, []) + batch.executions.get(uid, [])
        counting = outcomes(e for _, _, e in mine)
        paths = {e.path for e in counting}
        marked += [(int(e.path in paths), key) for key, counts, e in mine if (e.path in paths) != counts]
        about = _best([*batch.runs.get(uid, ()), *([rows.run_record(record)] if record else [])])
        runs.append((*_run_row(about, [e for _, _, e in mine]), run))
        facts += [(run, *fact) for fact in _facts(about, counting)]
    database.executemany("UPDATE execution SET counts = ? WHERE id = ?", marked)
    database.executemany(
        "UPDATE run SET name = ?, pipeline = ?, env = ?, state = ?, started = ?, ended = ?, record = ? WHERE id = ?",
        runs,
    )
    database.executemany("DELETE FROM fact WHERE run = ?", [(run,) for _, run, _ in known if run <= last_run])
    database.executemany("INSERT OR IGNORE INTO fact VALUES (?, ?, ?, ?, ?, ?, ?)", facts)


def _before(database: sqlite3.Connection, runs: Sequence[int], last: int) -> dict[int, list[Counted]]:
    """The executions of runs, by their rows, that were there before; without their artifacts."""
    found: dict[int, list[Counted]] = defaultdict(list)
    query = f"""SELECT e.run, e.id, e.counts, {rows.EXECUTION} FROM {rows.FROM_EXECUTION}
        WHERE e.run IN ({",".join("?" * len(runs))}) AND e.id <= ?"""
    for run, key, counts, *row in database.execute(query, (*runs, last)):
        found[run].append((key, bool(counts), rows.execution(tuple(row), (), ())))
    return found


def _best(records: Iterable[RunRecord]) -> RunRecord | None:
    """The run's own word before what was written from outside; of two, the first to end, which landed first."""
    return min(records, key=lambda r: (r.reconciled, rows.microseconds(r.ended_at), r.path), default=None)


def _run_row(record: RunRecord | None, executions: Sequence[Execution]) -> tuple[object, ...]:
    if record is not None:
        times = rows.microseconds(record.started_at), rows.microseconds(record.ended_at)
        text = rows.encode(run_json.to_json(record))
        return record.run, record.pipeline, record.env, str(record.state), *times, text
    first = min(executions, key=lambda e: e.path).record
    kept = told(executions)
    started = min(rows.microseconds(e.record.started_at) for e in kept)
    ended = max(rows.microseconds(e.record.ended_at) for e in kept)
    return first.run, first.pipeline, first.env, None, started, ended, None


def _facts(record: RunRecord | None, counting: Sequence[Execution]) -> Iterable[tuple[object, ...]]:
    about = run_json.to_json(record) if record else {}
    labels = about.get("labels")
    for name, type_, value in rows.facts_of(labels if isinstance(labels, dict) else {}):
        yield "labels", name, *NOWHERE, type_, value
    if isinstance(owner := about.get("owner"), str):
        yield "owner", "", *NOWHERE, "string", owner
    params = record.params if record else min(counting, key=_start).record.params
    for name, type_, value in rows.facts_of(params):
        yield "params", name, *NOWHERE, type_, value
    for one in (e.record for e in counting):
        for kind, values in (("metrics", one.metrics), ("values", {**_variables(one), **one.values})):
            for name, type_, value in rows.facts_of(values):
                yield kind, name, *one.part, type_, value


def _variables(record: TaskRecord) -> Mapping[str, Json]:
    return record.item.values if record.item is not None else {}


def _start(execution: Execution) -> tuple[int, str]:
    return rows.microseconds(execution.record.started_at), execution.record.task


def _chunks(uids: Sequence[str]) -> Iterable[Sequence[str]]:
    return (uids[at : at + _IN_ONE_QUERY] for at in range(0, len(uids), _IN_ONE_QUERY))
