"""Tasks of a run in a cluster that go through a list which is empty in the spec: Tekton does not know of them."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

from mlgen.cluster.events import Outcome
from mlgen.ledger.records.run import TaskStatus
from mlgen.plan.model import Plan, Task
from mlgen.runtime.ending import NO_ITEMS

STATUS = TaskStatus("Succeeded", NO_ITEMS)  # as `record` has it in run.json


def at_once(task: Task) -> bool:
    """Whether a task goes through a list that is empty in the spec: its Pipeline does not have it."""
    return task.fan is not None and task.fan.of == 0


def told(plan: Plan, entries: Collection[str], outcome: Outcome) -> Outcome:
    """What became of a run, with its tasks that had no items. entries: the tasks that are part of it."""
    none = {task.name: STATUS for task in plan.tasks if task.name in entries and at_once(task)}
    tasks = {**outcome.tasks, **none}
    return replace(outcome, tasks={task.name: tasks[task.name] for task in plan.tasks if task.name in tasks})
