"""Imported events into the tables: what jobs of other producers read and made, and where."""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Sequence

from mlgen.ledger.index.rows import microseconds_of
from mlgen.ledger.index.schema import MADE, READ
from mlgen.ledger.records.fields import BadRecord
from mlgen.ledger.records.imported import ImportedEvent
from mlgen.ledger.stream import Stored


def add(database: sqlite3.Connection, files: Sequence[Stored]) -> None:
    """Add files that were not there before, within the caller's transaction. What is no event goes to `skipped`."""
    for file in files:
        try:
            event = file.imported()
        except BadRecord as error:
            database.execute("INSERT OR REPLACE INTO skipped VALUES (?, ?)", (file.path, str(error)))
            continue
        _add(database, event, hashlib.sha256(file.blob.data).digest())


def _add(database: sqlite3.Connection, event: ImportedEvent, digest: bytes) -> None:
    about = (event.run_id, microseconds_of(event.at), event.path, digest, event.event_time, event.event_type)
    job = (event.namespace, event.name, event.producer)
    key = database.execute("INSERT INTO event VALUES (NULL, ?, ?, ?, ?, ?, ?, ?, ?, ?)", (*about, *job)).lastrowid
    flows = [(side, one.uri) for side, found in ((READ, event.inputs), (MADE, event.outputs)) for one in found]
    database.executemany("INSERT OR IGNORE INTO place (uri) VALUES (?)", [(uri,) for _, uri in flows])
    database.executemany(
        "INSERT OR IGNORE INTO flow SELECT ?, ?, id FROM place WHERE uri = ?", [(key, *flow) for flow in flows]
    )
