from __future__ import annotations

import hashlib
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mlgen import git
from mlgen.diagnostic import CannotAnswer, Misuse
from mlgen.git import Repository
from mlgen.ledger import chain
from mlgen.ledger.folding.fold import Expected, fold
from mlgen.ledger.folding.spool import DEAD, SPOOL, Spool
from mlgen.ledger.folding.turns import Unpaced
from mlgen.ledger.records.entry import Entry, to_bytes
from mlgen.ledger.records.fields import BadRecord
from mlgen.store import Folder, Item
from mlgen.store.base import SMALL
from tests.ledger import records

NOW = datetime(2026, 11, 28, 12, tzinfo=UTC)
ROOT = Path(__file__).parents[2]
ENVIRON = {"PATH": os.environ["PATH"], "HOME": "/nonexistent", "GIT_CONFIG_GLOBAL": "/dev/null"}


def call(folder: Path, *arguments: str) -> str:
    command = ["git", "-c", "user.name=a", "-c", "user.email=a@example.com", *arguments]
    return subprocess.run(
        command, cwd=folder, env=ENVIRON, capture_output=True, text=True, check=True, timeout=60
    ).stdout


@pytest.fixture(params=["sha1", "sha256", "bare"])
def repository(request: pytest.FixtureRequest, tmp_path: Path) -> Repository:
    if request.param == "bare":
        return git.init_bare(tmp_path / ".mlgen" / "ledger.git", ENVIRON)
    return author(tmp_path / "work", request.param)


def author(folder: Path, object_format: str = "sha1") -> Repository:
    """A repository with a commit, an edit that is staged and one that is not."""
    folder.mkdir()
    call(folder, "init", "-q", "-b", "main", f"--object-format={object_format}", ".")
    (folder / "a").write_text("a")
    call(folder, "add", ".")
    call(folder, "commit", "-q", "-m", "first")
    (folder / "b").write_text("b")
    call(folder, "add", "b")
    (folder / "a").write_text("edited")
    repository = git.discover(folder, ENVIRON)
    assert repository is not None
    return repository


def on_branch(repository: Repository, branch: str = "ledger") -> dict[str, bytes]:
    """All files of the branch's tip."""
    commit = repository.resolve(f"refs/heads/{branch}")
    if commit is None:
        return {}
    files = list(repository.tree_files(commit, "runs"))
    with repository.reader() as reader:
        return {f.path: one.data for f, one in zip(files, reader.get_all(f.oid for f in files), strict=True) if one}


def test_what_waits_lands_in_one_commit(spool: Spool, repository: Repository) -> None:
    entries: list[Entry] = [records.full(), records.task(name="prepare"), records.run()]
    for entry in entries:
        assert spool.put(entry) == spool.put(entry)
    folded = fold(spool, repository, "ledger", now=NOW)
    assert sorted(folded.landed) == sorted(e.path for e in entries)
    assert (folded.already, folded.conflicts, folded.refused) == ([], [], [])
    assert folded.commit == repository.resolve("refs/heads/ledger")
    assert on_branch(repository) == {e.path: to_bytes(e) for e in entries}
    assert spool.waiting() == []
    log = call(repository.git_dir, "log", "--format=%P|%at|%s", "ledger")
    assert log == f"|{int(NOW.timestamp())}|ledger: 3 records of r1.{records.uid('r1')[:8]}\n"


def test_again_is_once(spool: Spool, repository: Repository) -> None:
    spool.put(records.task())
    first = fold(spool, repository, "ledger", now=NOW)
    assert fold(spool, repository, "ledger", now=NOW) == type(first)(commit=first.commit)
    spool.put(records.task())
    again = fold(spool, repository, "ledger", now=NOW)
    assert (again.commit, again.landed, again.already) == (first.commit, [], [records.task().path])
    assert spool.waiting() == []


def test_nothing_waits_and_there_is_no_ledger(spool: Spool, repository: Repository) -> None:
    assert fold(spool, repository, "ledger", now=NOW).commit is None
    assert call(repository.git_dir, "for-each-ref", "refs/heads/ledger") == ""


def test_the_author_sees_nothing_of_it(spool: Spool, tmp_path: Path) -> None:
    repository = author(tmp_path / "work")
    folder = tmp_path / "work"

    def look() -> tuple[str, str, bytes]:
        return (
            call(folder, "status", "--porcelain"),
            call(folder, "rev-parse", "HEAD"),
            (folder / ".git/index").read_bytes(),
        )

    before, files = look(), sorted(folder.rglob("*.json"))
    spool.put(records.task())
    fold(spool, repository, "ledger", now=NOW)
    assert (look(), sorted(folder.rglob("*.json"))) == (before, files)
    assert call(folder, "for-each-ref", "--format=%(refname)").split() == ["refs/heads/ledger", "refs/heads/main"]


