"""Landing what waits in the spool: by compare-and-swap of the branch, and nothing forgotten before it is there."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime

from mlgen.diagnostic import CannotAnswer
from mlgen.git import Branches, GitError, Look, RefBroken, branch_ref
from mlgen.ledger.faults import broken
from mlgen.ledger.folding.folded import Folded, Refused
from mlgen.ledger.folding.intake import Expected, Intake
from mlgen.ledger.folding.landing import Landing, NoTurn
from mlgen.ledger.folding.spool import Spool
from mlgen.ledger.folding.turns import Turns, Unpaced
from mlgen.store import Item

__all__ = ["USUAL", "Expected", "Folded", "Load", "Refused", "fold"]

MAX_BATCH = 1000  # records in a commit
LOCK_TRIES = 3  # of a second each


@dataclass(frozen=True, slots=True)
class Load:
    """What a push may carry: as many commits as that takes. size_bytes: held twice, when they are read back."""

    records: int = 5000
    size_bytes: int = 16 << 20


USUAL = Load()


def fold(
    spool: Spool,
    repository: Branches,
    branch: str,
    *,
    now: datetime,
    expected: Expected | None = None,
    lock_tries: int = LOCK_TRIES,
    batch: int = MAX_BATCH,
    load: Load = USUAL,
    turns: Turns | None = None,
    on_progress: Callable[[int], None] = lambda _done: None,
) -> Folded:
    """Land all that waits on a branch, which is made if it is not there. Any number may fold at once.

    now: the commits' time. expected: None takes the records of any environment. lock_tries: seconds to wait for a ref
    that another process has locked. batch: the most records that one commit adds. load: of a push; more than that is
    never held. turns: when a push may be made; None: at once. on_progress: told after each push how many records are
    done with.
    A record leaves the spool only after its bytes were read back from the branch's tip, or are kept in
    `_ledger/dead/`. Work tree, index and HEAD are not touched.
    repository: a remote one's methods may raise more.
    Raises CannotAnswer "ledger-broken", "ledger-checked-out", "ledger-locked", "ledger-busy", "ledger-refused",
    "disk-full", "git-missing"; what waits then goes on waiting.
    """
    folded, ref = Folded(), branch_ref(branch)
    intake, turns = Intake(spool, expected, folded), turns or Unpaced()
    landing = Landing(intake, repository, ref, int(now.timestamp()), lock_tries, batch, turns, folded)
    with git_errors(branch):
        items = _look(landing, load)
        if items:
            _check_free(repository, branch)
            with repository.reader() as reader:
                folded.later = _fold_all(landing, reader, items, load, on_progress)
        else:
            folded.commit = repository.tip(ref)
        landing.judge()
    return folded


def _look(landing: Landing, load: Load) -> list[Item]:
    """The first of what waits, but for what is not to be tried again."""
    items, strays = landing.intake.spool.listing(most=load.records, but=landing.stay)
    landing.folded.left += [Refused(key, "bad-record", f"{key} has no record's name") for key in strays]
    return items


def _fold_all(landing: Landing, reader: Look, items: list[Item], load: Load, on_progress: Callable[[int], None]) -> int:
    """Land what waits, push by push, until nothing new does or it is no more our turn; how many are known to wait then.

    items: the first of what waits.
    """
    done = 0
    while items:
        if not landing.turns.take():
            if not landing.turns.pause():
                return len(items)
            items = _look(landing, load)  # others may have landed all of it meanwhile
            landing.folded.by_others |= not items
            continue
        count = _fitting(items, load.size_bytes)
        try:
            landing.land(reader, list(landing.intake.take(items[:count])))
        except NoTurn:
            items = _look(landing, load)
            landing.folded.by_others |= not items
            continue
        done, items = done + count, items[count:]
        on_progress(done)
        items = items or _look(landing, load)
    return 0


def _fitting(items: Sequence[Item], most_bytes: int) -> int:
    """How many of what waits fit into one push; at least one."""
    size_bytes = 0
    for count, item in enumerate(items):
        size_bytes += item.size_bytes
        if count and size_bytes > most_bytes:
            return count
    return len(items)


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
def git_errors(branch: str) -> Iterator[None]:
    """What git says of a branch that records are written to, as CannotAnswer."""
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
