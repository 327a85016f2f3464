"""Which rewritten histories a reader accepts, and what the root of an epoch says."""

from __future__ import annotations

import hashlib
import os
from dataclasses import replace
from pathlib import Path

import pytest

from mlgen import git
from mlgen.diagnostic import CannotAnswer
from mlgen.git import Rewritten, Signer, Signers
from mlgen.ledger import chain, epoch
from mlgen.ledger.epoch import Epoch
from tests.ssh_keys import allowed, new_key

KNOWN, TIP, ROOT, OTHER = ("a" * 40, "b" * 40, "c" * 40, "d" * 40)
LATE, EARLY = 2_000_000_000, 1_000_000_000
ENVIRON = {"PATH": os.environ["PATH"]}


def commit(message: str, seconds: int = LATE, parent: str = "") -> bytes:
    head = f"tree {'0' * 40}\n{f'parent {parent}{chr(10)}' if parent else ''}"
    return f"{head}author a <a@b> {seconds} +0000\ncommitter a <a@b> {seconds} +0000\n\n{message}".encode()


def root(prev_tip: str = KNOWN, seconds: int = LATE) -> bytes:
    return commit(epoch.message(Epoch(3, prev_tip, "e" * 64), "f" * 64, dropped=2, because="asked for"), seconds)


def rewritten(root_commit: bytes, *, has_root: bool = False) -> Rewritten:
    return Rewritten(KNOWN, commit("known", EARLY), TIP, ROOT, root_commit, has_root)


def judge(one: Rewritten, signers: Signers | None = None) -> Epoch:
    return epoch.judge(one, signers, where="the ledger", mend="ask")


def refusal(one: Rewritten, signers: Signers | None = None) -> str:
    with pytest.raises(CannotAnswer) as error:
        judge(one, signers)
    assert error.value.code == "ledger-rewritten"
    assert KNOWN in error.value.message
    assert TIP in error.value.message
    return error.value.why


def test_a_root_says_what_came_before() -> None:
    assert epoch.of_commit(root()) == Epoch(3, KNOWN, "e" * 64)
    link = chain.of_commit(root())
    assert link == chain.Link("f" * 64, "e" * 64), "the chain goes on"
    assert b"2 records dropped\n\nasked for\n\nMlgen-Epoch: 3\n" in root()


@pytest.mark.parametrize(
    "one",
    [
        commit("m"),
        commit(root().partition(b"\n\n")[2].decode(), parent=KNOWN),
        root().replace(b"Mlgen-Epoch: 3", b"Mlgen-Epoch: x"),
        root().replace(b"Mlgen-Epoch: 3\n", b""),
        root().replace(b"Mlgen-Epoch: 3\n", b"Mlgen-Epoch: 3\nMlgen-Epoch: 4\n"),
        root().replace(b"Mlgen-Prev-Tip", b"Mlgen-Other"),
        root().replace(b"Mlgen-Batch", b"Mlgen-Other"),
        root() + b"\n\nanother paragraph\n",
    ],
)
def test_what_is_no_epoch(one: bytes) -> None:
    assert epoch.of_commit(one) is None
    assert "no epoch" in refusal(rewritten(one))


def test_without_signers_it_must_name_the_tip_that_is_known() -> None:
    assert judge(rewritten(root())).number == 3
    assert f"after {OTHER}, which is not known here" in refusal(rewritten(root(OTHER)))
    assert judge(replace(rewritten(root(OTHER)), leads_to=OTHER.__eq__)).prev_tip == OTHER
    assert "no epoch that came after" in refusal(rewritten(root(), has_root=True))


def test_with_signers_it_must_be_signed_and_later(tmp_path: Path) -> None:
    key, thief = new_key(tmp_path / "key"), new_key(tmp_path / "thief")
    signers = Signers(allowed(key, "keeper"), ENVIRON)
    by, by_thief = (Signer(one, "the key", environ=ENVIRON).sign for one in (key, thief))
    assert judge(rewritten(by(root())), signers).number == 3
    assert judge(rewritten(by(root(OTHER))), signers).number == 3, "readers seldom know the last tip"
    assert "not signed" in refusal(rewritten(root()), signers)
    assert "not allowed to sign" in refusal(rewritten(by_thief(root())), signers)
    assert "before the commit that is known" in refusal(rewritten(by(root(OTHER, EARLY - 1))), signers), (
        "an old epoch again"
    )
    assert "no epoch that came after" in refusal(rewritten(by(root(OTHER)), has_root=True), signers)


def test_a_batch_of_many_files_is_that_of_few(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chain, "_PART", 3)
    files = {f"runs/{n * 7 % 10}/{n}.json": str(n).encode() for n in range(10)}
    with chain.Batch() as batch:
        for count, (path, data) in enumerate(files.items(), 1):
            batch.add(path, hashlib.sha256(data).hexdigest())
            few = dict(list(files.items())[:count])
            assert batch.digest() == chain.link(few, None).batch


def test_git_reads_the_trailers(tmp_path: Path) -> None:
    repository = git.init_bare(tmp_path / "l.git", {**ENVIRON, "GIT_CONFIG_GLOBAL": "/dev/null"})
    text = root().partition(b"\n\n")[2]
    trailers = repository.run("interpret-trailers", "--parse", data=text).decode().splitlines()
    names = ["Mlgen-Epoch", "Mlgen-Prev-Tip", "Mlgen-Batch-Sha256", "Mlgen-Prev-Sha256"]
    assert [line.partition(":")[0] for line in trailers] == names
