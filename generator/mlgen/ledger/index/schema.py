"""The tables of an index. It holds nothing that the ledger's files do not say: thrown away, it is built again.

run        a run; `record` is its run.json, null where none has landed
execution  a record of a task; `counts` marks the one that is its task's outcome; `told` and `made` are `shared`
artifact   bytes at a place
touch      what an execution read (side 0) or made (side 1), in the order of its record
fact       what can be asked of a run in an expression: params, labels; metrics and values of its outcomes, of each item
           (-1 where there is none)
name       every name that any record has: what to offer where one is misspelt
shared     texts that many rows have in common, each once
event      of another producer, about a run of a job
place      where such a job read or made something; nobody knows which bytes
flow       what an event says was read (side 0) or made (side 1)
skipped    files that are no records, and why
"""

from __future__ import annotations

from mlgen.ledger.records import imported, run, runevent

# An index of another version is built anew: also one by an mlgen that could not read what this one can.
VERSION = f"4.{runevent.FORMAT}.{run.FORMAT}.{imported.FORMAT}"

READ, MADE = 0, 1

TABLES = """
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE shared (id INTEGER PRIMARY KEY, key BLOB NOT NULL UNIQUE, text TEXT NOT NULL);
CREATE TABLE run (
    id INTEGER PRIMARY KEY, uid TEXT NOT NULL UNIQUE, name TEXT, pipeline TEXT, env TEXT, state TEXT,
    started INTEGER, ended INTEGER, -- microseconds since 1970
    record TEXT);
CREATE TABLE execution (
    id INTEGER PRIMARY KEY, run INTEGER NOT NULL, told INTEGER NOT NULL, made INTEGER NOT NULL,
    task TEXT NOT NULL, item INTEGER, attempt INTEGER NOT NULL, run_id TEXT NOT NULL, started INTEGER NOT NULL,
    started_at TEXT NOT NULL, ended_at TEXT NOT NULL, state TEXT NOT NULL, reconciled INTEGER NOT NULL,
    counts INTEGER NOT NULL, digest BLOB NOT NULL, oid BLOB NOT NULL, rest TEXT NOT NULL);
CREATE INDEX execution_of_run ON execution (run);
CREATE TABLE artifact (id INTEGER PRIMARY KEY, uri TEXT NOT NULL, digest BLOB NOT NULL, UNIQUE (uri, digest));
CREATE TABLE touch (
    execution INTEGER NOT NULL, side INTEGER NOT NULL, at INTEGER NOT NULL, artifact INTEGER NOT NULL,
    name TEXT NOT NULL, size INTEGER NOT NULL, media TEXT NOT NULL, type TEXT NOT NULL,
    PRIMARY KEY (execution, side, at)) WITHOUT ROWID;
CREATE TABLE fact (
    run INTEGER NOT NULL, kind TEXT NOT NULL, name TEXT NOT NULL, task TEXT NOT NULL, item INTEGER NOT NULL,
    type TEXT NOT NULL, value,
    PRIMARY KEY (run, kind, name, task, item)) WITHOUT ROWID;
CREATE TABLE name (
    kind TEXT NOT NULL, name TEXT NOT NULL, pipeline TEXT NOT NULL, task TEXT NOT NULL, type TEXT NOT NULL,
    PRIMARY KEY (kind, name, pipeline, task, type)) WITHOUT ROWID;
CREATE TABLE event (
    id INTEGER PRIMARY KEY, run_id TEXT NOT NULL, at INTEGER NOT NULL, path TEXT NOT NULL, digest BLOB NOT NULL,
    time TEXT NOT NULL, type TEXT, namespace TEXT NOT NULL, name TEXT NOT NULL, producer TEXT NOT NULL);
CREATE TABLE place (id INTEGER PRIMARY KEY, uri TEXT NOT NULL UNIQUE);
CREATE TABLE flow (
    event INTEGER NOT NULL, side INTEGER NOT NULL, place INTEGER NOT NULL,
    PRIMARY KEY (event, side, place)) WITHOUT ROWID;
CREATE TABLE skipped (path TEXT PRIMARY KEY, reason TEXT NOT NULL) WITHOUT ROWID;
"""

# Made when all rows are there: to sort them once is faster than to keep them sorted.
INDEXES = """
CREATE INDEX IF NOT EXISTS run_by_end ON run (ended, uid);
CREATE INDEX IF NOT EXISTS run_by_pipeline ON run (pipeline, ended, uid);
CREATE INDEX IF NOT EXISTS run_by_name ON run (name);
CREATE INDEX IF NOT EXISTS artifact_by_digest ON artifact (digest);
CREATE INDEX IF NOT EXISTS touch_by_artifact ON touch (artifact, side);
CREATE INDEX IF NOT EXISTS event_by_run ON event (run_id);
CREATE INDEX IF NOT EXISTS flow_by_place ON flow (place, side);
"""
