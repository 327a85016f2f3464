"""What a fold takes from the spool: records that have a path, of its own ledger; what never will is set aside."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from mlgen import secrets
from mlgen.ledger.folding.folded import Folded, Refused
from mlgen.ledger.folding.spool import Spool, fits
from mlgen.ledger.folding.waiting import Waiting
from mlgen.ledger.records.entry import from_bytes
from mlgen.ledger.records.fields import BadRecord, NewerFormat
from mlgen.store import Item, TooLarge

SECRET = "secret-in-record"
_TOLD = 3  # places of a record with secrets in it


@dataclass(frozen=True, slots=True)
class Expected:
    """Whose records a fold takes, by environment.

    here: those of this ledger. elsewhere: those that share the spool; None: nobody here knows which do.
    """

    here: frozenset[str]
    elsewhere: frozenset[str] | None = frozenset()


@dataclass(frozen=True, slots=True)
class Intake:
    """folded: what is told of those that are not taken.

    done: keys that have left the spool. A bucket's listing may go on showing them, and a fold that took them once more
    would never end.
    """

    spool: Spool
    expected: Expected | None
    folded: Folded
    done: set[str] = field(default_factory=set)

    def take(self, items: Sequence[Item]) -> Iterator[Waiting]:
        """The records among what waits that have a path; those that never will are buried."""
        keys = [item.key for item in items]
        for key, data in zip(keys, self.spool.get_all(keys), strict=True):
            if isinstance(data, TooLarge):  # no record of ours; not even moved, for that it would have to be read
                self.folded.left.append(Refused(key, "bad-record", str(data)))
                continue
            if data is None:
                self.done.add(key)
                self.folded.by_others = True
                continue
            try:
                waiting = self._read(key, data)
                if waiting is not None:
                    yield waiting
            except NewerFormat as error:
                self.folded.left.append(Refused(key, "ledger-too-new", str(error)))
            except BadRecord as error:
                self.bury(Waiting(key, "", data), Refused(key, "bad-record", str(error)))

    def _read(self, key: str, data: bytes) -> Waiting | None:
        """A record that is to land; None for one that is not, which is told. Raises BadRecord, NewerFormat."""
        if not fits(key, data):
            raise BadRecord("its key is not the one that its bytes have")
        entry = from_bytes(data)
        if not self._is_ours(key, entry.env):
            return None
        waiting = Waiting.of(key, entry, data)
        if found := secrets.find(data):
            places = "; ".join(map(str, found[:_TOLD]))
            self.bury(
                waiting, Refused(key, SECRET, f"{entry.path} holds what nobody should read: {places}", entry.path)
            )
            return None
        return waiting

    def forget(self, keys: Sequence[str]) -> None:
        """Let records leave the spool that have landed."""
        self.spool.delete_all(keys)
        self.done.update(keys)

    def bury(self, waiting: Waiting, refused: Refused) -> None:
        """Set a record aside that can never land."""
        self.spool.bury(waiting.key, waiting.data, refused.code, refused.message)
        self.done.add(waiting.key)
        told = self.folded.conflicts if refused.code == "ledger-conflict" else self.folded.refused
        told.append(refused)

    def _is_ours(self, key: str, env: str) -> bool:
        """Whether this ledger takes an environment's records. Raises BadRecord where no ledger of this spool does."""
        if self.expected is None or env in self.expected.here:
            return True
        if self.expected.elsewhere is not None and env not in self.expected.elsewhere:
            raise BadRecord(f"it is of the environment {env}, whose records do not wait here")
        self.folded.left.append(Refused(key, "other-ledger", f"{key} waits for a fold of the environment {env}"))
        return False