def test_another_fold_is_faster(spool: Spool, tmp_path: Path) -> None:
    repository = git.init_bare(tmp_path / "l.git", ENVIRON)
    spool.put(records.task())

    class Late(Unpaced):
        def take(self) -> bool:
            fold(spool, repository, "ledger", now=NOW)
            return True

    folded = fold(spool, repository, "ledger", now=NOW, turns=Late())
    assert (folded.landed, folded.already, folded.by_others) == ([], [], True)
    assert folded.commit == repository.tip("refs/heads/ledger")


@pytest.mark.parametrize("lies", ["gone", "there"])
def test_a_listing_that_is_behind_is_not_followed_for_ever(tmp_path: Path, lies: str) -> None:
    """It shows what another fold landed, or what this one has just deleted."""
    repository = git.init_bare(tmp_path / "l.git", ENVIRON)
    folder = tmp_path / "artifacts"
    spool = Spool(Folder(folder, "artifacts"))
    spool.put(records.task())
    old = list(spool.store.items(SPOOL))
    data = spool.store.get(old[0].key)

    class Behind(Folder):
        def items(self, folder: str) -> Iterator[Item]:
            return iter(old) if folder == SPOOL else super().items(folder)

        def get(self, key: str, *, at_most: int = SMALL) -> bytes:
            return data if lies == "there" and key == old[0].key else super().get(key, at_most=at_most)

    if lies == "gone":
        spool.store.delete(old[0].key)
    folded = fold(Spool(Behind(folder, "artifacts")), repository, "ledger", now=NOW)
    assert (folded.landed, folded.by_others) == (([], True) if lies == "gone" else ([records.task().path], False))


def test_more_than_a_batch(spool: Spool, tmp_path: Path) -> None:
    repository = git.init_bare(tmp_path / "l.git", ENVIRON)
    entries = [records.task(name=f"t{n}") for n in range(35)]
    for entry in entries:
        spool.put(entry)
    fold(spool, repository, "ledger", now=NOW, batch=10)
    assert on_branch(repository) == {e.path: to_bytes(e) for e in entries}
    commits = call(repository.git_dir, "log", "--format=%H", "--reverse", "ledger").split()
    assert len(commits) == 4
    check_chain(repository, commits)


def check_chain(repository: Repository, commits: list[str]) -> None:
    """The chain's definition, computed from what each commit adds, with nothing of the code that made it."""
    prev = "0" * 64
    for commit in commits:
        added = call(
            repository.git_dir, "diff-tree", "--root", "--no-commit-id", "--name-status", "-r", commit
        ).splitlines()
        assert {line.split("\t")[0] for line in added} == {"A"}
        paths = [line.split("\t")[1] for line in added]
        bodies = [call(repository.git_dir, "show", f"{commit}:{path}").encode() for path in paths]
        lines = sorted(f"{hashlib.sha256(b).hexdigest()}  {p}\n" for p, b in zip(paths, bodies, strict=True))
        batch = hashlib.sha256("".join(lines).encode()).hexdigest()
        trailers = call(repository.git_dir, "log", "-1", "--format=%(trailers)", commit).split()
        assert trailers == ["Mlgen-Batch-Sha256:", batch, "Mlgen-Prev-Sha256:", prev]
        prev = hashlib.sha256(f"{prev}\n{batch}\n".encode()).hexdigest()


def test_a_commit_by_hand_breaks_the_chain_and_nothing_else(spool: Spool, tmp_path: Path) -> None:
    repository = git.init_bare(tmp_path / "l.git", ENVIRON)
    by_hand = repository.commit({"README": b"x"}, parent=None, message="by hand\n\nMlgen-Batch-Sha256: no", seconds=0)
    repository.move_ref("refs/heads/ledger", by_hand, old=None)
    spool.put(records.task())
    folded = fold(spool, repository, "ledger", now=NOW)
    assert folded.landed == [records.task().path]
    assert f"Mlgen-Prev-Sha256: {chain.START}" in call(repository.git_dir, "log", "-1", "--format=%B", "ledger")
    assert call(repository.git_dir, "show", "ledger:README") == "x"


