"""Records of the spool on their way into one commit of the ledger's branch, and what becomes of each."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field

from mlgen import canonical
from mlgen.diagnostic import CannotAnswer
from mlgen.git import Branches, Look, RefLocked, RefMoved
from mlgen.ledger import chain
from mlgen.ledger.entry import from_bytes
from mlgen.ledger.fields import BadRecord, NewerFormat
from mlgen.ledger.spool import Spool, fits
from mlgen.store import TooLarge

LOST_TRIES = 200  # each lost try means that another fold landed something
REFUSALS = 32  # pushes that a host refuses before we believe that it is the branch, and not records, that it refuses


@dataclass(frozen=True, slots=True)
class Refused:
    """A record that went to `_ledger/dead/`. code: why, in a word. path: where it would have been, if it has a path."""

    key: str
    code: str
    message: str
    path: str | None = None


@dataclass(slots=True)
class Folded:
    """What a fold did. commit: the tip that the paths were read back from; None: there is no ledger yet.

    landed: paths that this fold added. already: paths that were there with the same bytes. conflicts: records that
    met other bytes at their path. refused: others that can never land. left: what stays: records that only a newer
    mlgen can place, those of another ledger, what is too large to be one, and what has no record's name.
    """

    commit: str | None = None
    landed: list[str] = field(default_factory=list)
    already: list[str] = field(default_factory=list)
    conflicts: list[Refused] = field(default_factory=list)
    refused: list[Refused] = field(default_factory=list)
    left: list[Refused] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Expected:
    """Whose records a fold takes, by environment.

    here: those of this ledger. elsewhere: those that share the spool; None: nobody here knows which do.
    """

    here: frozenset[str]
    elsewhere: frozenset[str] | None = frozenset()


@dataclass(frozen=True, slots=True)
class _Waiting:
    key: str
    path: str
    data: bytes


@dataclass(frozen=True, slots=True)
class Landing:
    """One fold: from the spool to a ref. folded: what is told of it, as it goes on."""

    spool: Spool
    repository: Branches
    ref: str
    seconds: int
    lock_tries: int
    expected: Expected | None
    folded: Folded
    _refused: list[tuple[_Waiting, CannotAnswer]] = field(default_factory=list)

    def land(self, reader: Look, keys: list[str]) -> None:
        """Land the records of some keys, in one commit if the host takes it, and let them leave the spool.

        A host may refuse a push for one record in it, such as for what looks like a token. So what is refused is
        tried again by halves, all that are of one size before smaller ones: one record must not hold back all others.
        """
        batches, refusals = deque([list(self._take(keys))]), 0
        while batches:
            batch = batches.popleft()
            try:
                self._land(reader, batch)
            except CannotAnswer as fault:
                refusals += 1
                if fault.code != "git-push-refused" or (refusals >= REFUSALS and not self.folded.landed):
                    raise
                middle = len(batch) // 2
                if middle:
                    batches += [batch[:middle], batch[middle:]]
                else:
                    self._refused.append((batch[0], fault))

    @property
    def stay(self) -> set[str]:
        """The keys of what is not to be tried again now."""
        return {one.key for one in self.folded.left} | {waiting.key for waiting, _ in self._refused}

    def judge(self) -> None:
        """Set aside the records that the host refused alone, if it took others: then they are what it refuses.

        Raises the refusal, CannotAnswer "git-push-refused", where the branch took nothing.
        """
        for waiting, fault in self._refused:
            if not self.folded.landed:
                raise fault
            message = f"{waiting.path} is not taken by the host: {fault.why}"
            refused = Refused(waiting.key, "git-push-refused", message, waiting.path)
            self._bury(waiting, refused, self.folded.refused)

    def _land(self, reader: Look, batch: list[_Waiting]) -> None:
        kept, landed = self._commit(reader, batch)
        done = []
        for waiting in batch:
            found = kept[waiting.path]
            if found != waiting.data:
                self._bury(waiting, _conflict(found, waiting), self.folded.conflicts)
                continue
            (self.folded.landed if waiting.path in landed else self.folded.already).append(waiting.path)
            done.append(waiting.key)
        self.spool.delete_all(done)

    def _take(self, keys: list[str]) -> Iterator[_Waiting]:
        """The records of some keys that have a path; those that never will are buried."""
        left = {one.key for one in self.folded.left}
        keys = [key for key in keys if key not in left]
        for key, data in zip(keys, self.spool.get_all(keys), strict=True):
            if isinstance(data, TooLarge):  # no record of ours; not even moved, for that it would have to be read
                self.folded.left.append(Refused(key, "bad-record", str(data)))
                continue
            if data is None:  # another fold landed it
                continue
            try:
                if not fits(key, data):
                    raise BadRecord("its key is not the one that its bytes have")
                entry = from_bytes(data)
                if self._is_ours(key, entry.env):
                    yield _Waiting(key, entry.path, data)
            except NewerFormat as error:
                self.folded.left.append(Refused(key, "ledger-too-new", str(error)))
            except BadRecord as error:
                refused = Refused(key, "bad-record", str(error))
                self._bury(_Waiting(key, "", data), refused, self.folded.refused)

    def _is_ours(self, key: str, env: str) -> bool:
        """Whether this ledger takes an environment's records. Raises BadRecord where no ledger of this spool does."""
        if self.expected is None or env in self.expected.here:
            return True
        if self.expected.elsewhere is not None and env not in self.expected.elsewhere:
            raise BadRecord(f"it is of the environment {env}, whose records do not wait here")
        self.folded.left.append(Refused(key, "other-ledger", f"{key} waits for a fold of the environment {env}"))
        return False

    def _bury(self, waiting: _Waiting, refused: Refused, told: list[Refused]) -> None:
        self.spool.bury(waiting.key, waiting.data, refused.code, refused.message)
        told.append(refused)

    def _commit(self, reader: Look, batch: list[_Waiting]) -> tuple[dict[str, bytes], set[str]]:
        """(bytes at each path of the branch's tip, paths that we added): all paths of the batch are there then.

        The look that decides what is new, after a commit of ours, is the one that reads it back.
        """
        landed: set[str] = set()
        lost = locked = 0
        while True:
            tip = reader.get(self.ref)
            if tip is None or tip.kind != "commit":
                self.repository.tip(self.ref)  # raises for a broken one, which would look like none at all
            kept = {} if tip is None else reader.files(tip.oid, [w.path for w in batch])
            new: dict[str, bytes] = {}
            for waiting in batch:
                if waiting.path not in kept:
                    new.setdefault(waiting.path, waiting.data)
            if not new:
                self.folded.commit = tip.oid if tip else None
                return kept, landed
            link = chain.link(new, chain.of_commit(tip.data) if tip else None)
            old = tip.oid if tip else None
            commit = self.repository.commit(new, parent=old, message=_message(new, link), seconds=self.seconds)
            try:
                self.repository.move_ref(self.ref, commit, old=old)
                landed |= new.keys()
            except RefMoved:
                lost += 1
                if lost == LOST_TRIES:
                    raise CannotAnswer("ledger-busy", f"{lost} other folds were faster", fix="fold again") from None
            except RefLocked as error:
                locked += 1
                if locked >= self.lock_tries:
                    raise _locked(self.ref, error.lock) from None


def _message(files: dict[str, bytes], link: chain.Link) -> str:
    runs = {path.rpartition("/")[0].rpartition("/")[2] for path in files}
    about = next(iter(runs)) if len(runs) == 1 else f"{len(runs)} runs"
    return f"ledger: {len(files)} record{'' if len(files) == 1 else 's'} of {about}\n\n{link.trailers}"


def _conflict(kept: bytes, waiting: _Waiting) -> Refused:
    first, second = canonical.digest_bytes(kept), canonical.digest_bytes(waiting.data)
    message = f"{waiting.path} is kept with {first}, and a record never changes: {second} was refused"
    return Refused(waiting.key, "ledger-conflict", message, waiting.path)


def _locked(ref: str, lock: str) -> CannotAnswer:
    return CannotAnswer(
        "ledger-locked",
        f"{ref} is locked: {lock} exists",
        why="a Git command is at work on it, or one was killed and left the file; the records wait in the spool",
        fix=f"when no Git command runs in this repository, remove {lock}, then `mlgen ledger fold`",
    )
