"""Folding into a repository elsewhere: many at once, killed at any point, a host that fails or refuses."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest

from mlgen import git
from mlgen.diagnostic import CannotAnswer
from mlgen.git import Remote
from mlgen.ledger.folding.fold import Expected, fold
from mlgen.ledger.folding.spool import Spool
from mlgen.ledger.records.entry import to_bytes
from mlgen.ledger.records.task import State
from mlgen.store import Folder
from tests import git_host
from tests.git_host import GitHost, secret
from tests.ledger import records
from tests.ledger.test_fold import ENVIRON, NOW, ROOT, call, check_chain, on_branch


@pytest.fixture
def far(host: GitHost, tmp_path: Path) -> Remote:
    return remote(host, tmp_path)


def remote(host: GitHost, tmp_path: Path, name: str = "scratch") -> Remote:
    token = secret(tmp_path / "secret")
    return git.open_remote(f"{host.url}/l.git", secret=token, scratch=tmp_path / name, environ=ENVIRON)


def there(host: GitHost) -> git.Repository:
    return git.init_bare(host.root / "l.git", ENVIRON)


def commits(host: GitHost) -> list[str]:
    return call(host.root / "l.git", "log", "--format=%H", "--reverse", "ledger").split()


def test_it_is_as_here(host: GitHost, far: Remote, spool: Spool, tmp_path: Path) -> None:
    assert fold(spool, far, "ledger", now=NOW).commit is None
    first, second, third = (records.task(name=name) for name in ("a", "b", "c"))
    spool.put(first)
    spool.put(second)
    folded = fold(spool, far, "ledger", now=NOW)
    assert sorted(folded.landed) == sorted([first.path, second.path])
    assert folded.commit == far.tip("refs/heads/ledger") == there(host).tip("refs/heads/ledger")
    spool.put(records.task(name="a"))
    conflict = spool.put(records.task(name="b", reason="Other"))
    spool.put(third)
    again = fold(spool, remote(host, tmp_path, "other"), "ledger", now=NOW)
    assert (again.landed, again.already) == ([third.path], [first.path])
    assert [one.key for one in again.conflicts] == [conflict]
    assert on_branch(there(host)) == {one.path: to_bytes(one) for one in (first, second, third)}
    assert spool.waiting() == []
    check_chain(there(host), commits(host))


def test_more_than_a_batch_and_runs_of_two_years(host: GitHost, far: Remote, spool: Spool) -> None:
    entries = [
        records.task(run=f"r{n % 4}", name=f"t{n}", ended_at=f"202{n % 2}-0{n % 3 + 1}-01T00:00:00Z") for n in range(25)
    ]
    for entry in entries:
        spool.put(entry)
    fold(spool, far, "ledger", now=NOW, batch=10)
    assert on_branch(there(host)) == {e.path: to_bytes(e) for e in entries}
    assert len(commits(host)) == 3


def test_a_ledger_of_others_is_left_to_them(far: Remote, spool: Spool) -> None:
    mine, theirs = records.task(env="mine"), records.task(env="theirs")
    spool.put(mine)
    key = spool.put(theirs)
    folded = fold(spool, far, "ledger", now=NOW, expected=Expected(frozenset({"mine"}), None))
    assert (folded.landed, [one.key for one in folded.left]) == ([mine.path], [key])
    assert (spool.waiting(), spool.dead()) == ([key], [])


@pytest.mark.parametrize("fault", ["late", "drop"])
def test_an_answer_lost_after_the_push(host: GitHost, far: Remote, spool: Spool, tmp_path: Path, fault: str) -> None:
    """Whether the push landed or not: nothing is forgotten, and nothing is there twice."""
    key = spool.put(records.task())
    host.fault = lambda path: fault if path.endswith("/git-receive-pack") else ""
    if fault == "late":
        assert fold(spool, far, "ledger", now=NOW).landed == [records.task().path]
        assert spool.waiting() == []
    else:
        with pytest.raises(CannotAnswer, match="cannot be reached"):
            fold(spool, far, "ledger", now=NOW)
        assert spool.waiting() == [key]
    host.fault = git_host.no_fault
    fold(spool, remote(host, tmp_path, "other"), "ledger", now=NOW)
    assert list(on_branch(there(host))) == [records.task().path]
    assert len(commits(host)) == 1


@pytest.mark.parametrize("shown_after", [None, 1])
def test_a_host_that_takes_a_push_and_shows_another_tip(
    host: GitHost, far: Remote, spool: Spool, tmp_path: Path, shown_after: int | None
) -> None:
    """It is looked at again, not pushed to again: a host that lets its branch jump back would be pushed to for ever."""
    spool.put(records.task("r0"))
    fold(spool, far, "ledger", now=NOW)
    pushes = tmp_path / "pushes"
    later = "" if shown_after is None else f"(sleep {shown_after}; git update-ref $r $n) >&- 2>&- &"
    hook = host.root / "l.git" / "hooks" / "post-receive"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text(f"#!/bin/sh\nread o n r; git update-ref $r $o; echo >> {pushes}; {later}\n")
    hook.chmod(0o755)
    key = spool.put(records.task("r1"))
    if shown_after is None:
        with pytest.raises(CannotAnswer, match="does not show it") as fault:
            fold(spool, far, "ledger", now=NOW)
        assert (fault.value.code, spool.waiting()) == ("ledger-not-kept", [key])
    else:
        assert fold(spool, far, "ledger", now=NOW).landed == [records.task("r1").path]
        assert spool.waiting() == []
    assert pushes.read_text() == "\n"


def test_a_host_that_goes_away_in_the_middle(host: GitHost, spool: Spool, tmp_path: Path) -> None:
    """At one request of a fold or another; whatever was done by then, the next fold ends it."""
    host.requests.clear()
    spool.put(records.task())
    fold(spool, remote(host, tmp_path, "whole"), "ledger", now=NOW)
    for at in range(0, len(host.requests) + 1, 4):
        asked = 0

        def away(_path: str, at: int = at) -> str:
            nonlocal asked
            asked += 1
            return "drop" if asked > at else ""

        record = records.task(run=f"r{at}")
        spool.put(record)
        host.fault = away
        with pytest.raises(CannotAnswer) as error:
            fold(spool, remote(host, tmp_path, f"s{at}"), "ledger", now=NOW)
        assert error.value.code == "git-unreachable"
        host.fault = git_host.no_fault
        fold(spool, remote(host, tmp_path, "after"), "ledger", now=NOW)
        assert spool.waiting() == []
        assert record.path in on_branch(there(host))
    changes = call(host.root / "l.git", "log", "--format=", "--name-status", "ledger").split("\n")
    assert sorted(line for line in changes if line) == sorted(f"A\t{path}" for path in on_branch(there(host)))


HOOK = """#!/bin/sh
while read -r old new ref; do
    ! git grep -q POISON "$new" -- || { echo "push protection: a token in a file" >&2; exit 1; }
