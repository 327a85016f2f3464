"""What waits after an outage: it lands push by push, in bounded memory, and slows no writer down."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from mlgen.ledger.folding.fold import Expected, Load, fold
from mlgen.ledger.folding.spool import SPOOL, Spool
from mlgen.ledger.folding.turns import Paced
from mlgen.runtime.pod.contract import Fold
from mlgen.runtime.pod.landing import Pace, land
from mlgen.store import Folder, open_store
from tests import git_host, s3
from tests.git_host import GitHost
from tests.ledger import records
from tests.ledger.storm import Clock
from tests.ledger.test_fold import NOW, check_chain, on_branch
from tests.ledger.test_fold_remote import commits, remote, there


def pushes(host: GitHost) -> int:
    return sum(request.startswith("POST") and request.endswith("/git-receive-pack") for request in host.requests)


@pytest.mark.parametrize(("load", "count"), [(Load(records=3), 3), (Load(size_bytes=1), 7), (Load(), 1)])
def test_it_lands_push_by_push(host: GitHost, spool: Spool, tmp_path: Path, load: Load, count: int) -> None:
    entries = [records.task(run=f"r{n % 3}", name=f"t{n}") for n in range(7)]
    for entry in entries:
        spool.put(entry)
    told: list[int] = []
    folded = fold(spool, remote(host, tmp_path), "ledger", now=NOW, batch=2, load=load, on_progress=told.append)
    assert (len(folded.landed), folded.later, spool.waiting()) == (7, 0, [])
    assert (pushes(host), len(told), told[-1]) == (count, count, 7)
    assert set(on_branch(there(host))) == {entry.path for entry in entries}
    check_chain(there(host), commits(host))


def test_what_stays_does_not_hide_what_waits_behind_it(host: GitHost, spool: Spool, tmp_path: Path) -> None:
    mine = [records.task(name=f"t{n}", env="mine") for n in range(9)]
    for entry in (*mine, *(records.task(name=f"t{n}", env="theirs") for n in range(40))):
        spool.put(entry)
    for name in ("0", "z"):
        spool.store.put(f"{SPOOL}/{name}", b"")
    expected = Expected(frozenset({"mine"}), None)
    folded = fold(spool, remote(host, tmp_path), "ledger", now=NOW, expected=expected, load=Load(records=3))
    assert sorted(folded.landed) == sorted(entry.path for entry in mine)
    assert len(folded.left) == len({one.key for one in folded.left}) == 42
    assert len(spool.waiting()) == 40


def test_a_writer_asks_the_store_once_however_many_wait(tmp_path: Path) -> None:
    with s3.serve() as server:
        spool = Spool(open_store("s3://b/a", options=server.options, base=tmp_path))
        for n in range(50):
            before = len(server.asked)
            spool.put(records.task(name=f"t{n}"))
            assert [method for method, _ in server.asked[before:]] == ["PUT"]


def paced(spool: Spool, who: str, *, seconds: float, sleep: Callable[[float], None] = time.sleep) -> Paced:
    return Paced(spool.store, "l", 10**9, who, Clock(), sleep, until=time.monotonic() + seconds)


def test_who_has_no_turn_leaves_it_to_others(host: GitHost, spool: Spool, tmp_path: Path) -> None:
    key = spool.put(records.task())
    assert paced(spool, "other", seconds=60).take()
    folded = fold(spool, remote(host, tmp_path), "ledger", now=NOW, turns=paced(spool, "me", seconds=60))
    assert (folded.landed, folded.later, spool.waiting()) == ([], 1, [key])
    assert pushes(host) == 0


def test_who_waits_for_a_turn_looks_whether_another_was_faster(host: GitHost, spool: Spool, tmp_path: Path) -> None:
    spool.put(records.task())
    assert paced(spool, "other", seconds=60).take()

    def other(_: float) -> None:
        fold(spool, remote(host, tmp_path, "other"), "ledger", now=NOW)

    turns = paced(spool, "me", seconds=1e10, sleep=other)
    folded = fold(spool, remote(host, tmp_path), "ledger", now=NOW, turns=turns)
    assert (folded.landed, folded.later, spool.waiting()) == ([], 0, [])
    assert pushes(host) == 1


def test_who_loses_a_race_needs_another_turn(host: GitHost, spool: Spool, tmp_path: Path) -> None:
    """Else those that are slower than the others would push as often as they like."""
    spool.put(records.task(name="a"))
    theirs = Spool(Folder(tmp_path / "theirs", "theirs"))
    theirs.put(records.task(name="b"))

    def race(path: str) -> str:
        if path.endswith("service=git-receive-pack") and theirs.waiting():
            host.fault = git_host.no_fault
            fold(theirs, remote(host, tmp_path, "other"), "ledger", now=NOW)
        return ""

    host.fault = race
    folded = fold(spool, remote(host, tmp_path), "ledger", now=NOW, turns=paced(spool, "me", seconds=60))
    assert (folded.landed, folded.later, len(spool.waiting())) == ([], 1, 1)
    assert list(on_branch(there(host))) == [records.task(name="b").path]


def test_of_many_pods_at_once_one_asks_the_host(host: GitHost, tmp_path: Path) -> None:
    secret = git_host.secret(tmp_path / "secret")
    with s3.serve() as server, ThreadPoolExecutor(32) as pool:
        store = open_store("s3://b/a", options=server.options, base=tmp_path)
        for n in range(32):
            Spool(store).put(records.task(name=f"t{n}", env="prod"))

        def end(n: int) -> int:
            folded = land(
                Fold(f"{host.url}/l.git", "ledger", 10**9),
                store,
                env="prod",
                secret=secret,
                scratch=tmp_path / f"scratch{n}",
                environ=os.environ,
                pace=Pace(f"pod{n}", Clock(), time.sleep, patient=False),
                seconds=60,
            )
            return len(folded.landed)

        landed = list(pool.map(end, range(32)))
        assert sorted(landed) == [0] * 31 + [32]
        assert Spool(store).waiting() == []
    assert pushes(host) == 1
    assert len(host.requests) <= 12, "what one fold asks"
