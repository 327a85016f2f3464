"""How long a look into the cache takes: entries of a task, and of all tasks; on this machine, and in a bucket.

PYTHONPATH=generator:. python bench/cache.py [s3://bucket/prefix]     keys, endpoint and region: AWS_… variables
"""

from __future__ import annotations

import os
import statistics
import sys
import tempfile
import time
from dataclasses import replace
from datetime import UTC, datetime
from multiprocessing.pool import ThreadPool
from pathlib import Path
from uuid import uuid4

from mlgen.ledger.records.artifact import Artifact
from mlgen.ledger.records.task import State, TaskRecord
from mlgen.runtime.cache import entries as cache
from mlgen.runtime.cache import key as cache_key
from mlgen.runtime.cache.entries import Entry
from mlgen.runtime.protocol import Out
from mlgen.store import Store, open_store
from mlgen.values import Type

ROUNDS = 31
DIGEST = "sha256:" + "0" * 64
OUTS = [Out("model", Type.MODEL)]


def entry(store: Store, number: int) -> Entry:
    """An entry under a key of its own; all refer to one artifact."""
    key = cache_key.of_parts("demo", "train", {"env": "prod", "in epochs": f'"{number}"', "code": DIGEST})
    time_ = "2026-11-29T12:00:00.000Z"
    output = Artifact("model", f"{store.uri}/demo/demo-x1/train.12345678/model", DIGEST, 1000, "text/plain", "model")
    record = TaskRecord(
        run_id=str(uuid4()), env="prod", pipeline="demo", run="demo-x1", run_uid=str(uuid4()), task="train", attempt=0,
        started_at=time_, ended_at=time_, state=State.COMPLETE, exit_code=0, reason="Succeeded", engine="local",
        spec_digest=DIGEST, plan_digest=DIGEST, cache_key=key.digest, outputs=(output,),
    )  # fmt: skip
    return Entry(record, {"model": f"demo/demo-x1/train.12345678/model@{DIGEST}"}, key)


def measure(store: Store, most: list[int], at_once: int) -> None:
    """Print the median and the longest of ROUNDS looks that hit, and as many that miss, in ms."""
    store.put("demo/demo-x1/train.12345678/model", b"x" * 1000)
    made: list[Entry] = []
    for count in most:
        fresh = [entry(store, number) for number in range(len(made), count)]
        with ThreadPool(at_once) as pool:
            pool.map(lambda one: cache.keep(store, one), fresh)
        made += fresh
        for what in ("hit", "miss"):
            took = []
            for number in range(ROUNDS):
                one = made[number * 7919 % len(made)]
                key = one.key if what == "hit" else replace(one.key, digest=f"sha256:{number:064x}")
                began = time.perf_counter()
                found = cache.look_up(
                    store, key, pipeline="demo", task="train", outs=OUTS, max_age_seconds=None, now=datetime.now(UTC),
                    claimant=str(uuid4()),
                )  # fmt: skip
                took.append((time.perf_counter() - began) * 1000)
                assert isinstance(found, Entry) is (what == "hit")
            print(f"{count:7,} entries  {what:4}  median {statistics.median(took):6.1f} ms  most {max(took):6.1f} ms")


if __name__ == "__main__":
    if len(sys.argv) > 1:
        options = {"endpoint": os.environ.get("AWS_ENDPOINT"), "region": os.environ.get("AWS_REGION")}
        measure(open_store(f"{sys.argv[1]}/{uuid4().hex[:8]}", options=options, base=Path()), [10, 1000, 10_000], 32)
    else:
        with tempfile.TemporaryDirectory() as folder:
            measure(open_store(folder, base=Path()), [10, 1000, 10_000], 1)
