"""The spool: where records wait, durable, until a fold lands them. Two byte strings never share a key."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from mlgen import canonical
from mlgen.ledger.records.entry import Entry, from_bytes, run_id, to_bytes
from mlgen.ledger.records.fields import BadRecord, loads
from mlgen.store import Item, Missing, Store, Taken, TooLarge, forget
from mlgen.store.threads import threads

if TYPE_CHECKING:
    from concurrent.futures import Future  # see `threads`

T = TypeVar("T")

FOLDER = "_ledger"
SPOOL, DEAD = f"{FOLDER}/spool", f"{FOLDER}/dead"
_FEW, _AT_ONCE = 4, 16
_AHEAD = 2 * _AT_ONCE  # records that are held before they are asked for: each may have 1 MiB
_REASON = ".reason"
_WORDS = 1000  # characters of a reason that are told: what lies in a bucket may be anybody's
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
        return [item.key for item in self.listing()[0]]

    def listing(self, *, most: int | None = None, but: Collection[str] = ()) -> tuple[list[Item], list[str]]:
        """(what waits, keys of what lies there under names that no record has), each sorted by key.

        The second are not ours to read, move or delete. most: of what waits; no more is looked for then. but: keys that
        are passed over.
        """
        waiting: list[Item] = []
        strays = []
        for item in self.store.items(SPOOL):
            if item.key in but:
                continue
            if not _KEY.fullmatch(item.key):
                strays.append(item.key)
            else:
                waiting.append(item)
                if len(waiting) == most:
                    break
        return waiting, strays

    def get(self, key: str) -> bytes | None:
        """The bytes that wait under a key; None when another fold landed them meanwhile. Raises TooLarge."""
        try:
            return self.store.get(key)
        except Missing:
            return None

    def get_all(self, keys: Sequence[str]) -> Iterator[bytes | TooLarge | None]:
        """As `get`, for many keys in their order; what is too large is returned, not raised. A few are read ahead."""
        return _side_by_side(self._get, keys)

    def _get(self, key: str) -> bytes | TooLarge | None:
        try:
            return self.get(key)
        except TooLarge as error:
            return error

    def delete_all(self, keys: Sequence[str]) -> None:
        """Forget what has landed."""
        self.store.delete_all(keys)

    def bury(self, key: str, data: bytes, code: str, message: str) -> None:
        """Move what cannot land out of the way, beside the reason. Safe to repeat after a kill."""
        name = key.rpartition("/")[2]
        if not fits(key, data):  # other bytes may have had the name before
            name = f"{name}.{_short(data)}"
        name = self._keep_dead(name, data)
        reason = canonical.encode({"code": code, "message": message}) + b"\n"
        try:
            self.store.put(f"{DEAD}/{name}{_REASON}", reason)
        except Taken:  # it was refused before, and perhaps in other words
            forget(self.store, [f"{DEAD}/{name}{_REASON}"])
            with suppress(Taken):  # another fold was faster, or the words before may not be deleted
                self.store.put(f"{DEAD}/{name}{_REASON}", reason)
        self.store.delete(key)

    def _keep_dead(self, name: str, data: bytes) -> str:
        """The name that bytes were kept under. Who mends a dead record where it lies takes the name from its bytes."""
        free, number = name, 0
        while True:
            try:
                self.store.put(f"{DEAD}/{free}", data)
                return free
            except Taken:
                number += 1
                free = f"{name}.{number}"

    def dead(self) -> list[str]:
        """What could not land, sorted, without the reasons."""
        return [key for key in self.store.keys(DEAD) if not key.endswith(_REASON)]

    def is_dead(self, key: str) -> bool:
        """Whether what waits under a key could not land before."""
        return self.store.item(f"{DEAD}/{key.rpartition('/')[2]}") is not None

    def revive(self, key: str) -> bool:
        """Let what is dead wait again, as it is, and whether it does: what is no record cannot. It stays dead, too."""
        try:
            self.put_bytes(self.store.get(key))
        except (BadRecord, Missing, TooLarge):
            return False
        return True

    def reasons(self, keys: Sequence[str]) -> list[tuple[str, str]]:
        """(code, words) of why each of some records is dead; empty texts where nothing says so that can be read."""
        return [_reason_of(data) for data in self.get_all([f"{key}{_REASON}" for key in keys])]

    def forget_dead(self, keys: Sequence[str]) -> None:
        """Forget what was dead, each after its reason: it has landed after all, or nobody wants it."""
        self.store.delete_all([f"{key}{_REASON}" for key in keys])
        self.store.delete_all(keys)


def id_in(key: str) -> str:
    """The runId, or run's uid, that a key says its record has."""
    return key.rpartition("/")[2].partition(".")[0]


def fits(key: str, data: bytes) -> bool:
    """Whether a key is the one that these bytes have."""
    match = _KEY.fullmatch(key)
    return match is not None and match[2] == _short(data)


def _reason_of(data: bytes | TooLarge | None) -> tuple[str, str]:
    try:
        said = loads(data) if isinstance(data, bytes) else None
        return ("", "") if said is None else (said.text("code"), said.text("message")[:_WORDS])
    except BadRecord:
        return "", ""


def _side_by_side(call: Callable[[str], T], keys: Sequence[str]) -> Iterator[T]:
    """The results of calls in their order: in a bucket each takes a trip there, and many records may wait."""
    if len(keys) < _FEW:
        yield from map(call, keys)
        return
    with threads(_AT_ONCE) as pool:
        running: deque[Future[T]] = deque()
        for key in keys:
            if len(running) == _AHEAD:
                yield running.popleft().result()
            running.append(pool.submit(call, key))
        while running:
            yield running.popleft().result()


def _short(data: bytes) -> str:
    return canonical.digest_bytes(data)[len("sha256:") :][:16]
