"""The store in a real bucket: what the in-memory one promises in tests/test_store.py, over S3's protocol."""

from __future__ import annotations

import os
import uuid
from datetime import UTC, datetime
from pathlib import Path

import pytest

from mlgen import git
from mlgen.ledger.fold import fold
from mlgen.ledger.spool import Spool
from mlgen.store import Missing, Store, Taken, open_store
from tests.ledger import records

VARIABLES = {
    "endpoint": "MLGEN_E2E_S3_ENDPOINT",
    "access_key_id": "MLGEN_E2E_S3_ACCESS_KEY",
    "secret_access_key": "MLGEN_E2E_S3_SECRET_KEY",
}


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """A prefix of the bucket that no other test has."""
    if any(name not in os.environ for name in VARIABLES.values()):
        pytest.skip("no bucket: MLGEN_E2E_S3_ENDPOINT and its keys are not set")
    options = {option: os.environ[name] for option, name in VARIABLES.items()}
    bucket = os.environ.get("MLGEN_E2E_S3_BUCKET", "mlgen")
    return open_store(f"s3://{bucket}/test-{uuid.uuid4()}", options={**options, "region": "us-east-1"}, base=tmp_path)


def test_small_objects(store: Store) -> None:
    store.put("_ledger/a.json", b"a")
    store.put("_ledger/a.json", b"a")
    with pytest.raises(Taken):
        store.put("_ledger/a.json", b"b")
    assert store.get("_ledger/a.json") == b"a"
    assert store.keys("_ledger") == ["_ledger/a.json"]
    store.delete("_ledger/a.json")
    store.delete("_ledger/a.json")
    with pytest.raises(Missing):
        store.get("_ledger/a.json")
    assert store.keys("_ledger") == []


def test_artifacts(store: Store, tmp_path: Path) -> None:
    (tmp_path / "big").write_bytes(os.urandom(20 << 20))  # three parts of an upload
    big = store.put_artifact("churn/r1/train.0a/model", tmp_path / "big")
    store.get_artifact("churn/r1/train.0a/model", tmp_path / "copy", digest=big.digest)
    assert (tmp_path / "copy").read_bytes() == (tmp_path / "big").read_bytes()

    files = {"a.csv": b"1\n", "deep/ü #%?+ &.txt": b"", "deep/er/b": b"x" * 1000}
    for name, data in files.items():
        (tmp_path / "tree" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "tree" / name).write_bytes(data)
    tree = store.put_artifact("churn/r1/prepare.0a/set", tmp_path / "tree")
    assert store.get_artifact("churn/r1/prepare.0a/set", tmp_path / "back", digest=tree.digest) == tree
    for name, data in files.items():
        assert (tmp_path / "back" / name).read_bytes() == data


def test_records_land_from_a_bucket(store: Store, tmp_path: Path) -> None:
    spool = Spool(store)
    entries = [records.task(name=f"t{n}") for n in range(20)]
    for entry in entries:
        spool.put(entry)
    folded = fold(spool, git.init_bare(tmp_path / "l.git"), "ledger", now=datetime(2026, 11, 28, tzinfo=UTC))
    assert sorted(folded.landed) == sorted(entry.path for entry in entries)
    assert spool.waiting() == []
