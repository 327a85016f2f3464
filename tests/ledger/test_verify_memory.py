"""Verification by who remembers: rewrites that are consistent in themselves, and walks that go on from others."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from mlgen.ledger.records.entry import to_bytes
from mlgen.ledger.verify import remembered
from mlgen.ledger.verify.remembered import Memory
from tests.ledger import records
from tests.ledger.tampering import GONE, Lab, Shown, entries, shown

GENERATOR = Path(__file__).parents[2] / "generator"


def dropped_and_all_made_again(lab: Lab) -> str:
    _, second, third, fourth = lab.commits
    lab.move(lab.again([third, fourth], lab.commits[0], right=True))
    return second


def changed_and_all_made_again(lab: Lab) -> str:
    first, second, third, fourth = lab.commits
    entry = records.task("r2", "train")
    files = {path: lab.file(second, path) for path in lab.paths(second)}
    files[entry.path] = to_bytes(replace(entry, metrics={"auc": 0.99}))
    lab.move(lab.again([third, fourth], lab.commit(files, parent=first), right=True))
    return second


def amended(lab: Lab) -> str:
    fourth = lab.commits[3]
    files = {path: lab.file(fourth, path) for path in lab.paths(fourth)}
    lab.move(lab.commit(files, parent=lab.commits[2]))
    return fourth


def rolled_back(lab: Lab) -> str:
    fourth = lab.commits[3]
    lab.move(lab.commits[2])
    return fourth


def begun_anew(lab: Lab) -> str:
    fourth = lab.commits[3]
    entry = records.task("r1", "train")
    lab.move(lab.commit({entry.path: to_bytes(entry)}, parent=None))
    return fourth


REWRITES = [dropped_and_all_made_again, changed_and_all_made_again, amended, rolled_back, begun_anew]


@pytest.mark.parametrize("rewrite", REWRITES)
def test_a_consistent_rewrite_is_found_by_who_remembers(lab: Lab, rewrite: Callable[[Lab], str]) -> None:
    before = lab.verify()
    assert before.memory is not None
    gone = rewrite(lab)
    assert shown(lab) == []  # by itself it cannot be seen
    lab.land(*entries("r5"))
    assert shown(lab) == []
    again = lab.verify(before.memory)
    assert [(one.code, one.commit) for one in again.found.kept] == [("ledger-rewritten", lab.tip)]
    assert before.tip in again.found.kept[0].message
    assert again.memory is None  # so that it is found the next time, too
    same = rewrite is amended  # the chain is of files: another time or message is none of its business
    for expect in (before.tip, gone, *([] if same else [before.chain])):
        assert [one.code for one in lab.verify(expect=expect).found.kept] == ["ledger-rewritten"]
    assert [one.code for one in lab.verify(since=gone).found.kept] == ["ledger-rewritten"]


def test_what_goes_on_is_as_expected(lab: Lab) -> None:
    chains = [(commit, lab.verify(expect=commit).found.count) for commit in lab.commits]
    assert [count for _, count in chains] == [0, 0, 0, 0]
    before = lab.verify()
    lab.land(*entries("r5"))
    lab.land(*entries("r6"))
    for memory in (None, before.memory):
        verified = lab.verify(memory, expect=before.chain)
        assert (verified.found.count, verified.walked.commits, verified.walked.records) == (0, 6, 18)
        assert verified.chain != before.chain
        assert lab.verify(memory, expect=verified.chain).found.count == 0


def test_a_walk_from_where_it_was_clean_judges_only_what_is_new(lab: Lab) -> None:
    memory = lab.verify().memory
    lab.land(*entries("r5"))
    entry = records.task("r1", "train")
    bad = lab.move(lab.commit({entry.path: GONE}))
    again = lab.verify(memory)
    assert (again.since, again.remembered) == (lab.commits[3], True)
    assert [(one.code, one.commit) for one in again.found.kept] == [("record-deleted", bad)]
    lab.land(*entries("r6"))
    for memory in (again.memory, lab.verify(again.memory).memory):
        verified = lab.verify(memory)
        assert [(one.code, one.commit) for one in verified.found.kept] == [("record-deleted", bad)]
        assert verified.walked.signatures == {"unsigned": verified.walked.commits}  # nothing is counted again
    lab.move(lab.commits[3])  # back to what was clean, which is not where it was seen last
    assert [one.code for one in lab.verify(again.memory).found.kept] == ["ledger-rewritten"]


def test_a_copy_of_what_was_known_is_found_later(lab: Lab) -> None:
    memory = lab.verify().memory
    entry = replace(records.task("r1", "train"), ended_at="2026-11-29T10:00:05Z", metrics={"auc": 0.99})
    lab.move(lab.commit({entry.path: to_bytes(entry)}))
    assert shown(lab, memory) == [Shown("twice-told", "", entry.path)]


def test_since_a_commit_or_a_day(lab: Lab) -> None:
    entry = records.task("r1", "train")
    lab.move(lab.commit({entry.path: GONE}))
    lab.seconds += 60
    lab.land(*entries("r5"))
    assert lab.verify(since=lab.commits[4]).found.count == 0
    assert lab.verify(since=lab.commits[4]).walked.commits == 1
    assert lab.verify(since=lab.commits[3]).found.counts == {"record-deleted": 1}
    at = datetime.fromtimestamp(lab.seconds, UTC)
    by_day = lab.verify(since=at)
    assert (by_day.walked.commits, by_day.since) == (1, lab.commits[4])
    assert lab.verify(since=at - timedelta(days=1)).walked.commits == 6
    assert lab.verify(since=at + timedelta(days=1)).walked.commits == 0


def test_since_a_day_with_a_time_written_back(lab: Lab) -> None:
    entry = records.task("r1", "train")
    bad = lab.move(lab.commit({entry.path: GONE}, seconds=lab.seconds - 3 * 86_400))
    verified = lab.verify(since=datetime.fromtimestamp(lab.seconds + 86_400, UTC))
    assert [(one.code, one.commit) for one in verified.found.kept] == [("record-deleted", bad)]


def test_what_is_remembered_survives(lab: Lab, tmp_path: Path) -> None:
    folder = tmp_path / "memory"
    assert remembered.load(folder) is None
    memory = lab.verify().memory
    assert memory is not None
    remembered.save(folder, memory)
    lab.land(*entries("r5"))
    loaded = remembered.load(folder)
    assert loaded == memory
    again = lab.verify(loaded).memory
    assert again is not None
    remembered.save(folder, again)
    assert remembered.load(folder) == again
    assert len(list(folder.iterdir())) == 2
    next(folder.glob("keys-*")).unlink()
    lost = remembered.load(folder)
    assert lost == Memory(again.seen, None)
    assert lab.verify(lost).memory == again
    (folder / "state.json").write_text("{}")
    with pytest.raises(ValueError, match="version"):
        remembered.load(folder)


SAVE = """
import sys
from dataclasses import replace
from pathlib import Path
from mlgen.ledger.verify import remembered
folder = Path(sys.argv[1])
first = remembered.load(folder)
walked = replace(first.clean.walked, keys=first.clean.walked.keys[:3])
second = replace(first, clean=replace(first.clean, walked=walked))
print("ready", flush=True)
while True:
    remembered.save(folder, second)
    remembered.save(folder, first)
