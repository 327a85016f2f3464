"""Landing what waits in the spool: one commit for all of it, by compare-and-swap, and nothing forgotten before."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime

from mlgen import canonical
from mlgen.diagnostic import CannotAnswer
from mlgen.git import Branches, GitError, Look, RefBroken, RefLocked, RefMoved, branch_ref
from mlgen.ledger import chain
from mlgen.ledger.entry import from_bytes
from mlgen.ledger.fields import BadRecord, NewerFormat
from mlgen.ledger.read import broken
from mlgen.ledger.spool import Spool, fits
from mlgen.store import TooLarge

MAX_BATCH = 1000  # records in a commit
LOST_TRIES = 200  # each lost try means that another fold landed something
LOCK_TRIES = 3  # of a second each


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


def fold(
    spool: Spool,
    repository: Branches,
    branch: str,
    *,
    now: datetime,
    expected: Expected | None = None,
    lock_tries: int = LOCK_TRIES,
    batch: int = MAX_BATCH,
) -> Folded:
    """Land all that waits on a branch, which is made if it is not there. Any number may fold at once.

    now: the commits' time. expected: None takes the records of any environment. lock_tries: seconds to wait for a ref
    that another process has locked. batch: the most records that one commit adds.
    A record leaves the spool only after its bytes were read back from the branch's tip, or are kept in
    `_ledger/dead/`. Work tree, index and HEAD are not touched.
    Raises CannotAnswer "ledger-broken", "ledger-checked-out", "ledger-locked", "ledger-busy", "ledger-refused",
    "disk-full", "git-missing"; what waits then goes on waiting.
    """
    folded = Folded()
    landing = _Landing(spool, repository, branch_ref(branch), int(now.timestamp()), lock_tries, expected, folded)
    with _git_errors(branch):
        folded.left += [Refused(key, "bad-record", f"{key} has no record's name") for key in spool.strays()]
        keys = spool.waiting()
        if keys:
            _check_free(repository, branch)
        else:
            folded.commit = repository.tip(branch_ref(branch))
        while keys:
            with repository.reader() as reader:
                for start in range(0, len(keys), batch):
                    landing.land(reader, keys[start : start + batch])
            left = {one.key for one in folded.left}
            keys = [key for key in spool.waiting() if key not in left]
    return folded


def last_fold_at(repository: Branches, branch: str) -> datetime | None:
    """The time of the branch's newest commit, by the clock of whoever made it; None where there is no branch yet.

    Raises CannotAnswer "ledger-broken", "ledger-refused", and what a remote repository's reader raises.
    """
    with _git_errors(branch), repository.reader() as reader:
        tip = reader.get(branch_ref(branch))
    return None if tip is None else _committed_at(tip.data)


def _committed_at(commit: bytes) -> datetime:
    """Source: git-commit-tree(1): `committer <name> <email> <seconds since 1970> <zone>` among the headers."""
    headers = commit.partition(b"\n\n")[0].splitlines()
    committer = next(line for line in headers if line.startswith(b"committer "))
    return datetime.fromtimestamp(int(committer.split()[-2]), UTC)


def _check_free(repository: Branches, branch: str) -> None:
    place = repository.checked_out(branch)
    if place is not None:
        raise CannotAnswer(
            "ledger-checked-out",
            f'the ledger\'s branch "{branch}" is checked out in {place}',
            why="were it moved, all new records would look deleted there; they wait in the spool",
            fix=f"check out another branch there; `git show {branch}:PATH` reads a record without a checkout",
        )


@dataclass(frozen=True, slots=True)
class _Landing:
    spool: Spool
    repository: Branches
    ref: str
    seconds: int
    lock_tries: int
    expected: Expected | None
    folded: Folded

    def land(self, reader: Look, keys: list[str]) -> None:
        """Land the records of some keys in one commit, and let them leave the spool."""
        batch = list(self._take(keys))
        kept, landed = self._commit(reader, batch)
        for waiting in batch:
            found = kept[waiting.path]
            if found != waiting.data:
                self._bury(waiting, _conflict(found, waiting), self.folded.conflicts)
                continue
            (self.folded.landed if waiting.path in landed else self.folded.already).append(waiting.path)
            self.spool.delete(waiting.key)

    def _take(self, keys: list[str]) -> Iterator[_Waiting]:
        """The records of some keys that have a path; those that never will are buried."""
        left = {one.key for one in self.folded.left}
        for key in keys:
            if key in left:
                continue
            try:
                data = self.spool.get(key)
            except TooLarge as error:  # no record of ours; not even moved, for that it would have to be read
                self.folded.left.append(Refused(key, "bad-record", str(error)))
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


@contextmanager
def _git_errors(branch: str) -> Iterator[None]:
    try:
        yield
    except RefBroken as error:
        raise broken(branch, f"{error}; the records wait in the spool") from None
    except GitError as error:
        raise CannotAnswer(
            "ledger-refused",
            f'git could not write the ledger\'s branch "{branch}"',
            why=f"{error}; the records wait in the spool",
            fix="mend what git says, then `mlgen ledger fold`",
        ) from None
