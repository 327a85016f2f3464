"""What a finally task's script is told of all tasks."""

from __future__ import annotations

import json

from mlgen.ledger.records.run import TaskStatus
from mlgen.runtime.fans.late import MAX_TEXT_BYTES
from mlgen.runtime.statuses import text


def many(status: str, count: int) -> dict[str, TaskStatus]:
    return {f"{status.lower()}-{index:04}": TaskStatus(status, "because") for index in range(count)}


def test_all_tasks_in_their_order_where_they_fit() -> None:
    tasks = many("Succeeded", 2) | many("None", 1) | many("Failed", 1)
    told, left_out = text(tasks)
    assert (list(json.loads(told)), left_out) == (list(tasks), "")
    assert json.loads(told)["none-0000"] == {"status": "None", "reason": "because"}


def test_what_does_not_fit_is_left_out_by_how_little_it_says() -> None:
    of_all = many("None", 1500) | many("Succeeded", 1500) | many("Failed", 3)
    assert list(json.loads(text(of_all)[0])) == list(many("Succeeded", 1500) | many("Failed", 3))
    assert text(of_all)[1].startswith("MLGEN_TASKS leaves out 1,500 of 3,003 tasks, ")
    of_all = many("None", 9) | many("Succeeded", 3000) | many("Failed", 3)
    assert list(json.loads(text(of_all)[0])) == list(many("Failed", 3))
    told, left_out = text(many("Failed", 9000))
    assert 0.9 * MAX_TEXT_BYTES < len(told) <= MAX_TEXT_BYTES
    assert next(iter(json.loads(told))) == "failed-0000"
    assert left_out
