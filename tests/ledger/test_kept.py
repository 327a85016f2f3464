"""An index in a file: it may be damaged, locked, cut off or full, and answers stay those of the ledger."""

from __future__ import annotations

import os
import random
import resource
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

import pytest

from mlgen import git
from mlgen.diagnostic import CannotAnswer
from mlgen.git import Repository
from mlgen.ledger.index import kept
from mlgen.ledger.index.history import History, read
from mlgen.ledger.index.kept import Keeping, Opened
from mlgen.ledger.records.entry import to_bytes
from tests.ledger import records

ROOT = Path(__file__).parents[2]
REF = "refs/heads/ledger"


@pytest.fixture
def ledger(tmp_path: Path) -> Repository:
    repository = git.init_bare(tmp_path / "l.git", {"PATH": os.environ["PATH"], "GIT_CONFIG_GLOBAL": "/dev/null"})
    land(repository, *(f"r{n}" for n in range(20)))
    return repository


def land(repository: Repository, *runs: str) -> str:
    """A commit with some runs of one task more."""
    old = repository.tip(REF)
    entries = [entry for run in runs for entry in (records.task(run, metrics={"auc": 0.5}), records.run(run))]
    new = repository.commit({e.path: to_bytes(e) for e in entries}, parent=old, message="x", seconds=0)
    repository.move_ref(REF, new, old=old)
    return new


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "cache" / "index.sqlite"


@pytest.fixture
def notes() -> list[str]:
    return []


@pytest.fixture
def keeping(file: Path, notes: list[str]) -> Keeping:
    return Keeping(file, tell=notes.append)


@contextmanager
def opened(keeping: Keeping, ledger: Repository, *, anew: bool = False) -> Iterator[Opened]:
    with closing(keeping.current(ledger, "ledger", anew=anew)) as found:
        yield found


def said(history: History) -> list[object]:
    return [(run, run.executions) for run in history.runs]


def check(keeping: Keeping, ledger: Repository) -> Opened:
    """What is answered is what the ledger says now."""
    with opened(keeping, ledger) as found:
        assert found.history.commit == ledger.tip(REF)
        assert said(found.history) == said(read(ledger, "ledger"))
    return found


def test_only_what_is_new_is_read(keeping: Keeping, ledger: Repository, notes: list[str]) -> None:
    counts = [check(keeping, ledger)]
    counts.append(check(keeping, ledger))
    land(ledger, "r20")
    counts.append(check(keeping, ledger))
    with opened(keeping, ledger, anew=True) as found:
        counts.append(found)
    assert [(one.files, one.built) for one in counts] == [(40, True), (0, False), (2, False), (42, True)]
    assert not notes


def test_without_a_ledger_no_file_is_made(keeping: Keeping, file: Path, tmp_path: Path) -> None:
    empty = git.init_bare(tmp_path / "e.git")
    for repository in (None, empty):
        with closing(keeping.current(repository, "ledger")) as found:
            assert (found.history.commit, found.history.runs, found.file) == (None, [], None)
    assert not file.parent.exists()


def test_a_ledger_of_other_files_alone(keeping: Keeping, tmp_path: Path) -> None:
    repository = git.init_bare(tmp_path / "o.git")
    repository.move_ref(REF, repository.commit({"models/a.json": b"{}"}, parent=None, message="", seconds=0), old=None)
    assert check(keeping, repository).files == 0
    land(repository, "r1")
    assert check(keeping, repository).files == 2


def zeroed(data: bytes) -> bytes:
    """All pages but the first ones: the damage is found when a question reaches it."""
    return data[:8192] + b"\0" * (len(data) - 8192)


