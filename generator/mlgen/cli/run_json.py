"""`run --format json`: the same keys for both engines."""

from __future__ import annotations

from collections.abc import Mapping

from mlgen.ledger.records.run import TaskStatus
from mlgen.ledger.records.task import State


def to_json(
    run: str, uid: str, state: State | None, tasks: Mapping[str, TaskStatus], ledger: str | None
) -> dict[str, object]:
    """state: None while it goes on. ledger: the commit that holds its records, None where there is none yet."""
    return {
        "run": run,
        "uid": uid,
        "state": None if state is None else str(state),
        "tasks": {name: {"status": one.status, "reason": one.reason} for name, one in tasks.items()},
        "ledger": ledger,
    }