def test_other_bytes_of_one_execution(spool: Spool, repository: Repository) -> None:
    first, second = records.task(), records.task(reason="Other")
    assert first.path == second.path
    spool.put(first)
    fold(spool, repository, "ledger", now=NOW)
    key = spool.put(second)
    folded = fold(spool, repository, "ledger", now=NOW)
    assert (folded.landed, folded.already, folded.refused) == ([], [], [])
    assert [(c.key, c.path, c.code) for c in folded.conflicts] == [(key, first.path, "ledger-conflict")]
    for entry in (first, second):
        assert hashlib.sha256(to_bytes(entry)).hexdigest() in folded.conflicts[0].message
    assert on_branch(repository) == {first.path: to_bytes(first)}
    assert spool.waiting() == []
    assert [spool.get(dead) for dead in spool.dead()] == [to_bytes(second)]
    reason = json.loads(spool.store.get(f"{DEAD}/{key.rpartition('/')[2]}.reason"))
    assert reason == {"code": "ledger-conflict", "message": folded.conflicts[0].message}


def test_a_dead_record_that_somebody_edits_stops_no_other(spool: Spool, repository: Repository) -> None:
    spool.put(records.task())
    fold(spool, repository, "ledger", now=NOW)
    key = spool.put(records.task(reason="Other"))
    edited = f"{DEAD}/{key.rpartition('/')[2]}"
    spool.store.put(edited, b"edited")
    good = records.task(name="zz")
    spool.put(good)
    folded = fold(spool, repository, "ledger", now=NOW)
    assert (folded.landed, [c.key for c in folded.conflicts]) == ([good.path], [key])
    assert spool.dead() == [edited, f"{edited}.1"]
    assert [spool.get(dead) for dead in spool.dead()] == [b"edited", to_bytes(records.task(reason="Other"))]
    assert spool.store.get(f"{edited}.1.reason")
    assert spool.waiting() == []


def test_other_bytes_in_one_batch(spool: Spool, repository: Repository) -> None:
    keys = {spool.put(r): r for r in (records.task(reason="A"), records.task(reason="B"))}
    folded = fold(spool, repository, "ledger", now=NOW)
    first, second = sorted(keys)
    assert on_branch(repository) == {keys[first].path: to_bytes(keys[first])}
    assert [c.key for c in folded.conflicts] == [second]
    assert (folded.landed, spool.waiting()) == ([keys[first].path], [])


def test_what_is_no_record_does_not_stop_the_others(spool: Spool, repository: Repository) -> None:
    good = records.task()
    bad = {
        f"{records.uid('x')}.{'0' * 16}.json": to_bytes(records.task(name="elsewhere")),
        f"{records.uid('y')}.{hashlib.sha256(b'{}').hexdigest()[:16]}.json": b"{}",
    }
    spool.put(good)
    for name, data in bad.items():
        spool.store.put(f"{SPOOL}/{name}", data)
    folded = fold(spool, repository, "ledger", now=NOW)
    assert folded.landed == [good.path]
    assert sorted((r.key.rpartition("/")[2], r.code) for r in folded.refused) == sorted(
        (name, "bad-record") for name in bad
    )
    assert spool.waiting() == []
    assert {spool.get(key) for key in spool.dead()} == set(bad.values())
    name = next(iter(bad))
    spool.store.put(f"{SPOOL}/{name}", b"other bytes of that name")
    fold(spool, repository, "ledger", now=NOW)
    assert b"other bytes of that name" in [spool.get(key) for key in spool.dead()]


def test_what_has_no_record_s_name_stays_where_it_is(spool: Spool, tmp_path: Path) -> None:
    repository = git.init_bare(tmp_path / "l.git", ENVIRON)
    good = records.task()
    name = spool.put(good).rpartition("/")[2]
    folder = os.fsencode(next(tmp_path.rglob("_ledger/spool")))
    strays = [b"notes.txt", b"a\nb.json", b"\xff.json", b"n" * 250, b"sub/" + name.encode(), name.encode() + b"\n"]
    os.mkdir(folder + b"/sub")
    for stray in strays:
        Path(os.fsdecode(folder + b"/" + stray)).write_bytes(b"mine")
    folded = fold(spool, repository, "ledger", now=NOW)
    assert folded.landed == [good.path]
    assert {left.key for left in folded.left} == {f"{SPOOL}/{os.fsdecode(stray)}" for stray in strays}
    assert {Path(os.fsdecode(folder + b"/" + stray)).read_bytes() for stray in strays} == {b"mine"}
    assert (spool.waiting(), spool.dead()) == ([], [])


