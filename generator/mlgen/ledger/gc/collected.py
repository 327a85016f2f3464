"""Lists of what `mlgen gc artifacts` threw away, written before it does: so that "collected" is told from "lost".

`_ledger/collected/<time>.<first 16 hex of the list's sha256>.json`, beside the artifacts: `{"version": 1, "time",
"env", "ledgers": [commit…], "artifacts": [key…]}`. A list says what was to go: what is there
nevertheless, because a kill came first, is there. Whoever may write to the bucket can write such a list.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime

from mlgen import canonical
from mlgen.store import Store, StoreError

FOLDER = "_ledger/collected"
FORMAT = 1
MAX_LIST_BYTES = 2 << 20  # half of what a store gives as a small object
_FORM = "%Y%m%dT%H%M%SZ"


@dataclass(frozen=True, slots=True)
class Collection:
    """When something was thrown away (RFC 3339), and by which commits of the ledgers it was judged."""

    time: str
    ledgers: tuple[str, ...]


def note(store: Store, keys: Sequence[str], *, now: datetime, env: str, ledgers: Sequence[str]) -> None:
    """Note that the artifacts of these keys are about to be thrown away. Durable when it returns."""
    at = now.astimezone(UTC)
    head = {"version": FORMAT, "time": at.isoformat().replace("+00:00", "Z"), "env": env, "ledgers": list(ledgers)}
    for part in _parts(keys):
        data = canonical.encode({**head, "artifacts": part}) + b"\n"
        digest = canonical.digest_bytes(data).removeprefix("sha256:")
        store.put(f"{FOLDER}/{at.strftime(_FORM)}.{digest[:16]}.json", data)


def _parts(keys: Sequence[str]) -> Iterator[list[str]]:
    part, size_bytes = list[str](), 0
    for key in keys:
        takes = len(canonical.encode(key)) + 1
        if part and size_bytes + takes > MAX_LIST_BYTES:
            yield part
            part, size_bytes = [], 0
        part.append(key)
        size_bytes += takes
    if part:
        yield part


def collected(store: Store) -> Mapping[str, Collection]:
    """What was thrown away, by the URI that records have of it; the latest time counts.

    A file that is no such list says nothing. Raises CannotAnswer.
    """
    found: dict[str, Collection] = {}
    for name in store.keys(FOLDER):
        with suppress(StoreError, ValueError, KeyError, TypeError, RecursionError):
            told = json.loads(store.get(name))
            about = Collection(str(told["time"]), tuple(map(str, told["ledgers"])))
            found |= {f"{store.uri}/{key}": about for key in map(_text, told["artifacts"])}
    return found


def _text(key: object) -> str:
    if not isinstance(key, str):
        raise TypeError(key)
    return key
