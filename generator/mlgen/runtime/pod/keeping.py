"""What is kept of an execution in the bucket once its record is decided: by the sidecar, or by stage-out without it."""

from __future__ import annotations

import json
from collections.abc import Mapping

from mlgen.ledger.folding.spool import Spool
from mlgen.ledger.records import entry
from mlgen.ledger.records.task import TaskRecord
from mlgen.runtime.ending import is_last
from mlgen.runtime.pod.handover import TEXTS
from mlgen.runtime.pod.post import Post


def tell_texts(post: Post, texts: Mapping[str, str | None]) -> None:
    """Say what the outs are, before the record is decided: readers of a late task are given them as they are."""
    if post.document.fan is not None or post.document.late:
        post.handover.tell(TEXTS, json.dumps(texts))


def keep(post: Post, data: bytes) -> None:
    """Put a record into the spool, and then what readers of a fan learn of it. Any number of times.

    data: the record's bytes. Nothing is kept of another rank than 0. Raises StoreError, Fault.
    """
    if post.rank:
        return
    Spool(post.store).put_bytes(data)
    post.at("recorded")
    if post.document.fan is None and not post.document.late:
        return
    from mlgen.runtime.fans import gathering  # here: only of tasks that are late

    record = entry.from_bytes(data)
    assert isinstance(record, TaskRecord), "decided by us"
    texts = json.loads(post.handover.told(TEXTS) or "{}")
    gathering.put(post.store, record, texts, last=is_last(post.document, record))