DAMAGES: dict[str, Callable[[bytes], bytes]] = {
    "empty": lambda _: b"",
    "garbage": lambda data: b"no database" * 1000,
    "cut off": lambda data: data[: len(data) // 2],
    "another program's": lambda data: data[:60] + b"\xff" * 40 + data[100:],
    "zeroed": zeroed,
}


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("new", [False, True])
def test_what_is_damaged_is_built_anew(
    ledger: Repository, file: Path, damage: str, new: bool, notes: list[str]
) -> None:
    keeping = Keeping(file, tell=notes.append)
    check(keeping, ledger)
    file.write_bytes(DAMAGES[damage](file.read_bytes()))
    if new:
        land(ledger, "r20")
    try:
        check(keeping, ledger)
    except (sqlite3.DatabaseError, ValueError):  # only where the question reached it: who asks, asks again
        with opened(keeping, ledger, anew=True) as found:
            assert said(found.history) == said(read(ledger, "ledger"))
    check(keeping, ledger)
    assert not notes


@pytest.mark.parametrize("seed", range(6))
def test_bits_that_turned_are_no_mistake_of_mlgen(keeping: Keeping, ledger: Repository, file: Path, seed: int) -> None:
    check(keeping, ledger)
    land(ledger, "r20")
    chance, data = random.Random(seed), bytearray(file.read_bytes())
    for _ in range(600):
        at = chance.randrange(len(data))
        data[at] ^= 1 << chance.randrange(8)
    file.write_bytes(data)
    with suppress(*kept.DAMAGE), opened(keeping, ledger) as found:  # who asks, asks again
        said(found.history)
    with opened(keeping, ledger, anew=True) as found:
        assert said(found.history) == said(read(ledger, "ledger"))


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE meta SET value = CAST(x'ff31' AS TEXT) WHERE key = 'commit'",
        "UPDATE meta SET value = x'ff' WHERE key = 'version'",
        "UPDATE meta SET value = '--all' WHERE key = 'commit'",
    ],
)
def test_an_index_of_an_unreadable_commit_is_built_anew(
    keeping: Keeping, ledger: Repository, file: Path, statement: str
) -> None:
    check(keeping, ledger)
    with closing(sqlite3.connect(file)) as database, database:
        database.execute(statement)
    assert check(keeping, ledger).built


@pytest.mark.parametrize("statement", ["UPDATE meta SET value = '0.9' WHERE key = 'version'", "DROP TABLE meta"])
def test_an_index_of_another_version_is_built_anew(
    keeping: Keeping, ledger: Repository, file: Path, statement: str
) -> None:
    check(keeping, ledger)
    with closing(sqlite3.connect(file)) as database, database:
        database.execute(statement)
    assert check(keeping, ledger).built


def test_where_no_file_can_be_there_is_an_answer_all_the_same(
    ledger: Repository, tmp_path: Path, notes: list[str]
) -> None:
    (tmp_path / "cache").write_text("a file where the folder would be")
    keeping = Keeping(tmp_path / "cache" / "index.sqlite", tell=notes.append)
    found = check(keeping, ledger)
    assert (found.file, found.files) == (None, 40)
    assert "no index can be kept" in notes[0]


FULL = """
import resource, sys
from pathlib import Path
from mlgen import git
from mlgen.ledger.index.kept import Keeping
repository = git.init_bare(Path(sys.argv[1]))
resource.setrlimit(resource.RLIMIT_FSIZE, (40_000, 40_000))
found = Keeping(Path(sys.argv[2]), tell=print).current(repository, "ledger")
print(len(found.history.runs), found.file)
"""


def python(code: str, *arguments: object) -> subprocess.Popen[str]:
    environ = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT / "generator"), str(ROOT)])}
    command = [sys.executable, "-c", code, *map(str, arguments)]
    return subprocess.Popen(command, env=environ, stdout=subprocess.PIPE, text=True)


@pytest.mark.skipif(not hasattr(resource, "RLIMIT_FSIZE"), reason="no limit of a file's size here")
def test_a_full_disk(keeping: Keeping, ledger: Repository, file: Path) -> None:
    out, _ = python(FULL, ledger.git_dir, file).communicate(timeout=60)
    assert "no index can be kept" in out
    assert out.endswith("20 None\n")
    assert [path.name for path in file.parent.iterdir()] == ["index.sqlite.lock"]
    assert check(keeping, ledger).built


