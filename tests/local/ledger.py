from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

from mlgen.ledger import entry
from mlgen.store import open_store


def spool(root: Path) -> Callable[[bytes], None]:
    store = open_store("artifacts", base=root)

    def put(data: bytes) -> None:
        store.put(
            f"_ledger/spool/{entry.run_id(entry.from_bytes(data))}.{hashlib.sha256(data).hexdigest()[:16]}.json", data
        )

    return put


def fold(root: Path) -> str | None:
    return None


def landed(root: Path) -> list[bytes]:
    store = open_store("artifacts", base=root)
    return [store.get(k) for k in store.keys("_ledger/spool")]