done
"""


def refuse_poison(host: GitHost) -> None:
    hook = host.root / "l.git" / "hooks" / "pre-receive"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text(HOOK)
    hook.chmod(0o755)


def test_a_record_that_the_host_refuses_holds_back_no_other(host: GitHost, far: Remote, spool: Spool) -> None:
    refuse_poison(host)
    good = [records.task(name=f"t{n}") for n in range(9)]
    bad = records.task(name="bad", error="POISON", state=State.FAIL)
    for entry in (*good, bad):
        spool.put(entry)
    folded = fold(spool, far, "ledger", now=NOW)
    assert sorted(folded.landed) == sorted(e.path for e in good) == sorted(on_branch(there(host)))
    assert [(one.path, one.code) for one in folded.refused] == [(bad.path, "git-push-refused")]
    assert "push protection" in folded.refused[0].message
    assert (spool.waiting(), len(spool.dead())) == ([], 1)
    check_chain(there(host), commits(host))


def test_a_branch_that_takes_nothing_buries_nothing(host: GitHost, far: Remote, spool: Spool) -> None:
    refuse_poison(host)
    for n in range(5):
        spool.put(records.task(name=f"t{n}", error="POISON", state=State.FAIL))
    with pytest.raises(CannotAnswer) as error:
        fold(spool, far, "ledger", now=NOW)
    assert error.value.code == "git-push-refused"
    assert "push protection" in error.value.why
    assert (len(spool.waiting()), spool.dead()) == (5, [])


def test_a_push_that_is_too_large_goes_in_parts(host: GitHost, far: Remote, spool: Spool) -> None:
    for n in range(4):
        spool.put(records.task(name=f"t{n}"))
    refusals = iter(["413"])
    host.fault = lambda path: next(refusals, "") if path.endswith("/git-receive-pack") else ""
    folded = fold(spool, far, "ledger", now=NOW)
    assert (len(folded.landed), spool.waiting()) == (4, [])
    assert len(commits(host)) == 2


WRITER = """
import os, sys
from datetime import UTC, datetime
from pathlib import Path
from mlgen import git
from mlgen.ledger.folding.fold import fold
from mlgen.ledger.records.task import State
from mlgen.ledger.folding.spool import Spool
from mlgen.store import Folder
from tests.ledger import records
root, url, name, count = Path(sys.argv[1]), sys.argv[2], sys.argv[3], int(sys.argv[4])
spool = Spool(Folder(root / "artifacts", "artifacts"))
acknowledged = open(root / f"{name}.ack", "a")
for n in range(count):
    record = records.task(run=f"{name}-{n}")
    spool.put(record)
    acknowledged.write(record.path + "\\n")
    acknowledged.flush()
    remote = git.open_remote(url, secret=root / "secret", scratch=root / f"scratch-{name}")
    fold(spool, remote, "ledger", now=datetime(2026, 11, 28, tzinfo=UTC))
