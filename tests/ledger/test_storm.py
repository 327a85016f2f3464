"""A hundred writers and ten folders, killed at random, on a host and a store that fail: nothing lost, nothing twice."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from mlgen import git
from mlgen.ledger.folding.spool import DEAD, Spool
from tests import git_host, s3
from tests.git_host import GitHost
from tests.ledger.storm import ENV, Storm, acknowledged
from tests.ledger.test_fold import ENVIRON, call, check_chain, on_branch
from tests.s3 import DROP, LOSE, S3, Answer, Trouble


@pytest.fixture
def bucket() -> Iterator[S3]:
    with s3.serve() as server:
        yield server


def away_at_times(chance: random.Random) -> Callable[[str], str]:
    """A host that is away for a second of each eight, loses answers after pushes, and is overloaded now and then."""
    began = time.monotonic()

    def fault(path: str) -> str:
        if (time.monotonic() - began) % 8 > 7:
            return "drop"
        if path.endswith("/git-receive-pack") and chance.random() < 0.3:
            return chance.choice(["late", "drop"])
        return "503" if chance.random() < 0.01 else ""

    return fault


def failing_at_times(chance: random.Random) -> Callable[[str, str], Trouble]:
    troubles: list[Trouble] = [DROP, LOSE, Answer(503, "SlowDown"), Answer(500, "InternalError")]
    return lambda _method, _target: chance.choice(troubles) if chance.random() < 0.02 else None


# What rages -> (writers, records of each, folders, interval in seconds; 0: no turns)
STORMS = {"128 writers": (128, 2, 2, 10), "10 folders": (12, 8, 10, 0), "2 folders": (12, 8, 2, 0)}


@pytest.mark.parametrize("which", STORMS)
def test_a_storm(host: GitHost, bucket: S3, tmp_path: Path, which: str) -> None:
    writers, count, folders, interval = STORMS[which]
    git_host.secret(tmp_path / "secret")
    storm = Storm(
        url=f"{host.url}/l.git",
        branch="ledger",
        artifacts="s3://b/artifacts",
        options=bucket.options,
        writers=writers,
        records=count,
        folders=folders,
        interval_seconds=interval,
        kill_seconds=3,
    )
    host.fault, bucket.trouble = away_at_times(random.Random(1)), failing_at_times(random.Random(2))
    began = time.time()
    storm.run(tmp_path)
    intervals = time.time() // 10 - began // 10 + 1
    host.fault, bucket.trouble = git_host.no_fault, lambda _method, _target: None
    pushes = sum(request.startswith("POST") and request.endswith("/git-receive-pack") for request in host.requests)
    time.sleep(0.5)  # git and the host go on for a moment with what a killed process began
    errors = tmp_path / "errors"
    assert not errors.exists(), errors.read_text()
    if interval:
        assert pushes <= intervals + 6, "one an interval, and a minute's ahead of their time"
    quiet = Storm(**{**storm.__dict__, "interval_seconds": 0})
    quiet.fold(tmp_path, "after", timedelta(), patient=True, seconds=60)
    check(host, Spool(quiet.store), set(acknowledged(tmp_path)), at_least=writers)


def check(host: GitHost, spool: Spool, acknowledged: set[str], *, at_least: int) -> None:
    repository = git.init_bare(host.root / "l.git", ENVIRON)
    paths = list(on_branch(repository))
    assert len(acknowledged) >= at_least
    assert acknowledged <= set(paths)
    assert all(f"/{ENV}/" in path for path in paths)
    changes = call(repository.git_dir, "log", "--format=", "--name-status", "ledger").splitlines()
    assert sorted(line for line in changes if line) == sorted(f"A\t{path}" for path in paths), "each of them once"
    check_chain(repository, call(repository.git_dir, "log", "--format=%H", "--reverse", "ledger").split())
    assert "error" not in call(repository.git_dir, "fsck", "--strict")
    assert (spool.waiting(), spool.store.keys(DEAD)) == ([], [])
