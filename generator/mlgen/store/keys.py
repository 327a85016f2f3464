"""Keys that pods share, on any store: to be the first at one, and to leave behind none that may be deleted."""

from __future__ import annotations

from collections.abc import Sequence

from mlgen.diagnostic import Fault
from mlgen.store.base import Store
from mlgen.store.errors import Missing, StoreError, Taken, TooLarge


def claim(store: Store, key: str, data: bytes) -> bool:
    """Whether a key is held by these bytes, put now or before; False where others were there first.

    Some stores let a second put succeed, and keep its bytes. So it is looked at before the put and after it: what is
    left is that of two at once, one put and read its bytes between the other's look and put. Raises StoreError, Fault.
    """
    held = _held(store, key, data)
    if held is not None:
        return held
    try:
        store.put(key, data)
    except Taken:
        return False
    return _held(store, key, data) is True


def _held(store: Store, key: str, data: bytes) -> bool | None:
    """Whether these bytes are there; None where nothing is."""
    try:
        return store.get(key, at_most=len(data)) == data
    except Missing:
        return None
    except TooLarge:
        return False


def forget(store: Store, keys: Sequence[str]) -> None:
    """Forget what nobody needs any more, where that is possible: who calls this is no worse where it stays.

    A pod may delete little (decision 0037), and whoever may write to a bucket need not be let delete from it.
    """
    try:
        store.delete_all(keys)
    except (StoreError, Fault, OSError):
        return
