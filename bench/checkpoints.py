"""What a save of a checkpoint takes: `python bench/checkpoints.py URI`, a folder or s3://bucket/prefix.

Of a bucket, as for `transfer.py`: ENDPOINT, REGION, ACCESS_KEY and SECRET_KEY with MLGEN_E2E_S3_ before them.
"""

from __future__ import annotations

import os
import resource
import sys
import tempfile
import time
import uuid
from pathlib import Path

from mlgen.runtime.checkpoint import Checkpoint
from mlgen.store import Store, open_store

SHARDS, SHARD_BYTES = 4, 256 << 20


def fill(path: Path, seed: int) -> None:
    block = bytes((seed + at) % 256 for at in range(1 << 20))
    with path.open("wb") as file:
        for _ in range(SHARD_BYTES >> 20):
            file.write(block)


def main(uri: str) -> None:
    with tempfile.TemporaryDirectory() as scratch:
        root = Path(scratch)
        prefix = "MLGEN_E2E_S3_"
        names = {"endpoint": "ENDPOINT", "access_key_id": "ACCESS_KEY", "secret_access_key": "SECRET_KEY"}
        options = {option: os.environ.get(prefix + name) for option, name in names.items()}
        options["region"] = os.environ.get(f"{prefix}REGION", "us-east-1")
        store: Store = open_store(uri, options=options, base=root)
        one = Checkpoint(store, f"_attempts/bench/{uuid.uuid4()}/train/0", root / "a", root, str(uuid.uuid4()))
        one.folder.mkdir()
        for number in range(SHARDS):
            fill(one.folder / f"shard-{number}", number)
        time.sleep(0.1)
        timed("first save", one.save)
        fill(one.folder / "shard-0", 9)
        time.sleep(0.1)
        timed("second save, one file changed", one.save)
        timed("a save of what has not changed", one.save)
        two = Checkpoint(store, one.at, root / "b", root, str(uuid.uuid4()))
        two.folder.mkdir()
        timed("restore", two.restore)
        one.remove()
    print(f"most memory {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024} MiB")


def timed(what: str, work: object) -> None:
    began, cpu = time.monotonic(), time.process_time()
    found = work()  # type: ignore[operator]  # a method without arguments
    print(f"{what}: {time.monotonic() - began:.2f} s, {time.process_time() - cpu:.2f} s of cpu, {found}")


if __name__ == "__main__":
    main(sys.argv[1])
