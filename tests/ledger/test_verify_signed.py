"""Verification of signatures, and of epochs: the one way in which a history is begun anew."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from mlgen.ledger import chain
from mlgen.ledger.records.entry import to_bytes
from mlgen.ledger.verify.span import Terms
from tests.ledger import records
from tests.ledger.tampering import REF, SECONDS, Lab, Shown, by, entries, shown, signers
from tests.ssh_keys import allowed


def test_signatures_and_the_part_that_has_none(signed: Lab) -> None:
    verified = signed.verify()
    assert verified.found.kept == []
    walked, commits = verified.walked, signed.commits
    assert walked.principals == {"alice": 2, "bob": 2}
    assert walked.signatures == {"unsigned": 2, "signed": 4}
    assert [(one.how, one.first, one.last, one.commits) for one in walked.stretches] == [
        ("unsigned", commits[0], commits[1], 2),
        ("signed", commits[2], commits[5], 4),
    ]
    unasked = replace(signed, terms=Terms()).verify()
    assert (unasked.found.kept, unasked.walked.signatures) == ([], {"unsigned": 2, "unchecked": 4})


def add(lab: Lab, **how: Any) -> str:
    entry = records.task("rx")
    return lab.move(lab.commit({entry.path: to_bytes(entry)}, **how))


def test_a_wrong_signer(signed: Lab, keys: dict[str, Path]) -> None:
    memory = signed.verify().memory
    signed.signer = by(keys["mallory"])
    assert shown(signed, memory) == []
    bad = add(signed)
    assert shown(signed) == shown(signed, memory) == [Shown("wrong-signature", bad)]


def test_a_key_whose_period_ended(signed: Lab, keys: dict[str, Path]) -> None:
    signed.signer = by(keys["alice"])
    assert shown(signed) == []
    assert Shown("wrong-signature", add(signed)) in shown(signed)


def test_a_key_whose_period_ended_and_a_clock_turned_back(signed: Lab, keys: dict[str, Path]) -> None:
    """A thief of an old key writes an old time: but commits before his say a later one."""
    signed.signer = by(keys["alice"])
    bad = add(signed, seconds=SECONDS + 600)
    verified = signed.verify()
    assert [(one.code, one.commit) for one in verified.found.kept] == [("wrong-signature", bad)]
    assert verified.walked.odd_times == [(bad, "before an earlier commit's")]


def test_a_clock_far_ahead_judges_no_other_commit(tmp_path: Path, keys: dict[str, Path]) -> None:
    """Whenever it is asked: on the day, when the next period has begun, and when that time has come."""
    lab, year = Lab.make(tmp_path), 365 * 86_400
    for run, name, ahead in (("r1", "alice", 0), ("r2", "bob", year), ("r3", "alice", 0), ("r4", "alice", 0)):
        lab.signer = by(keys[name])
        lab.seconds += ahead
        lab.land(*entries(run))
        lab.seconds -= ahead
    ended = datetime.fromtimestamp(SECONDS + 86_400, UTC)
    text = allowed(keys["alice"], "alice", f'namespaces="git",valid-before="{ended:%Y%m%d%H%M%S}Z"')
    lab.terms = Terms(signers(text + allowed(keys["bob"], "bob")))
    for days in (0, 10, 2 * 365):
        at = replace(lab, seconds=lab.seconds + days * 86_400)
        assert shown(at) == []


def test_the_signature_of_another_commit(signed: Lab) -> None:
    good = signed.data(signed.tip)
    signature = b"gpgsig " + good.partition(b"gpgsig ")[2].partition(b"\n\n")[0]
    plain = signed.data(add(signed, signed=False))
    bad = plain.replace(b"\n\n", b"\n" + signature + b"\n\n", 1)
    oid = signed.move(signed.git("hash-object", "-t", "commit", "-w", "--stdin", data=bad))
    assert shown(signed) == [Shown("wrong-signature", oid)]


def test_an_unsigned_commit_among_signed_ones(signed: Lab) -> None:
    bad = add(signed, signed=False)
    signed.land(*entries("r7"))
    assert shown(signed) == [Shown("unsigned", bad)]


def test_signatures_taken_away(signed: Lab) -> None:
    signed.move(signed.again(signed.commits, None, right=True))  # signed by bob, all of them
    assert shown(signed) == []
    signed.signer = None
    signed.move(signed.again(signed.commits, None, right=True))
    assert shown(signed) == [Shown("unsigned", signed.tip)]


def test_a_ledger_without_a_signature_where_keys_are_named(lab: Lab, keys: dict[str, Path]) -> None:
    lab.terms = Terms(signers(allowed(keys["bob"], "bob")))
    assert shown(lab) == [Shown("unsigned", lab.tip)]


def test_other_keys_are_asked_about_all_commits(signed: Lab, keys: dict[str, Path]) -> None:
    memory = signed.verify().memory
    signed.terms = Terms(signers(allowed(keys["alice"], "alice")))
    assert shown(signed, memory) == [Shown("wrong-signature", one) for one in signed.commits[4:]]


# Epochs: the one way in which a history is begun anew.


def begin(
    lab: Lab,
    *,
    without: str = "",
    more: dict[str, bytes] | None = None,
    after: str = "",
    prev: str = "",
    number: int = 1,
    **how: Any,
) -> str:
    """An epoch of all records but one; of those of the branch, after its tip. more: what is not as it was there."""
    tip = lab.tip
    link = chain.of_commit(lab.data(tip))
    assert link is not None
    paths = lab.git("ls-tree", "-r", "--name-only", tip).splitlines()
    files = {**{path: lab.file(tip, path) for path in paths if path != without}, **(more or {})}
    batch = chain.link(files, None).batch
    head = f"Mlgen-Epoch: {number}\nMlgen-Prev-Tip: {after or tip}\n"
    trailers = head + chain.Link(batch, prev or link.next_prev).trailers
    return lab.move(lab.commit(files, parent=None, trailers=trailers, **how))


def test_an_epoch_is_accepted_and_the_chain_goes_on(lab: Lab) -> None:
    before = lab.verify()
    gone = records.task("r2", "train").path
    root = begin(lab, without=gone)
    lab.land(*entries("r5"))
    for memory in (before.memory, None):
        verified = lab.verify(memory)
        told = [(one.code, one.commit) for one in verified.found.kept]
        assert told == ([("unsigned-epoch", root)] if memory else []), "when it is first met"
        assert (verified.walked.records, verified.walked.commits) == (14, 2)
        assert verified.epoch is not None
        assert (verified.epoch.number, verified.epoch.prev_tip, verified.walked.root) == (1, before.tip, root)
        assert lab.verify(verified.memory).found.kept == []
    assert lab.verify(expect=before.chain).found.kept == []  # an auditor's value stands in the epoch's root
    assert shown(lab, lab.verify(before.memory).memory) == []


def test_an_epoch_whose_last_tip_was_not_seen(lab: Lab) -> None:
    memory = lab.verify().memory
    lab.land(*entries("r5"))
    root = begin(lab)
    # The tip before it is still here, and goes on from what was seen.
    assert shown(lab, memory) == [Shown("unsigned-epoch", root)]
    lab.git("reflog", "expire", "--expire=now", "--all")
    lab.git("gc", "-q", "--prune=now")
    assert shown(lab, memory) == [Shown("ledger-rewritten", lab.tip)]  # now nobody here can say so


@pytest.mark.parametrize(
    ("after", "prev", "code"), [("ab" * 20, "", "ledger-rewritten"), ("", "ab" * 32, "chain-broken")]
)
def test_what_only_says_that_it_is_an_epoch(lab: Lab, after: str, prev: str, code: str) -> None:
    memory = lab.verify().memory
    begin(lab, after=after, prev=prev)
    found = lab.verify(memory)
    assert [one.code for one in found.found.kept] == [code]
    assert found.memory is None


def test_an_epoch_must_be_signed_where_keys_are_named(signed: Lab, keys: dict[str, Path]) -> None:
    memory = signed.verify().memory
    commits = signed.tip
    begin(signed)
    assert shown(signed, memory) == []
    signed.move(commits)
    root = begin(signed, signed=False)
    assert Shown("unsigned", root) in shown(signed, memory)
    signed.move(commits)
    signed.signer = by(keys["mallory"])
    root = begin(signed)
    assert Shown("wrong-signature", root) in shown(signed, memory)
    assert Shown("ledger-rewritten", root) in shown(signed, memory)


def changed(lab: Lab) -> dict[str, bytes]:
    return {(entry := records.task("r2", "train", metrics={"auc": 0.999})).path: to_bytes(entry)}


def added(lab: Lab) -> dict[str, bytes]:
    return {(entry := records.task("r9", "train")).path: to_bytes(entry)}


@pytest.mark.parametrize("name", ["lab", "signed"])
@pytest.mark.parametrize("more", [changed, added])
def test_an_epoch_only_leaves_out(request: pytest.FixtureRequest, name: str, more: Any) -> None:
    lab: Lab = request.getfixturevalue(name)
    memory = lab.verify().memory
    root = begin(lab, more=more(lab))
    assert shown(lab) == []  # by itself it cannot be seen
    found = lab.verify(memory)
    assert [(one.code, one.commit) for one in found.found.kept] == [("ledger-rewritten", root)]
    assert f"does not only leave out: {next(iter(more(lab)))}" in found.found.kept[0].message
    assert found.memory is None


def test_an_epoch_of_another_ledger_that_the_same_keys_sign(signed: Lab, tmp_path: Path) -> None:
    memory = signed.verify().memory
    (tmp_path / "other").mkdir()
    other = replace(Lab.make(tmp_path / "other"), signer=signed.signer, terms=signed.terms, seconds=signed.seconds)
    other.land(*entries("p1"))
    root = begin(other)
    signed.git("fetch", "-q", str(other.repository.git_dir), f"+{REF}:{REF}")
    assert shown(signed, memory) == [Shown("ledger-rewritten", root)]


def test_an_epoch_after_a_tip_that_was_never_seen(signed: Lab, tmp_path: Path) -> None:
    memory = signed.verify().memory
    ahead = signed.copy(tmp_path / "ahead")
    ahead.land(*entries("r9"))
    root = begin(ahead, without=records.task("r2", "train").path)
    url = str(ahead.repository.git_dir)
    signed.git("fetch", "-q", "--depth=1", f"file://{url}", f"+{REF}:{REF}")
    assert signed.tip == root
    assert shown(signed, memory) == []


def test_an_epoch_does_not_hide_what_was_changed_before_it(lab: Lab) -> None:
    """The commit that changes a record is no part of the new history, where no walk sees it."""
    memory = lab.verify().memory
    lab.move(lab.commit(changed(lab)))
    begin(lab)
    assert shown(lab, memory) == [Shown("ledger-rewritten", lab.tip)]


def test_after_an_epoch_that_was_told_of_all_is_walked_once(lab: Lab) -> None:
    memory = lab.verify().memory
    begin(lab, without=records.task("r2", "train").path)
    memory = lab.verify(memory).memory
    assert memory is not None
    assert memory.clean is None
    again = lab.verify(memory)
    assert (again.found.kept, again.walked.records, again.walked.commits) == ([], 11, 1)
    assert lab.verify(again.memory).since == lab.tip
