"""A storm (`tests/ledger/storm.py`) on a real bucket and a real Git server, behind a proxy that breaks connections."""

from __future__ import annotations

import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import pytest

from mlgen import git
from mlgen.ledger.folding.spool import DEAD
from tests.e2e.branch import Place, own_place
from tests.e2e.proxy import Proxy, Verdict
from tests.ledger.storm import Storm, acknowledged
from tests.ledger.test_fold import ENVIRON, call, check_chain, on_branch


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    with own_place(tmp_path) as place:
        yield place


@contextmanager
def coming_and_going(server: Proxy) -> Iterator[None]:
    """A server that is down for two seconds of each eight, and loses the answer to each third push."""
    over = threading.Event()
    pushes = 0

    def fault(method: str, path: str) -> Verdict:
        nonlocal pushes
        if method == "POST" and path.endswith("/git-receive-pack"):
            pushes += 1
            return Verdict.LOSE_ANSWER if pushes % 3 == 0 else Verdict.PASS
        return Verdict.PASS

    def go() -> None:
        while not over.wait(6):
            server.stop()
            over.wait(2)
            server.start()

    server.fault = fault
    thread = threading.Thread(target=go)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
        server.heal()


def test_a_storm(place: Place, tmp_path: Path) -> None:
    host = Proxy(place.url, "127.0.0.1")
    storm = Storm(
        url=host.url,
        branch=place.branch,
        artifacts=place.bucket,
        options=place.options,
        writers=128,
        records=3,
        folders=2,
        interval_seconds=10,
        kill_seconds=8,
        pause_seconds=3.0,
    )
    began = time.time()
    with coming_and_going(host):
        storm.run(tmp_path)
    intervals = time.time() // 10 - began // 10 + 1
    pushes = sum(method == "POST" and path.endswith("/git-receive-pack") for method, path in host.named)
    host.stop()
    time.sleep(1)  # the server goes on for a moment with what a killed process began
    errors = tmp_path / "errors"
    assert not errors.exists(), errors.read_text()
    # One an interval, and a minute's ahead of their time; one that finds the ref locked is tried once more.
    assert 0 < pushes <= 2 * (intervals + 6)
    quiet = Storm(**{**storm.__dict__, "url": place.url, "interval_seconds": 0})
    quiet.fold(tmp_path, "after", timedelta(), patient=True, seconds=60)
    check(place, set(acknowledged(tmp_path)))


def check(place: Place, acknowledged: set[str]) -> None:
    folder = place.root / "clone.git"
    scheme, _, rest = place.url.partition("://")
    user, token = ((place.root / "secret" / name).read_text() for name in ("username", "password"))
    url = f"{scheme}://{user}:{token}@{rest}"
    command = ["git", "clone", "-q", "--bare", "--single-branch", f"--branch={place.branch}", url, str(folder)]
    subprocess.run(command, check=True, env=ENVIRON)
    repository = git.init_bare(folder, ENVIRON)
    paths = list(on_branch(repository, place.branch))
    assert len(acknowledged) >= 128
    assert acknowledged <= set(paths)
    changes = call(folder, "log", "--format=", "--name-status", place.branch).splitlines()
    assert sorted(line for line in changes if line) == sorted(f"A\t{path}" for path in paths), "each of them once"
    check_chain(repository, call(folder, "log", "--format=%H", "--reverse", place.branch).split())
    assert "error" not in call(folder, "fsck", "--strict")
    assert (place.spool.waiting(), place.spool.store.keys(DEAD)) == ([], [])
