"""The folders of runs: a name is one run's, however many ask at once and wherever one is killed."""

from __future__ import annotations

import os
import re
import signal
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from uuid import uuid4

import pytest

from mlgen.diagnostic import Misuse
from mlgen.local import rundirs
from mlgen.local.rundir import LOCK, Started

DIGEST = "sha256:" + "0" * 64


def started(run: str) -> Started:
    return Started(run, str(uuid4()), "demo", "local", "2026-10-31T00:00:00.000Z", {}, DIGEST, DIGEST, None, {})


def create(project: Path, run: str) -> int | None:
    """The lock of a new run; None where the name is taken."""
    try:
        return rundirs.create(project, started(run))[1]
    except Misuse as refused:
        if refused.code != "run-exists":
            raise
        return None


def test_of_all_that_ask_for_a_name_at_once_one_gets_it(tmp_path: Path) -> None:
    names = [f"run-{index}" for index in range(20) for _ in range(4)]
    with ThreadPoolExecutor(8) as threads:
        locks = list(threads.map(lambda name: create(tmp_path, name), names))
    got = [name for name, lock in zip(names, locks, strict=True) if lock is not None]
    assert sorted(got) == sorted(set(names))
    assert sorted(folder.run for folder in rundirs.kept(tmp_path)) == sorted(set(names))
    assert list(rundirs.unfinished(tmp_path)) == [], "each is held by who made it"
    for lock in locks:
        if lock is not None:
            os.close(lock)
    assert len(list(rundirs.unfinished(tmp_path))) == 20


def killed_at(project: Path, name: str, function: str) -> None:
    """Begin a run in a process that is killed at a call of `os`."""
    if (pid := os.fork()) == 0:
        here: Callable[..., object] = lambda *_args, **_more: os.kill(os.getpid(), signal.SIGKILL)  # noqa: E731
        setattr(os, function, here)
        create(project, name)
        os._exit(1)
    assert os.WTERMSIG(os.waitpid(pid, 0)[1]) == signal.SIGKILL


@pytest.mark.parametrize("function", ["mkdir", "rename", "write"])
def test_a_kill_on_the_way_to_a_name_leaves_it_free(tmp_path: Path, function: str) -> None:
    assert create(tmp_path, "first") is not None  # so that the folders around it are there
    killed_at(tmp_path, "second", function)
    assert [folder.run for folder in rundirs.kept(tmp_path)] == ["first"]
    assert [folder.run for folder in rundirs.unended(tmp_path)] == ["first"]
    assert create(tmp_path, "second") is not None
    assert sorted(folder.run for folder in rundirs.kept(tmp_path)) == ["first", "second"]
    for folder in rundirs.kept(tmp_path):
        assert re.fullmatch(r"[0-9]+", (folder.path / LOCK).read_text())
    assert sorted(os.listdir(tmp_path / rundirs.RUNS)) == sorted(folder.path.name for folder in rundirs.kept(tmp_path))
