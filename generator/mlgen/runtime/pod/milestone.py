"""When a run began and ended, noted in the bucket by whichever of its pods is first: no pod is told by Tekton."""

from __future__ import annotations

import json
from datetime import datetime
from enum import StrEnum

from mlgen import canonical
from mlgen.store import Missing, Store, StoreError, Taken


class Milestone(StrEnum):
    STARTED = "started"
    ENDED = "ended"  # its `tasks`


def note(store: Store, milestone: Milestone, *, pipeline: str, run: str, run_uid: str, time: str) -> str:
    """Note that a run is so far; the time that counts, RFC 3339: of whoever was first, so that a retry says the same.

    It tells as well whether the store can be written to and read. Raises CannotAnswer, StoreError.
    """
    key = _key(milestone, pipeline, run, run_uid)
    try:
        store.put(key, canonical.encode({"run": run, "time": time, "uid": run_uid}) + b"\n")
    except Taken:
        return _read(store, key) or time
    return time


def noted(store: Store, milestone: Milestone, *, pipeline: str, run: str, run_uid: str) -> str | None:
    """When a run was so far; None where none of its pods noted it. Raises CannotAnswer."""
    return _read(store, _key(milestone, pipeline, run, run_uid))


def _key(milestone: Milestone, pipeline: str, run: str, run_uid: str) -> str:
    # Beside the artifacts of its executions, whose folders are named <task>.<8 hex>, and gone when they go.
    return f"{pipeline}/{run}/{milestone}.{run_uid[:8]}.json"


def _read(store: Store, key: str) -> str | None:
    try:
        time = json.loads(store.get(key))["time"]
        datetime.fromisoformat(time)
    except Missing:
        return None
    except (StoreError, ValueError, KeyError, TypeError, RecursionError):  # not what a pod of ours wrote
        return None
    return str(time)