"""


def writer(host: GitHost, root: Path, name: str, count: int) -> subprocess.Popen[bytes]:
    secret(root / "secret")
    env = {**ENVIRON, "PYTHONPATH": os.pathsep.join([str(ROOT / "generator"), str(ROOT)])}
    command = [sys.executable, "-c", WRITER, str(root), f"{host.url}/l.git", name, str(count)]
    return subprocess.Popen(command, env=env, start_new_session=True)


def check_all_landed(host: GitHost, root: Path) -> None:
    """Every acknowledged record is on the host's branch, added by exactly one commit; the repository is sound."""
    acknowledged = {line for path in root.glob("*.ack") for line in path.read_text().splitlines()}
    landed = on_branch(there(host))
    assert acknowledged
    assert acknowledged <= set(landed)
    assert Spool(Folder(root / "artifacts", "artifacts")).waiting() == []
    changes = call(host.root / "l.git", "log", "--format=", "--name-status", "ledger").splitlines()
    assert sorted(line for line in changes if line) == sorted(f"A\t{path}" for path in landed)
    assert call(host.root / "l.git", "log", "--merges", "--format=%H", "ledger") == ""
    assert "error" not in call(host.root / "l.git", "fsck", "--strict")


def test_folds_at_once_lose_nothing(host: GitHost, tmp_path: Path) -> None:
    writers = [writer(host, tmp_path, f"w{n}", 1) for n in range(4)]
    assert [w.wait(timeout=120) for w in writers] == [0] * 4
    check_all_landed(host, tmp_path)


ONCE = """
import os, signal, sys
from datetime import UTC, datetime
from pathlib import Path
from mlgen import git
from mlgen.ledger.folding.fold import fold
from mlgen.ledger.folding.spool import Spool
from mlgen.store import Folder
class Dies(Folder):
    def delete(self, key):
        if sys.argv[3] == "read back": os.kill(os.getpid(), signal.SIGKILL)
        super().delete(key)
        if sys.argv[3] == "one deleted": os.kill(os.getpid(), signal.SIGKILL)
root, url = Path(sys.argv[1]), sys.argv[2]
remote = git.open_remote(url, secret=root / "secret", scratch=root / "scratch")
fold(Spool(Dies(root / "artifacts", "artifacts")), remote, "ledger", now=datetime(2026, 11, 28, tzinfo=UTC))
"""
# A point in a fold -> (which request there, its path's end, what becomes of the request). Of the others: see ONCE.
POINTS = {
    "before anything": (1, "/info/refs?service=git-upload-pack", "drop"),
    "trees fetched": (3, "/git-upload-pack", "drop"),
    "before the push": (1, "/info/refs?service=git-receive-pack", "drop"),
    "push under way": (1, "/git-receive-pack", "drop"),
    "push landed": (1, "/git-receive-pack", "late"),
    "read back": None,
    "one deleted": None,
}


@pytest.mark.parametrize("point", POINTS)
def test_a_kill_at_a_point(host: GitHost, spool: Spool, tmp_path: Path, point: str) -> None:
    spool.put(records.task(run="before"))
    fold(spool, remote(host, tmp_path, "other"), "ledger", now=NOW)
    paths = {records.task(name=name).path for name in ("a", "b")}
    for name in ("a", "b"):
        spool.put(records.task(name=name))
    env = {**ENVIRON, "PYTHONPATH": os.pathsep.join([str(ROOT / "generator"), str(ROOT)])}
    command = [sys.executable, "-c", ONCE, str(tmp_path), f"{host.url}/l.git", point]
    seen = 0
    with subprocess.Popen(command, env=env) as one:

        def kill(path: str) -> str:
            nonlocal seen
            number, end, fate = POINTS[point] or (0, "", "")
            seen += bool(end) and path.endswith(end)
            if not end or seen < number:
                return ""
            one.kill()
            return fate if seen == number and path.endswith(end) else "drop"

        host.fault = kill
        assert one.wait(timeout=60) == -signal.SIGKILL
    host.fault = git_host.no_fault
    expected = paths if point in ("push landed", "read back", "one deleted") else set()
    until = time.monotonic() + 20
    while (landed := set(on_branch(there(host))) & paths) != expected and time.monotonic() < until:
        time.sleep(0.05)  # the host goes on with a push whose sender is gone
    assert landed == expected
    assert len(spool.waiting()) == (1 if point == "one deleted" else 2)
    fold(spool, remote(host, tmp_path), "ledger", now=NOW)  # with the scratch of the one that was killed
    assert spool.waiting() == []
    assert paths <= set(on_branch(there(host)))
    assert len(commits(host)) == 2


def test_a_kill_at_any_point_loses_nothing(host: GitHost, tmp_path: Path) -> None:
    chance = random.Random(11)
    for attempt in range(5):
        one = writer(host, tmp_path, f"k{attempt % 2}", 1000)  # the scratch of one that was killed is used again
        started = tmp_path / f"k{attempt % 2}.ack"
        before = started.stat().st_size if started.exists() else 0
        while one.poll() is None and (not started.exists() or started.stat().st_size == before):
            time.sleep(0.005)
        time.sleep(chance.random())
        os.killpg(one.pid, signal.SIGKILL)  # git has a process group of its own, and ends its work alone
        one.wait()
    time.sleep(0.5)
    spool = Spool(Folder(tmp_path / "artifacts", "artifacts"))
    fold(spool, remote(host, tmp_path, "scratch-k0"), "ledger", now=datetime(2026, 11, 28, tzinfo=UTC))
    check_all_landed(host, tmp_path)
