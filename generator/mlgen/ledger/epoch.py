"""An epoch: a history begun anew, without records that had to be erased. Its root says which history came before.

    Mlgen-Epoch: <number, from 1>
    Mlgen-Prev-Tip: <id of the tip before it>
    Mlgen-Batch-Sha256: <of all files that were kept, as `chain` has it>
    Mlgen-Prev-Sha256: <of the tip before it, its `next_prev`: the chain goes on>

It says how many records were dropped, and nothing else about them: a path or a digest may be a person's data too.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from mlgen.diagnostic import CannotAnswer
from mlgen.git import Repository, Rewritten, Signers, committed_at
from mlgen.ledger import chain
from mlgen.ledger.chain import Link

_TRAILER = re.compile(r"^Mlgen-(Epoch|Prev-Tip): (\d{1,9}|[0-9a-f]{40}|[0-9a-f]{64})$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Epoch:
    """number: from 1. prev_tip: the id of the tip before it. prev: what the chain's value was there."""

    number: int
    prev_tip: str
    prev: str


def of_commit(commit: bytes) -> Epoch | None:
    """The epoch that a root begins; None of any other commit."""
    link = chain.of_commit(commit)
    head, _, message = commit.partition(b"\n\n")
    found = _TRAILER.findall(message.decode(errors="replace").rstrip().rpartition("\n\n")[2])
    values = dict(found)
    if link is None or len(found) != 2 or len(values) != 2 or not values["Epoch"].isdigit() or b"\nparent " in head:
        return None
    return Epoch(int(values["Epoch"]), values["Prev-Tip"], link.prev)


def root_of(repository: Repository, tip: str) -> bytes:
    """The commit that a tip's history begins with. Raises GitError."""
    root = repository.run("rev-list", "--max-parents=0", "--end-of-options", tip).decode().split()[-1]
    return repository.run("cat-file", "commit", root)


def message(epoch: Epoch, batch: str, *, dropped: int, because: str = "") -> str:
    """The message of an epoch's root. because: a sentence for people; it stays for ever."""
    head = f"ledger: epoch {epoch.number}, {dropped} record{'' if dropped == 1 else 's'} dropped"
    trailers = f"Mlgen-Epoch: {epoch.number}\nMlgen-Prev-Tip: {epoch.prev_tip}\n{Link(batch, epoch.prev).trailers}"
    return "\n\n".join(part for part in (head, because, trailers) if part)


def judge(one: Rewritten, signers: Signers | None, *, where: str, mend: str) -> Epoch:
    """The epoch by which a history was begun anew; whoever knew the one before may go on with it.

    It is one that names the known tip, or one that is known to come after that. Or, since readers seldom know the last
    tip of all, one that a key of `signers` signed after the known tip was made, and that has some of its files. With
    signers every epoch must be signed. And it only leaves out: a file that is known has the bytes that it had.
    where, mend: what errors call the ledger, and how a reader begins anew.
    Raises CannotAnswer "ledger-rewritten", GitError.
    """
    epoch = None if one.has_root else of_commit(one.root_commit)
    if epoch is None:
        raise _rewritten(one, where, "its first commit is no epoch that came after", mend)
    reason = ""
    if signers is not None:
        reason = signers.check(one.root_commit, committed_at(one.root_commit)).reason
    if reason:
        raise _rewritten(one, where, f"epoch {epoch.number} began after {epoch.prev_tip}, and {reason}", mend)
    if epoch.prev_tip != one.known and not one.leads_to(epoch.prev_tip):
        if signers is None:
            reason = f"epoch {epoch.number} began after {epoch.prev_tip}, which is not known here"
        elif not one.known_commit or committed_at(one.root_commit) < committed_at(one.known_commit):
            reason = f"epoch {epoch.number} began before the commit that is known here"
        elif not one.shares_files():  # the same keys may sign another ledger, of which it then is the epoch
            reason = f"epoch {epoch.number} began after {epoch.prev_tip}, and has no file that is known here"
    other = None if reason else one.other_than(epoch.prev_tip)
    if other is not None:
        reason = f"epoch {epoch.number} does not only leave out: {other} is not as it was"
    if reason:
        raise _rewritten(one, where, reason, mend)
    return epoch


def _rewritten(one: Rewritten, where: str, why: str, mend: str) -> CannotAnswer:
    return CannotAnswer(
        "ledger-rewritten",
        f"the history of {where} was rewritten: {one.tip} does not go on from {one.known}, which is known here",
        why=why,
        fix=mend,
    )