@pytest.mark.parametrize("linked", ["_ledger/spool", "_ledger"])
def test_a_spool_that_is_a_link_is_not_followed(tmp_path: Path, linked: str) -> None:
    repository = git.init_bare(tmp_path / "l.git", ENVIRON)
    mine = tmp_path / "mine" / "spool"
    mine.mkdir(parents=True)
    (mine / f"{records.uid('x')}.{'0' * 16}.json").write_bytes(b"mine")
    link = tmp_path / "artifacts" / linked
    link.parent.mkdir(parents=True)
    link.symlink_to(mine if linked.endswith("spool") else mine.parent)
    spool = Spool(Folder(tmp_path / "artifacts", "artifacts"))
    with pytest.raises(CannotAnswer, match="is a link"):
        fold(spool, repository, "ledger", now=NOW)
    with pytest.raises(CannotAnswer, match="is a link"):
        spool.put(records.task())
    assert [path.read_bytes() for path in mine.iterdir()] == [b"mine"]


def test_what_is_far_too_large_is_told_and_not_read(spool: Spool, repository: Repository, tmp_path: Path) -> None:
    good = records.task()
    spool.put(good)
    large = next(tmp_path.rglob("_ledger/spool")) / f"{records.uid('x')}.{'0' * 16}.json"
    with large.open("wb") as stream:
        stream.truncate(1 << 40)  # a terabyte that takes no room
    folded = fold(spool, repository, "ledger", now=NOW)
    assert folded.landed == [good.path]
    assert [(r.key, r.code) for r in folded.left] == [(f"{SPOOL}/{large.name}", "bad-record")]
    assert spool.waiting() == [f"{SPOOL}/{large.name}"]


def test_what_a_newer_mlgen_wrote_waits(spool: Spool, repository: Repository) -> None:
    data = to_bytes(records.task()).replace(b"/1/MlgenTaskRunFacet", b"/2/MlgenTaskRunFacet")
    key = f"{SPOOL}/{records.task().run_id}.{hashlib.sha256(data).hexdigest()[:16]}.json"
    spool.store.put(key, data)
    spool.put(records.run())
    folded = fold(spool, repository, "ledger", now=NOW)
    assert folded.landed == [records.run().path]
    assert [(left.key, left.code) for left in folded.left] == [(key, "ledger-too-new")]
    assert spool.waiting() == [key]


def test_records_of_other_environments(spool: Spool, tmp_path: Path) -> None:
    repository = git.init_bare(tmp_path / "l.git", ENVIRON)
    entries = {env: records.task(env=env, name=env) for env in ("local", "same", "other", "unknown")}
    keys = {env: spool.put(entry) for env, entry in entries.items()}
    expected = Expected(frozenset({"local", "same"}), frozenset({"other"}))
    folded = fold(spool, repository, "ledger", now=NOW, expected=expected)
    assert sorted(folded.landed) == sorted(entries[env].path for env in expected.here)
    assert [(left.key, left.code) for left in folded.left] == [(keys["other"], "other-ledger")]
    assert [refused.key for refused in folded.refused] == [keys["unknown"]]
    assert (spool.waiting(), len(spool.dead())) == ([keys["other"]], 1)


def test_the_spool_takes_records_only(spool: Spool) -> None:
    with pytest.raises(BadRecord):
        spool.put_bytes(b"{}")
    assert spool.waiting() == []


def test_a_ledger_that_is_checked_out(spool: Spool, tmp_path: Path) -> None:
    repository = author(tmp_path / "work")
    call(tmp_path / "work", "worktree", "add", "-q", "-b", "ledger", str(tmp_path / "linked"))
    spool.put(records.task())
    with pytest.raises(CannotAnswer, match="linked") as error:
        fold(spool, repository, "ledger", now=NOW)
    assert error.value.code == "ledger-checked-out"
    assert len(spool.waiting()) == 1


def test_a_locked_ledger(spool: Spool, tmp_path: Path) -> None:
    repository = git.init_bare(tmp_path / "l.git", ENVIRON)
    lock = repository.git_dir / "refs" / "heads" / "ledger.lock"
    lock.touch()
    spool.put(records.task())
    with pytest.raises(CannotAnswer) as error:
        fold(spool, repository, "ledger", now=NOW, lock_tries=1)
    assert (error.value.code, error.value.exit_code) == ("ledger-locked", 3)
    assert str(lock) in error.value.fix
    assert len(spool.waiting()) == 1
    lock.unlink()
    assert fold(spool, repository, "ledger", now=NOW, lock_tries=1).landed == [records.task().path]