"""


JUDGE = """
import sys
from itertools import repeat
from pathlib import Path
from mlgen.git import Repository
from mlgen.git.history import commits
from mlgen.ledger.verify import sides
from mlgen.ledger.verify.span import Asked, Terms

if __name__ == "__main__":
    sides.ALONE = 1
    repository = Repository(Path(sys.argv[1]), None, "sha1", {"PATH": sys.argv[2]})
    span = [Asked(commit, 0) for commit in commits(repository, sys.argv[3])]
    for count, _ in enumerate(sides.judged(repository, repeat(span), Terms(), 2)):
        if count == 3:
            print("ready", flush=True)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="a process's children are looked up in /proc")
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_its_processes_end_with_it(lab: Lab, tmp_path: Path, number: signal.Signals) -> None:
    (tmp_path / "judge.py").write_text(JUDGE)
    command = [sys.executable, str(tmp_path / "judge.py"), str(lab.repository.git_dir), os.environ["PATH"], lab.tip]
    with subprocess.Popen(command, env=os.environ | {"PYTHONPATH": str(GENERATOR)}, stdout=subprocess.PIPE) as one:
        assert one.stdout is not None
        assert one.stdout.readline() == b"ready\n"
        children = Path(f"/proc/{one.pid}/task/{one.pid}/children").read_text().split()
        one.send_signal(number)
    assert len(children) >= 2
    until = time.monotonic() + 10
    while left := [child for child in children if Path(f"/proc/{child}").exists()]:
        assert time.monotonic() < until, left
        time.sleep(0.05)


def test_a_kill_while_it_is_remembered_loses_nothing(lab: Lab, tmp_path: Path) -> None:
    folder = tmp_path / "memory"
    memory = lab.verify().memory
    assert memory is not None
    remembered.save(folder, memory)
    chance = random.Random(7)
    for _ in range(4):
        command = [sys.executable, "-c", SAVE, str(folder)]
        with subprocess.Popen(command, env=os.environ | {"PYTHONPATH": str(GENERATOR)}, stdout=subprocess.PIPE) as one:
            assert one.stdout is not None
            assert one.stdout.readline() == b"ready\n"
            time.sleep(chance.random() * 0.1)
            one.send_signal(signal.SIGKILL)
        loaded = remembered.load(folder)
        assert loaded is not None
        assert loaded.seen == memory.seen
        assert loaded.clean is not None
        assert len(loaded.clean.walked.keys) in (3, 12)
        remembered.save(folder, memory)
        assert lab.verify(remembered.load(folder)).found.kept == []