def test_a_reader_sees_one_state_while_others_refresh(
    keeping: Keeping, ledger: Repository, notes: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kept, "BUSY_SECONDS", 0.05)
    with opened(keeping, ledger) as stuck:
        before = said(stuck.history)
        land(ledger, "r20")
        with opened(keeping, ledger) as late:
            # Somebody holds the index for too long: the answer is of the commit that it has, and says so.
            assert (late.history.commit, said(late.history)) == (stuck.history.commit, before)
        assert "another process holds the index" in notes[0]
        with opened(keeping, ledger, anew=True) as other:
            assert len(other.history.runs) == 21
        assert said(stuck.history) == before
    check(keeping, ledger)


def test_another_history_is_for_the_judge(ledger: Repository, file: Path) -> None:
    known = land(ledger, "last")
    seen = []

    def refuse(*commits: str) -> None:
        seen.append(commits)
        raise CannotAnswer("ledger-rewritten", "no")

    check(Keeping(file), ledger)
    one = records.run("alone")
    other = ledger.commit({one.path: to_bytes(one)}, parent=None, message="x", seconds=0)
    ledger.move_ref(REF, other, old=known)
    for _ in range(2):
        with pytest.raises(CannotAnswer, match="no"):
            Keeping(file, judge=refuse).current(ledger, "ledger")
    assert seen == [(known, other)] * 2
    assert check(Keeping(file), ledger).built
    # More of the same is no other history, whatever its commits are.
    ledger.move_ref(REF, ledger.commit({one.path: to_bytes(one)}, parent=None, message="y", seconds=1), old=other)
    assert not check(Keeping(file, judge=refuse), ledger).built


def test_a_branch_that_moved_while_an_index_was_waited_for(
    ledger: Repository, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_commits: str) -> None:
        raise AssertionError("no other history")

    looks = [ledger.tip(REF), land(ledger, "late")]
    check(Keeping(file), ledger)
    monkeypatch.setattr(kept, "tip", lambda *_: looks.pop(0))
    with opened(Keeping(file, judge=refuse), ledger) as found:
        assert (found.history.commit, len(found.history.runs), found.built) == (ledger.tip(REF), 21, False)


def test_a_commit_that_is_gone_from_the_repository(keeping: Keeping, ledger: Repository, tmp_path: Path) -> None:
    check(keeping, ledger)
    shutil.rmtree(ledger.git_dir)
    again = git.init_bare(ledger.git_dir)
    land(again, "r1")
    assert check(keeping, again).built


WRITER = """
import sys, time
from pathlib import Path
from mlgen import git
from mlgen.ledger.index.kept import Keeping
repository = git.init_bare(Path(sys.argv[1]))
for _ in range(int(sys.argv[3])):
    found = Keeping(Path(sys.argv[2])).current(repository, "ledger", anew=sys.argv[4] == "anew")
    assert found.file is not None
    count = found.history.count("run")
    time.sleep(0.01)
    assert (count, len(found.history.runs)) == (found.history.count("run"), count)
    print(found.history.commit, count, flush=True)
    found.close()
"""


def test_processes_share_an_index(keeping: Keeping, ledger: Repository, file: Path) -> None:
    counts = {ledger.tip(REF): 20}
    asking = [python(WRITER, ledger.git_dir, file, 8, "anew" if n == 0 else "") for n in range(3)]
    for n in range(8):
        counts[land(ledger, f"n{n}")] = 21 + n
        time.sleep(0.05)
    for process in asking:
        out, _ = process.communicate(timeout=60)
        assert process.returncode == 0
        told = [line.split() for line in out.splitlines()]
        assert len(told) == 8
        assert all(counts[commit] == int(count) for commit, count in told)
    check(keeping, ledger)


@pytest.mark.parametrize("anew", ["", "anew"])
def test_a_kill_at_any_moment(keeping: Keeping, ledger: Repository, file: Path, anew: str) -> None:
    chance = random.Random(7)
    for n in range(4):
        land(ledger, *(f"k{n}-{m}" for m in range(20)))
        process = python(WRITER, ledger.git_dir, file, 1000, anew)
        assert process.stdout is not None
        process.stdout.readline()
        for m in range(3):
            land(ledger, f"m{n}-{m}")
            time.sleep(chance.random() * 0.03)
        process.send_signal(signal.SIGKILL)
        process.communicate()
        check(keeping, ledger)
    assert not list(file.parent.glob("*.new"))
