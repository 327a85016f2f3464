"""Landing what waits in the spool: one commit for all of it, by compare-and-swap, and nothing forgotten before."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

from mlgen.diagnostic import CannotAnswer
from mlgen.git import Branches, GitError, RefBroken, branch_ref
from mlgen.ledger.landing import Expected, Folded, Landing, Refused
from mlgen.ledger.read import broken
from mlgen.ledger.spool import Spool

__all__ = ["Expected", "Folded", "Refused", "fold", "last_fold_at"]

MAX_BATCH = 1000  # records in a commit
LOCK_TRIES = 3  # of a second each


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
    repository: a remote one's methods may raise more.
    Raises CannotAnswer "ledger-broken", "ledger-checked-out", "ledger-locked", "ledger-busy", "ledger-refused",
    "disk-full", "git-missing"; what waits then goes on waiting.
    """
    folded = Folded()
    landing = Landing(spool, repository, branch_ref(branch), int(now.timestamp()), lock_tries, expected, folded)
    with _git_errors(branch):
        keys, strays = spool.listing()
        folded.left += [Refused(key, "bad-record", f"{key} has no record's name") for key in strays]
        if keys:
            _check_free(repository, branch)
        else:
            folded.commit = repository.tip(branch_ref(branch))
        while keys:
            with repository.reader() as reader:
                for start in range(0, len(keys), batch):
                    landing.land(reader, keys[start : start + batch])
            keys = [key for key in spool.waiting() if key not in landing.stay]
        landing.judge()
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
    try:
        committer = next(line for line in headers if line.startswith(b"committer "))
        return datetime.fromtimestamp(int(committer.split()[-2]), UTC)
    except (StopIteration, IndexError, ValueError, OverflowError, OSError):
        raise RefBroken("its newest commit does not say when it was made") from None


def _check_free(repository: Branches, branch: str) -> None:
    place = repository.checked_out(branch)
    if place is not None:
        raise CannotAnswer(
            "ledger-checked-out",
            f'the ledger\'s branch "{branch}" is checked out in {place}',
            why="were it moved, all new records would look deleted there; they wait in the spool",
            fix=f"check out another branch there; `git show {branch}:PATH` reads a record without a checkout",
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
