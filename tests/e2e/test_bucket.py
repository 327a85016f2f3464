"""The store in a real bucket: what the in-memory one promises in tests/test_store.py, over S3's protocol."""

from __future__ import annotations

import os
import subprocess
import sys
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from mlgen import git
from mlgen.diagnostic import CannotAnswer
from mlgen.ledger.folding.fold import fold
from mlgen.ledger.folding.spool import Spool
from mlgen.store import Missing, Store, Taken, open_store
from tests.ledger import records

VARIABLES = {
    "endpoint": "MLGEN_E2E_S3_ENDPOINT",
    "access_key_id": "MLGEN_E2E_S3_ACCESS_KEY",
    "secret_access_key": "MLGEN_E2E_S3_SECRET_KEY",
}


@pytest.fixture(scope="module")
def options() -> dict[str, str]:
    if any(name not in os.environ for name in VARIABLES.values()):
        pytest.skip("no bucket: MLGEN_E2E_S3_ENDPOINT and its keys are not set")
    return {option: os.environ[name] for option, name in VARIABLES.items()} | {"region": "us-east-1"}


@pytest.fixture
def uri(options: dict[str, str]) -> Iterator[str]:
    """A prefix of the bucket that no other test has, and that is emptied behind it."""
    bucket = f"s3://{os.environ.get('MLGEN_E2E_S3_BUCKET', 'mlgen')}"
    prefix = f"store-test-{uuid.uuid4()}"
    yield f"{bucket}/{prefix}"
    store = open_store(bucket, options=options, base=Path())
    for key in store.keys(prefix):
        store.delete(key)


@pytest.fixture
def store(uri: str, options: dict[str, str]) -> Store:
    return open_store(uri, options=options, base=Path())


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


@pytest.mark.parametrize("wrong", ["access_key_id", "secret_access_key"])
def test_keys_that_the_store_does_not_know(uri: str, options: dict[str, str], tmp_path: Path, wrong: str) -> None:
    options = {**options, wrong: "WRONG", "secret": "s3-credentials"}
    store = open_store(uri, options=options, base=tmp_path)
    (tmp_path / "x").write_bytes(b"x")
    for use in (
        lambda: store.put("k", b""),
        lambda: store.get("k"),
        lambda: store.keys("k"),
        lambda: store.put_artifact("k", tmp_path / "x"),
        lambda: store.get_artifact("k", tmp_path / "copy"),
    ):
        with pytest.raises(CannotAnswer) as told:
            use()
        assert (told.value.code, '"s3-credentials"' in told.value.fix) == ("store-credentials", True)
        assert "WRONG" not in f"{told.value} {told.value.why} {told.value.fix}"


# VmHWM: getrusage() counts what the process that started this one held, too.
COPY = """
import re, sys
from pathlib import Path
from mlgen.store import open_store
verb, uri, path, *options = sys.argv[1:]
store = open_store(uri, options=dict(option.split("=", 1) for option in options), base=Path())
(store.put_artifact if verb == "up" else store.get_artifact)("big", Path(path))
print(int(re.search(r"VmHWM:\\s+(\\d+) kB", Path("/proc/self/status").read_text())[1]) >> 10)
"""


def test_a_big_file_passes_through_little_memory(uri: str, options: dict[str, str], tmp_path: Path) -> None:
    with (tmp_path / "big").open("wb") as file:
        for _ in range(256):
            file.write(os.urandom(1 << 20))
    told = [f"{name}={value}" for name, value in options.items()]
    env = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2] / "generator")}
    for verb, path in (("up", tmp_path / "big"), ("down", tmp_path / "copy")):
        copy = subprocess.run(
            [sys.executable, "-c", COPY, verb, uri, path, *told], check=True, env=env, capture_output=True
        )
        assert int(copy.stdout) < 200, "MiB; a container has 256"
    subprocess.run(["cmp", tmp_path / "big", tmp_path / "copy"], check=True)
