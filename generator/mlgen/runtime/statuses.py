"""What a finally task's script is told of all tasks, in MLGEN_TASKS: JSON, no longer than a variable may be."""

from __future__ import annotations

import json
from collections.abc import Mapping

from mlgen.ledger.records.run import TaskStatus
from mlgen.runtime.fans.late import MAX_TEXT_BYTES

_LEFT_OUT_FIRST = ("None", "Succeeded")  # what failed is what such a script asks for


def text(tasks: Mapping[str, TaskStatus]) -> tuple[str, str]:
    """The text, and a sentence for people about what is left out of it, "" where nothing is.

    Where it would be longer than a variable may be, tasks that were skipped are not in it; where that is not enough,
    neither are those that succeeded, and then the last of those that failed.
    """
    found, known = dict(tasks), len(tasks)
    for status in _LEFT_OUT_FIRST:
        if len(whole := _json(found)) <= MAX_TEXT_BYTES:
            break
        found = {name: one for name, one in found.items() if one.status != status}
    while len(whole := _json(found)) > MAX_TEXT_BYTES:
        found = dict(list(found.items())[: len(found) * MAX_TEXT_BYTES // len(whole)])
    if len(found) == known:
        return whole, ""
    count = f"{known - len(found):,} of {known:,} tasks"
    order = "first those that were skipped, then those that succeeded"
    return whole, f"MLGEN_TASKS leaves out {count}, {order}: a variable holds {MAX_TEXT_BYTES:,} bytes"


def _json(tasks: Mapping[str, TaskStatus]) -> str:
    return json.dumps({name: {"status": one.status, "reason": one.reason} for name, one in tasks.items()})
