"""When a run began: noted in the bucket by the first of its pods, since no pod is told."""

from __future__ import annotations

import json
from contextlib import suppress
from datetime import datetime

from mlgen import canonical
from mlgen.store import Missing, Store, StoreError, Taken


def note(store: Store, pipeline: str, run: str, run_uid: str, started_at: str) -> None:
    """Note when a run began; of a run that is noted already, nothing changes. Raises CannotAnswer, StoreError.

    So it tells as well whether the store can be written to and read.
    """
    data = canonical.encode({"run": run, "startedAt": started_at, "uid": run_uid}) + b"\n"
    with suppress(Taken):
        store.put(_key(pipeline, run, run_uid), data)


def noted(store: Store, pipeline: str, run: str, run_uid: str) -> str | None:
    """When a run began, RFC 3339; None where none of its pods could note it. Raises CannotAnswer."""
    try:
        started_at = json.loads(store.get(_key(pipeline, run, run_uid)))["startedAt"]
        datetime.fromisoformat(started_at)
    except Missing:
        return None
    except (StoreError, ValueError, KeyError, TypeError, RecursionError):  # not what a pod of ours wrote
        return None
    return str(started_at)


def _key(pipeline: str, run: str, run_uid: str) -> str:
    # Beside the artifacts of its executions, whose folders are named <task>.<8 hex>, and gone when they go.
    return f"{pipeline}/{run}/started.{run_uid[:8]}.json"
