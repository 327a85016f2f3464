"""Synthetic ledgers, which figures rest on, are ledgers: each file is a record at its path, and the chain holds."""

from __future__ import annotations

import subprocess
import sys
from collections import defaultdict
from pathlib import Path

import pytest

from mlgen.git import Repository, init_bare
from mlgen.ledger import chain
from mlgen.ledger.index.history import read
from mlgen.ledger.questions.read import ArtifactId, id_of
from mlgen.ledger.records.task import State
from mlgen.ledger.stream import stream

ROOT = Path(__file__).resolve().parent.parent
RECORDS = 700


def make(repository: Path) -> Repository:
    subprocess.run([sys.executable, ROOT / "bench" / "ledgers.py", str(RECORDS), repository], check=True)
    return init_bare(repository)


@pytest.fixture(scope="module")
def ledger(tmp_path_factory: pytest.TempPathFactory) -> Repository:
    return make(tmp_path_factory.mktemp("synthetic") / "ledger.git")


def test_every_file_is_a_record_of_its_path(ledger: Repository) -> None:
    tip = ledger.tip("refs/heads/ledger")
    assert tip is not None
    entries = [stored.entry() for stored in stream(ledger, tip)]
    assert len(entries) == RECORDS
    assert len(ledger.run("ls-tree", "-r", "--name-only", tip).splitlines()) == RECORDS


def test_the_trailers_of_every_commit_say_what_it_adds(ledger: Repository) -> None:
    parent, before = None, None
    for commit in ledger.run("rev-list", "--reverse", "ledger").decode().split():
        added = (
            list(ledger.tree_files(commit, "runs", since=before)) if before else list(ledger.tree_files(commit, "runs"))
        )
        with ledger.reader() as reader:
            found = zip(added, reader.get_all(f.oid for f in added), strict=True)
            files = {f.path: blob.data for f, blob in found if blob is not None}
            object_ = reader.get(commit)
        assert object_ is not None
        parent = chain.link(files, parent)
        assert chain.of_commit(object_.data) == parent
        before = commit


def test_there_is_something_to_ask(ledger: Repository) -> None:
    history = read(ledger, "ledger")
    assert not history.skipped
    records = [e.record for run in history.runs for e in run.executions]
    assert {r.state for r in records} >= {State.COMPLETE, State.FAIL}
    assert any(r.attempt for r in records)
    readers: dict[ArtifactId, set[str]] = defaultdict(set)
    for run in history.runs:
        for artifact in (a for e in run.outcomes for a in e.record.inputs):
            readers[id_of(artifact)].add(run.uid)
    assert any(len(uids) > 1 for uids in readers.values())
    assert max(len(run.outcomes) for run in history.runs) == 10


def test_the_same_seed_gives_the_same_bytes(ledger: Repository, tmp_path: Path) -> None:
    again = make(tmp_path / "again.git")
    assert again.tip("refs/heads/ledger") == ledger.tip("refs/heads/ledger")
