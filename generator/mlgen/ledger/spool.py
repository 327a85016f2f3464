"""The spool: where records wait, durable, until a fold lands them. Two byte strings never share a key."""

from __future__ import annotations

import re
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime

from mlgen import canonical
from mlgen.ledger.entry import Entry, from_bytes, run_id, to_bytes
from mlgen.ledger.fields import BadRecord
from mlgen.store import Missing, Store, Taken, TooLarge

FOLDER = "_ledger"
SPOOL, DEAD = f"{FOLDER}/spool", f"{FOLDER}/dead"
_KEY = re.compile(rf"{SPOOL}/([0-9a-f-]{{36}})\.([0-9a-f]{{16}})\.json")


@dataclass(frozen=True, slots=True)
class Spool:
    """The spool of an artifact store: `_ledger/spool/<runId>.<first 16 hex of the sha256>.json`."""

    store: Store

    def put(self, entry: Entry) -> str:
        """Let a record wait, and return its key. Durable when it returns; the same record again is the same object.

        Raises BadRecord, RecordTooLarge; CannotAnswer where the store cannot be used.
        """
        return self.put_bytes(to_bytes(entry))

    def put_bytes(self, data: bytes) -> str:
        """Let a record's bytes wait, as they are. Raises BadRecord."""
        key = f"{SPOOL}/{run_id(from_bytes(data))}.{_short(data)}.json"
        self.store.put(key, data)
        return key

    def waiting(self) -> list[str]:
        """The keys of what waits, sorted."""
        return [key for key in self.store.keys(SPOOL) if _KEY.fullmatch(key)]

    def strays(self) -> list[str]:
        """What lies in the spool under names that no record has, sorted: not ours to read, move or delete."""
        return [key for key in self.store.keys(SPOOL) if not _KEY.fullmatch(key)]

    def get(self, key: str) -> bytes | None:
        """The bytes that wait under a key; None when another fold landed them meanwhile. Raises TooLarge."""
        try:
            return self.store.get(key)
        except Missing:
            return None

    def delete(self, key: str) -> None:
        """Forget what has landed."""
        self.store.delete(key)

    def bury(self, key: str, data: bytes, code: str, message: str) -> None:
        """Move what cannot land out of the way, beside the reason. Safe to repeat after a kill."""
        name = key.rpartition("/")[2]
        if not fits(key, data):  # other bytes may have had the name before
            name = f"{name}.{_short(data)}"
        self.store.put(f"{DEAD}/{name}", data)
        with suppress(Taken):  # the reason is there already, in the words of another version
            self.store.put(f"{DEAD}/{name}.reason", canonical.encode({"code": code, "message": message}) + b"\n")
        self.store.delete(key)

    def dead(self) -> list[str]:
        """What could not land, sorted, without the reasons."""
        return [key for key in self.store.keys(DEAD) if not key.endswith(".reason")]


def fits(key: str, data: bytes) -> bool:
    """Whether a key is the one that these bytes have."""
    match = _KEY.fullmatch(key)
    return match is not None and match[2] == _short(data)


def _short(data: bytes) -> str:
    return canonical.digest_bytes(data)[len("sha256:") :][:16]


def oldest(spool: Spool, keys: Iterable[str]) -> datetime | None:
    """When the execution or run that waits longest ended; None when nothing waits that can be read."""
    times = []
    for key in keys:
        with suppress(BadRecord, TooLarge):
            if (data := spool.get(key)) is not None:
                times.append(datetime.fromisoformat(from_bytes(data).ended_at))
    return min(times, default=None)
