"""What a task of a Pipeline waits for, and what it needs to be true, where no result of Tekton's says so.

A task that reads a late task (decision 0031) has no result of it among its params, by which Tekton would wait, and
would skip the reader of a skipped one. So it waits by `runAfter`, and repeats what the late task itself needs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from mlgen.plan.model import Condition, Plan, Task
from mlgen.render.fans import Pieces
from mlgen.render.lookups import hit_is_not, is_looked_up
from mlgen.render.staging import Data


class Waits:
    """when_of: a condition of a task as Tekton has it."""

    def __init__(self, plan: Plan, pieces: Pieces, when_of: Callable[[Condition], Data]) -> None:
        self.plan, self.pieces, self.when_of = plan, pieces, when_of
        self._late = {task.name: task for task in plan.tasks if task.late}
        self._wanted: dict[str, list[Data]] = {}
        for task in plan.tasks:  # topological
            # A task `after` one that was skipped for want of an out is skipped as well, in both engines.
            self._wanted[task.name] = _once([*self.to_read(task.reads), *self._of(task.after)])

    def when(self, task: Task) -> list[Data]:
        """What has to be true for a task to run."""
        own = [hit_is_not(task)] if is_looked_up(task) else map(self.when_of, task.conditions)
        return _once([*own, *self.wanted(task)])

    def wanted(self, task: Task) -> list[Data]:
        """What has to be true besides its own gate."""
        return self._wanted.get(task.name, [])

    def run_after(self, task: Task) -> list[str]:
        """What a task has to wait for besides results."""
        after = [end for name in task.after for end in self.pieces.ends(name)]
        return list(dict.fromkeys([*self.ends(task.reads), *after]))

    def to_read(self, tasks: Iterable[str]) -> list[Data]:
        """What has to be true for late ones among these tasks to have run."""
        late = [self._late[name] for name in tasks if name in self._late]
        own = [self.when_of(condition) for task in late for condition in task.conditions]
        return _once([*own, *self._of(task.name for task in late)])

    def ends(self, tasks: Iterable[str]) -> list[str]:
        """What to wait for where late ones among these tasks are read."""
        return [end for name in tasks if name in self._late for end in self.pieces.ends(name)]

    def _of(self, tasks: Iterable[str]) -> list[Data]:
        return [one for name in tasks for one in self._wanted.get(name, [])]


def _once(found: list[Data]) -> list[Data]:
    return [one for at, one in enumerate(found) if one not in found[:at]]
