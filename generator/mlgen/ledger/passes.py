"""When a pass of `mlgen ledger reconcile` last ended well: a mark in the bucket, so that its silence is noticed."""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime

from mlgen.store import Store, forget

FOLDER = "_ledger/passes"  # <env>/<time>, an empty object; the time is the pass's own
_FORM = "%Y%m%dT%H%M%SZ"
_MOST = 1000  # marks that are taken away at once, in one request


def mark(store: Store, env: str, now: datetime) -> None:
    """Note that a pass ended well. The new mark comes first: where others stay, after a kill or as
    nobody may delete them, the latest counts."""
    key = f"{FOLDER}/{env}/{now.astimezone(UTC).strftime(_FORM)}"
    store.put(key, b"")
    earlier = [one for one in store.keys(f"{FOLDER}/{env}") if one < key]
    forget(store, earlier[:_MOST])


def last(store: Store, env: str) -> datetime | None:
    """When a pass last ended well; None where none ever did."""
    found = []
    for key in store.keys(f"{FOLDER}/{env}"):
        with suppress(ValueError):  # not ours
            found.append(datetime.strptime(key.rpartition("/")[2], _FORM).replace(tzinfo=UTC))
    return max(found, default=None)
