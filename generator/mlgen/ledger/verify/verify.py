"""The verification of a ledger: its commits, and that they continue what was known of it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import partial

from mlgen import canonical
from mlgen.diagnostic import CannotAnswer
from mlgen.git import GitError, Reader, Repository, Rewritten
from mlgen.git.history import commits, is_ancestor, is_partial, is_shallow
from mlgen.ledger import chain
from mlgen.ledger import epoch as epochs
from mlgen.ledger.epoch import Epoch
from mlgen.ledger.verify.finding import Finding, Found
from mlgen.ledger.verify.remembered import Clean, Memory, Seen
from mlgen.ledger.verify.span import Terms, link_of
from mlgen.ledger.verify.walk import SKEW_SECONDS, OnProgress, Walked, walk


@dataclass(frozen=True, slots=True)
class Asked:
    """What is to be verified. since: a commit's id or a time; None: from where `memory` is clean, or all.

    expect: a commit's id, or the chain's value at one, that the history must have. full: walk all, whatever is known.
    """

    since: str | datetime | None = None
    expect: str | None = None
    full: bool = False
    memory: Memory | None = None


@dataclass(slots=True)
class Verified:
    """chain: the chain's value at the tip; "" where the tip has none. since: the commit after which it was walked.

    remembered: whether `since` was remembered. epoch: which the history began with. memory: what to remember now;
    None where the tip does not continue what was.
    """

    tip: str
    chain: str
    walked: Walked
    since: str | None = None
    remembered: bool = False
    epoch: Epoch | None = None
    memory: Memory | None = None
    found: Found = field(default_factory=Found)


def verify(
    repository: Repository,
    tip: str,
    terms: Terms,
    asked: Asked,
    *,
    now: datetime,
    jobs: int = 1,
    on_progress: OnProgress = lambda _commits, _records: None,
) -> Verified:
    """Verify what leads to a tip.

    now: to tell commits of the future. jobs: processes that judge side by side. on_progress: commits, records so far.
    Raises GitError; CannotAnswer "ledger-shallow", "no-ssh-keygen".
    """
    found = Found()
    seen = asked.memory.seen if asked.memory else None
    continued = seen is None or is_ancestor(repository, seen.commit, tip)
    if asked.memory and not continued:  # what was clean there is nowhere here
        asked = replace(asked, memory=Memory(asked.memory.seen))
    clean = _usable(asked, terms)
    since = clean.commit if clean else _start(repository, tip, asked.since, found)
    # A copy: what is added to must not be what is remembered where something is found.
    before = replace(deepcopy(clean.walked), found=found) if clean else Walked(found=found)
    with _whole(repository, tip, found):
        walked = walk(repository, tip, terms, now=now, since=since, walked=before, jobs=jobs, on_progress=on_progress)
    with repository.reader() as reader:
        link = link_of(reader, tip)
        epoch = epochs.of_commit(_bytes(reader, walked.root))
    verified = Verified(tip, link.next_prev if link else "", walked, since, clean is not None, epoch, None, found)
    if epoch is not None and terms.signers is not None and walked.stretches[0].how == "unsigned":
        found.add(Finding("unsigned", "the commit that begins an epoch is not signed", walked.root))
    if seen is not None:
        goes_on = _has_chain if continued else _is_epoch_after
        continued = goes_on(repository, seen, verified, terms)
    _check_expected(repository, verified, asked.expect)
    if continued:
        verified.memory = _memory(verified, terms, asked, now)
    return verified


@contextmanager
def _whole(repository: Repository, tip: str, found: Found) -> Iterator[None]:
    """Raises CannotAnswer "ledger-shallow" where what a repository left out on purpose would look like a loss."""
    if is_shallow(repository) and b"\nparent " in epochs.root_of(repository, tip).partition(b"\n\n")[0]:
        raise _left_out("its last commits alone", "`git fetch --unshallow` brings the others")
    fault: CannotAnswer | None = None
    try:
        yield
    except CannotAnswer as refused:
        if refused.code != "git-refused":
            raise
        fault = refused
    if (fault or "missing-bytes" in found.counts) and is_partial(repository):
        raise _left_out("not the bytes of all files", "clone it anew without --filter, and verify there")
    if fault:
        raise fault


def _left_out(what: str, fix: str) -> CannotAnswer:
    return CannotAnswer(
        "ledger-shallow",
        f"of the ledger, this repository has {what}",
        why="it was cloned, or fetched into, with --depth or --filter",
        fix=fix,
    )


def _usable(asked: Asked, terms: Terms) -> Clean | None:
    """From where on to walk, for all before was clean by the same terms."""
    clean = asked.memory.clean if asked.memory else None
    if clean is None or asked.full or asked.since is not None or clean.terms != _digest(terms):
        return None
    return clean


def _digest(terms: Terms) -> str:
    return canonical.digest([terms.signers.text if terms.signers else None, sorted(terms.elsewhere)])


def _start(repository: Repository, tip: str, since: str | datetime | None, found: Found) -> str | None:
    """The commit after which to walk; None: walk all."""
    if isinstance(since, datetime):
        before: str | None = None
        latest = 0
        for commit in commits(repository, tip):
            # One that says a time long before an earlier one's may have been made at any time after that.
            if commit.seconds >= since.timestamp() or commit.seconds < latest - SKEW_SECONDS:
                return before
            before, latest = commit.oid, max(latest, commit.seconds)
        return tip
    if since is None:
        return None
    oid = repository.resolve(since)
    if oid is None or not is_ancestor(repository, oid, tip):
        found.add(Finding("ledger-rewritten", f"{since} does not lead to the tip {tip}", tip))
        return None
    return oid


def _bytes(reader: Reader, oid: str) -> bytes:
    """Of a commit; empty where it is not there."""
    found = reader.get(oid) if oid else None
    return found.data if found is not None and found.kind == "commit" else b""


def _has_chain(repository: Repository, seen: Seen, verified: Verified, _terms: Terms) -> bool:
    """Whether the chain's value at the known tip is what it was, whatever a SHA-1 is worth. Adds a finding if not."""
    with repository.reader() as reader:
        known = link_of(reader, seen.commit)
    if not seen.chain or (known is not None and known.next_prev == seen.chain):
        return True
    message = f"the chain's value at {seen.commit} is not {seen.chain} any more"
    verified.found.add(Finding("ledger-rewritten", message, seen.commit))
    return False


