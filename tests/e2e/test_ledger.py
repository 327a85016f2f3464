"""Folding into a branch of a real Git server from a real bucket: the pods of many tasks do so at once."""

from __future__ import annotations

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

from mlgen import git
from mlgen.ledger.folding.fold import fold
from mlgen.ledger.index.history import read
from tests.e2e.branch import Place, own_place

ROOT = Path(__file__).parents[2]
WRITER = """
import json, sys
from datetime import UTC, datetime
from pathlib import Path
from mlgen import git
from mlgen.ledger.folding.fold import fold
from mlgen.ledger.folding.spool import Spool
from mlgen.store import open_store
from tests.ledger import records
root, url, branch, bucket, options, name, count = Path(sys.argv[1]), *sys.argv[2:]
spool = Spool(open_store(bucket, options=json.loads(options), base=root))
for n in range(int(count)):
    record = records.task(run=f"{name}-{n}")
    spool.put(record)
    with open(root / f"{name}.ack", "a") as acknowledged:
        acknowledged.write(record.path + "\\n")
    remote = git.open_remote(url, secret=root / "secret", scratch=root / f"scratch-{name}")
    fold(spool, remote, branch, now=datetime.now(UTC))
"""


def writer(place: Place, name: str, count: int) -> subprocess.Popen[bytes]:
    env = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT / "generator"), str(ROOT)])}
    arguments = [str(place.root), place.url, place.branch, place.bucket, json.dumps(place.options), name, str(count)]
    return subprocess.Popen([sys.executable, "-c", WRITER, *arguments], env=env, start_new_session=True)


def check_all_landed(place: Place) -> None:
    """Every acknowledged record is on the branch, and nothing waits."""
    acknowledged = {line for path in place.root.glob("*.ack") for line in path.read_text().splitlines()}
    history = read(git.refresh(place.remote("mirror"), place.branch), place.branch)
    assert acknowledged
    assert acknowledged <= {execution.path for run in history.runs for execution in run.executions}
    assert history.skipped == []
    assert place.spool.waiting() == []


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    with own_place(tmp_path) as place:
        yield place


def test_ten_folds_at_once_lose_nothing(place: Place) -> None:
    writers = [writer(place, f"w{n}", 1) for n in range(10)]
    assert [w.wait(timeout=300) for w in writers] == [0] * 10
    check_all_landed(place)


def test_a_kill_at_any_point_loses_nothing(place: Place) -> None:
    chance = random.Random(5)
    for attempt in range(4):
        one = writer(place, f"k{attempt}", 1000)
        while one.poll() is None and not (place.root / f"k{attempt}.ack").exists():
            time.sleep(0.01)
        time.sleep(chance.random() * 2)
        os.killpg(one.pid, signal.SIGKILL)
        one.wait()
    time.sleep(1)
    fold(place.spool, place.remote("after"), place.branch, now=datetime.now(UTC))
    check_all_landed(place)
