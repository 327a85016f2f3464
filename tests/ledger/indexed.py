"""Records in an index, without a repository."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

from mlgen.git import Object
from mlgen.ledger.index import build, fill
from mlgen.ledger.index.history import History, connect
from mlgen.ledger.records import imported
from mlgen.ledger.records.entry import Entry, path_of, to_bytes
from mlgen.ledger.stream import Stored


def stored_event(event: Mapping[str, Any], env: str = "local") -> Stored:
    """As an import leaves it."""
    data = imported.mark(event, env)
    return Stored(path_of(data), Object(hashlib.sha1(data).hexdigest(), "blob", len(data), data))


def stored(entry: Entry) -> Stored:
    data = to_bytes(entry)
    return Stored(entry.path, Object(hashlib.sha1(data).hexdigest(), "blob", len(data), data))


def indexed(*entries: Entry, at_once: int = 1000) -> History:
    """A history of these records. at_once: how many of them each look finds new."""
    database = connect("")
    build.create(database)
    build.bring(database, None, "c" * 40)
    for first in range(0, len(entries), at_once):
        fill.add(database, [stored(entry) for entry in entries[first : first + at_once]])
    return History(None, "c" * 40, database)