def test_a_branch_that_cannot_be(spool: Spool, tmp_path: Path) -> None:
    repository = author(tmp_path / "work")
    call(tmp_path / "work", "branch", "ledger/old")
    spool.put(records.task())
    with pytest.raises(CannotAnswer, match="ledger") as error:
        fold(spool, repository, "ledger", now=NOW)
    assert error.value.code == "ledger-refused"
    assert "refs/heads/ledger/old" in error.value.why
    with pytest.raises(Misuse):
        fold(spool, repository, "--exec=x", now=NOW)
    assert len(spool.waiting()) == 1


@given(st.lists(st.lists(st.integers(0, 5), max_size=4), max_size=4))
@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_order_of_puts_and_folds_keeps_each_record_once(
    tmp_path_factory: pytest.TempPathFactory, rounds: list[list[int]]
) -> None:
    folder = tmp_path_factory.mktemp("f")
    spool, repository = Spool(Folder(folder / "a", "a")), git.init_bare(folder / "l.git", ENVIRON)
    entries = [records.task(name=f"t{n}") for n in range(6)]
    put = set()
    for one in rounds:
        for n in one:
            spool.put(entries[n])
            put.add(entries[n].path)
        fold(spool, repository, "ledger", now=NOW)
        assert set(on_branch(repository)) == put
    assert spool.waiting() == []


WRITER = """
import os, sys, time
from datetime import UTC, datetime
from pathlib import Path
from mlgen import git
from mlgen.ledger.folding.fold import fold
from mlgen.ledger.folding.spool import Spool
from mlgen.store import Folder
from tests.ledger import records
root, name, count = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
spool = Spool(Folder(root / "artifacts", "artifacts"))
repository = git.init_bare(root / "l.git")
acknowledged = open(root / f"{name}.ack", "a")
for n in range(count):
    record = records.task(run=f"{name}-{n}")
    spool.put(record)
    acknowledged.write(record.path + "\\n")
    acknowledged.flush()
    fold(spool, repository, "ledger", now=datetime(2026, 11, 28, tzinfo=UTC))
"""


def writer(root: Path, name: str, count: int) -> subprocess.Popen[bytes]:
    env = {**ENVIRON, "PYTHONPATH": os.pathsep.join([str(ROOT / "generator"), str(ROOT)])}
    command = [sys.executable, "-c", WRITER, str(root), name, str(count)]
    return subprocess.Popen(command, env=env, start_new_session=True)


def test_ten_writers_at_once_lose_nothing(tmp_path: Path) -> None:
    git.init_bare(tmp_path / "l.git", ENVIRON)
    writers = [writer(tmp_path, f"w{n}", 3) for n in range(10)]
    assert [w.wait(timeout=120) for w in writers] == [0] * 10
    check_all_landed(tmp_path, expected=30)


def test_a_kill_at_any_point_loses_nothing(tmp_path: Path) -> None:
    repository = git.init_bare(tmp_path / "l.git", ENVIRON)
    lock = repository.git_dir / "refs" / "heads" / "ledger.lock"
    chance = random.Random(11)
    for attempt in range(8):
        one = writer(tmp_path, f"k{attempt}", 1000)
        started = tmp_path / f"k{attempt}.ack"
        while one.poll() is None and not started.exists():
            time.sleep(0.005)
        time.sleep(chance.random() * 0.15)
        # With the git that it started, or without: then git ends its work alone, some time after.
        os.killpg(one.pid, signal.SIGKILL) if attempt % 2 else one.kill()
        one.wait()
        if attempt % 2:
            lock.unlink(missing_ok=True)  # as the finding "ledger-locked" says
    time.sleep(0.2)
    fold(Spool(Folder(tmp_path / "artifacts", "artifacts")), repository, "ledger", now=NOW)
    check_all_landed(tmp_path)


def check_all_landed(root: Path, expected: int | None = None) -> None:
    """Every acknowledged record is on the branch, added by exactly one commit, and the repository is sound."""
    repository = git.init_bare(root / "l.git", ENVIRON)
    acknowledged = {line for path in root.glob("*.ack") for line in path.read_text().splitlines()}
    assert acknowledged
    assert acknowledged <= set(on_branch(repository))
    if expected is not None:
        assert len(acknowledged) == expected == len(on_branch(repository))
    assert Spool(Folder(root / "artifacts", "artifacts")).waiting() == []
    changes = call(repository.git_dir, "log", "--format=", "--name-status", "ledger").splitlines()
    assert sorted(line for line in changes if line) == sorted(f"A\t{path}" for path in on_branch(repository))
    assert call(repository.git_dir, "log", "--merges", "--format=%H", "ledger") == ""
    assert "error" not in call(repository.git_dir, "fsck", "--strict")
