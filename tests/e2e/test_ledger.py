"""Folding into a branch of a real Git server from a real bucket: the pods of many tasks do so at once."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest

from mlgen import git
from mlgen.git import Remote
from mlgen.ledger.fold import fold
from mlgen.ledger.index.history import read
from mlgen.ledger.spool import Spool
from mlgen.store import open_store
from tests.e2e.settings import need
from tests.git_host import secret

ROOT = Path(__file__).parents[2]
WRITER = """
import sys
from datetime import UTC, datetime
from pathlib import Path
from mlgen import git
from mlgen.ledger.fold import fold
from mlgen.ledger.spool import Spool
from mlgen.store import open_store
from tests.ledger import records
root, url, branch, bucket, endpoint, name, count = Path(sys.argv[1]), *sys.argv[2:]
spool = Spool(open_store(bucket, options={"endpoint": endpoint, "region": "us-east-1"}, base=root))
for n in range(int(count)):
    record = records.task(run=f"{name}-{n}")
    spool.put(record)
    with open(root / f"{name}.ack", "a") as acknowledged:
        acknowledged.write(record.path + "\\n")
    remote = git.open_remote(url, secret=root / "secret", scratch=root / f"scratch-{name}")
    fold(spool, remote, branch, now=datetime.now(UTC))
"""


@dataclass(frozen=True)
class Place:
    """A branch and a prefix that no other test has."""

    root: Path
    url: str
    branch: str
    bucket: str
    endpoint: str

    def remote(self, scratch: str) -> Remote:
        return git.open_remote(self.url, secret=self.root / "secret", scratch=self.root / scratch)

    @property
    def spool(self) -> Spool:
        options = {"endpoint": self.endpoint, "region": "us-east-1"}
        return Spool(open_store(self.bucket, options=options, base=self.root))

    def writer(self, name: str, count: int) -> subprocess.Popen[bytes]:
        env = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT / "generator"), str(ROOT)])}
        arguments = [str(self.root), self.url, self.branch, self.bucket, self.endpoint, name, str(count)]
        return subprocess.Popen([sys.executable, "-c", WRITER, *arguments], env=env, start_new_session=True)

    def check_all_landed(self) -> None:
        """Every acknowledged record is on the branch, and nothing waits."""
        acknowledged = {line for path in self.root.glob("*.ack") for line in path.read_text().splitlines()}
        history = read(git.refresh(self.remote("mirror"), self.branch), self.branch)
        assert acknowledged
        assert acknowledged <= {execution.path for run in history.runs for execution in run.executions}
        assert history.skipped == []
        assert self.spool.waiting() == []


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Place]:
    secret(tmp_path / "secret", (need("MLGEN_E2E_GIT_USER"), need("MLGEN_E2E_GIT_TOKEN")))
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", need("MLGEN_E2E_S3_ACCESS_KEY"))
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", need("MLGEN_E2E_S3_SECRET_KEY"))
    name = f"test-ledger-{uuid.uuid4().hex[:8]}"
    bucket = f"s3://{need('MLGEN_E2E_S3_BUCKET')}/{name}"
    place = Place(tmp_path, need("MLGEN_E2E_GIT_REPOSITORY"), name, bucket, need("MLGEN_E2E_S3_ENDPOINT"))
    yield place
    if place.remote("end").tip(git.branch_ref(name)) is not None:
        scheme, _, rest = place.url.partition("://")
        url = f"{scheme}://{need('MLGEN_E2E_GIT_USER')}:{need('MLGEN_E2E_GIT_TOKEN')}@{rest}"
        folder = tmp_path / "end" / "objects.git"
        subprocess.run(["git", "init", "-q", "--bare", folder], check=True)
        subprocess.run(["git", "--git-dir", folder, "push", "-q", url, f":{git.branch_ref(name)}"], check=True)


def test_ten_folds_at_once_lose_nothing(place: Place) -> None:
    writers = [place.writer(f"w{n}", 1) for n in range(10)]
    assert [w.wait(timeout=300) for w in writers] == [0] * 10
    place.check_all_landed()


def test_a_kill_at_any_point_loses_nothing(place: Place) -> None:
    chance = random.Random(5)
    for attempt in range(4):
        one = place.writer(f"k{attempt}", 1000)
        while one.poll() is None and not (place.root / f"k{attempt}.ack").exists():
            time.sleep(0.01)
        time.sleep(chance.random() * 2)
        os.killpg(one.pid, signal.SIGKILL)
        one.wait()
    time.sleep(1)
    fold(place.spool, place.remote("after"), place.branch, now=datetime.now(UTC))
    place.check_all_landed()
