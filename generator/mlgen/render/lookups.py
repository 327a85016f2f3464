"""Pods that look for a task in the cache before its own, so that a hit takes no GPU (decision 0033)."""

from __future__ import annotations

from collections.abc import Callable

from mlgen.gates import to_text
from mlgen.plan.model import Condition, Plan, Task
from mlgen.render.staging import Data
from mlgen.runtime.pod import contract as pod

WHEN = "mlgen-when"  # a param: what the task's own gate says


def is_looked_up(task: Task) -> bool:
    """Whether a task has such a pod: one whose image is a tag has no key."""
    return task.looked_up and task.image is not None and task.image.digest is not None


def looked_up(plan: Plan) -> list[Task]:
    """The tasks that have such a pod."""
    return [task for task in plan.tasks if is_looked_up(task)]


def hit_is_not(task: Task) -> Data:
    """That a task's own pod is to run: its gate holds, and nothing was found."""
    result = f"$(tasks.{task.lookup_name}.results.{pod.RUN})"
    return {"input": result, "operator": "in", "values": ["true"]}


def when_param(task: Task, result: Callable[[str, str], str]) -> Data:
    """What the pod is told of the task's gate. result: of a task, by name, as Tekton has it.

    Decided there and not by a `when` of this pod's: skipped it would leave no result, and Tekton would skip the task
    for that, and then all that only come after it.
    """
    return {"name": WHEN, "value": [pod.WHEN + _told(one, result) for one in task.conditions] or [f"{pod.WHEN}true"]}


def _told(condition: Condition, result: Callable[[str, str], str]) -> str:
    if condition.evaluator is not None:
        return result(condition.evaluator, f"if-{condition.index}")
    return pod.escape(to_text(condition.gate))