def _is_epoch_after(repository: Repository, seen: Seen, verified: Verified, terms: Terms) -> bool:
    """Whether a history that the known tip does not lead to is an epoch after it. Adds a finding where it is not."""
    root = verified.walked.root
    with repository.reader() as reader:
        known, begun = _bytes(reader, seen.commit), _bytes(reader, root)
    has_root, leads_to = is_ancestor(repository, root, seen.commit), partial(is_ancestor, repository, seen.commit)
    rewritten = Rewritten(seen.commit, known, verified.tip, root, begun, has_root, leads_to, repository)
    try:
        epoch = epochs.judge(rewritten, terms.signers, where="the ledger", mend="")
    except CannotAnswer as fault:
        if fault.code != "ledger-rewritten":
            raise
        found = Finding("ledger-rewritten", _unlike(seen, verified, fault.why), verified.tip)
    except GitError as error:
        found = Finding("ledger-rewritten", _unlike(seen, verified, str(error)), verified.tip)
    else:
        if epoch.prev_tip != seen.commit or not seen.chain or epoch.prev == seen.chain:
            if terms.signers is None:
                message = f"epoch {epoch.number} took the place of the history up to {epoch.prev_tip}"
                verified.found.add(Finding("unsigned-epoch", message, root))
            return True
        message = f"its Mlgen-Prev-Sha256 is {epoch.prev}, and the chain's value at {seen.commit} was {seen.chain}"
        found = Finding("chain-broken", message, root)
    verified.found.add(found)
    return False


def _unlike(seen: Seen, verified: Verified, why: str) -> str:
    return f"{seen.commit}, seen at {seen.at}, does not lead to the tip {verified.tip}: {why}"


def _check_expected(repository: Repository, verified: Verified, expect: str | None) -> None:
    tip = verified.tip
    if expect is None or expect in (tip, verified.chain):
        return
    if is_ancestor(repository, expect, tip) or _has_value(repository, tip, expect):
        return
    message = f"no commit that leads to the tip {tip} has the id, or the chain's value, {expect}"
    verified.found.add(Finding("ledger-rewritten", message, tip))


def _has_value(repository: Repository, tip: str, value: str) -> bool:
    """Whether the chain had a value somewhere: then the commit after that one names it."""
    if len(value) != len(chain.START):
        return False
    with repository.reader() as reader:
        heads = reader.get_all(commit.oid for commit in commits(repository, tip))
        links = (chain.of_commit(one.data) for one in heads if one is not None)
        return any(link is not None and link.prev == value for link in links)


def _memory(verified: Verified, terms: Terms, asked: Asked, now: datetime) -> Memory:
    seen = Seen(verified.tip, verified.chain, now.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"))
    before = asked.memory.clean if asked.memory else None
    if verified.found.count or asked.since is not None:
        # What was clean stays so, and is where the next walk begins: it finds the same again.
        return Memory(seen, before)
    return Memory(seen, Clean(verified.tip, _digest(terms), verified.walked))
