"""The state of a run's graph: what may start, what is skipped and why. No clock, no process, no file.

The rules and the words are Tekton's (pkg/reconciler/pipelinerun/resources/pipelinerunresolution.go, `skip`), so
that a pipeline skips the same tasks for the same reasons here and in a cluster.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Mapping

from mlgen import gates
from mlgen.canonical import Json
from mlgen.gates import Ref
from mlgen.ledger.records.run import TaskStatus
from mlgen.ledger.records.task import State
from mlgen.local import why
from mlgen.plan.model import Condition, GateTask, OutRef, Plan, Task
from mlgen.runtime.ending import CANCELLED, ENGINE_LOST
from mlgen.runtime.reused import NOT_ASKED, REUSED
from mlgen.values import parse

SUCCEEDED, FAILED, COMPLETED, NONE = "Succeeded", "Failed", "Completed", "None"

GATE_FALSE = "When Expressions evaluated to false"
MISSING = "Results were missing"
PARENT = "Parent Tasks were skipped"
STOPPING = "PipelineRun was stopping"


def state_of(tasks: Mapping[str, TaskStatus]) -> State:
    """How a run ended whose tasks are all settled: ABORT where an interrupt or a kill took something away."""
    statuses = tasks.values()
    if any(s.reason in (CANCELLED, ENGINE_LOST) for s in statuses):
        return State.ABORT
    if any(s.status == FAILED for s in statuses):
        return State.FAIL
    # Stopped though nothing failed: interrupted between two tasks.
    return State.ABORT if any(s.reason == STOPPING for s in statuses) else State.COMPLETE


class Schedule:
    """Which task may start next. Told what happened by `succeed`, `fail` and `stop`.

    whys: of each task that does not run, the reason in words for people, which names what is to blame.

    params: texts of the run's params. Results are texts by out name, None for an optional out not written; a
    condition's is `if-<index>`, "true" or "false". known: results of tasks and gate tasks that need not run.
    left_out: tasks, finally tasks among them, that were not asked for.
    """

    def __init__(
        self,
        plan: Plan,
        params: Mapping[str, str],
        *,
        known: Mapping[str, Mapping[str, str | None]] | None = None,
        left_out: Iterable[str] = (),
    ) -> None:
        self._plan = plan
        self._params: dict[str, Json] = {p.name: parse(p.type, params[p.name]) for p in plan.params}
        self._tasks = {task.name: task for task in plan.tasks}
        self._gate_tasks = {task.name: task for task in plan.gate_tasks}
        nodes: list[Task | GateTask] = [*plan.gate_tasks, *plan.tasks]
        self._order = {node.name: at for at, node in enumerate(nodes)}
        self._children: dict[str, list[str]] = {node.name: [] for node in nodes}
        self._waits = {node.name: len(_parents(node)) for node in nodes}
        for node in nodes:
            for parent in _parents(node):
                self._children[parent].append(node.name)
        self._pending = set(self._order)  # neither started nor settled
        self._ready: list[tuple[int, str]] = []
        self._skipped: dict[str, str] = {}
        self.results: dict[str, Mapping[str, str | None]] = {}
        self.statuses: dict[str, TaskStatus] = {}
        self.finally_statuses: dict[str, TaskStatus] = {}
        self.whys: dict[str, str] = {}
        self.stopping = False
        self._left_out = frozenset(left_out)
        self._news: list[str] = []
        for name, results in (known or {}).items():
            self._know(name, results)
        for name in sorted(self._left_out):
            self._skip(name, NOT_ASKED, why.NOT_ASKED)
        self._settle([name for name, count in self._waits.items() if not count])

    @property
    def settled(self) -> bool:
        """Whether every one of `tasks` has its status."""
        return len(self.statuses) == len(self._tasks)

    @property
    def aggregate(self) -> str:
        """`$(tasks.status)` of Tekton: Succeeded, Failed, Completed (some skipped) or None (not settled)."""
        if not self.settled:
            return NONE
        found = {s.status for s in self.statuses.values()}
        return FAILED if FAILED in found else COMPLETED if NONE in found else SUCCEEDED

    def _know(self, name: str, results: Mapping[str, str | None]) -> None:
        self._pending.discard(name)
        self.results[name] = results
        if name in self._tasks:
            self.statuses[name] = TaskStatus(SUCCEEDED, REUSED)
        self._done(name)

    def skipped_news(self) -> list[tuple[str, str]]:
        """Tasks skipped since the last call, with their reasons."""
        news, self._news = self._news, []
        return [(name, self._skipped[name]) for name in news]

    def take(self) -> Task | None:
        """The next task that may start, by the plan's order; the caller tells how it ended."""
        while self._ready:
            _, name = heapq.heappop(self._ready)
            if name in self._pending:
                self._pending.discard(name)
                return self._tasks[name]
        return None

    def succeed(self, name: str, results: Mapping[str, str | None], reason: str = SUCCEEDED) -> None:
        """A running task ended well. results: of its outs and of the conditions it evaluates."""
        self.results[name] = results
        self.statuses[name] = TaskStatus(SUCCEEDED, reason)
        self._settle(self._done(name))

    def fail(self, name: str, reason: str) -> None:
        """A running task failed, retries and all: running ones finish, no new one starts."""
        self.statuses[name] = TaskStatus(FAILED, reason)
        self.stop(why.failed(name))

    def leave(self, name: str) -> None:
        """A running task of which a part never began, as the run was stopping: it neither succeeded nor failed."""
        self.statuses[name] = TaskStatus(NONE, STOPPING)
        self.whys[name] = why.CUT_SHORT
        self._skipped[name] = STOPPING
        self._news.append(name)

    def stop(self, because: str = why.INTERRUPTED) -> None:
        """Start no further task."""
        self.stopping = True
        for name in sorted(self._pending, key=self._order.__getitem__):
            self._skip(name, STOPPING, because)

    def finally_tasks(self) -> list[Task]:
        """The finally tasks that run, once `tasks` is settled; the others get their status here."""
        chosen = []
        for task in self._plan.finally_tasks:
            if task.name in self._left_out:
                self.finally_statuses[task.name] = TaskStatus(NONE, NOT_ASKED)
                self.whys[task.name] = why.NOT_ASKED
            elif any(c.evaluator is not None and c.evaluator not in self.results for c in task.conditions):
                self.finally_statuses[task.name] = TaskStatus(NONE, MISSING)
                self.whys[task.name] = why.missing(task, {c.evaluator for c in task.conditions} - self.results.keys())
            elif (false := self._false(task)) is not None:
                self.finally_statuses[task.name] = TaskStatus(NONE, GATE_FALSE)
                self.whys[task.name] = why.gate_false(false, self._read)
            else:
                chosen.append(task)
        return chosen

    def conclude(self, name: str, status: TaskStatus) -> None:
        """A finally task ended, or will not start as the run was interrupted."""
        self.finally_statuses[name] = status
        if status.reason == STOPPING:
            self.whys[name] = why.INTERRUPTED

    def _settle(self, names: Iterable[str]) -> None:
        """Decide about nodes whose parents are all done. Iterative: a chain of skips may be as long as the plan."""
        work = list(names)
        while work:
            name = work.pop()
            if name not in self._pending:
                continue
            if any(parent in self._skipped for parent in self._data_parents(name)):
                # Nobody reads of a gate task that it was skipped.
                because = why.missing(self._tasks[name], self._skipped) if name in self._tasks else ""
                work += self._skip(name, MISSING, because)
            elif name in self._gate_tasks:
                self._pending.discard(name)
                self.results[name] = self._evaluate(self._gate_tasks[name])
                work += self._done(name)
            elif (false := self._false(self._tasks[name])) is not None:
                work += self._skip(name, GATE_FALSE, why.gate_false(false, self._read))
            else:
                heapq.heappush(self._ready, (self._order[name], name))

    def _done(self, name: str) -> list[str]:
        """Count a node as done; return the children that now have no parent to wait for."""
        for child in self._children[name]:
            self._waits[child] -= 1
        return [child for child in self._children[name] if not self._waits[child]]

    def _skip(self, name: str, reason: str, because: str) -> list[str]:
        """Skip a node and, where its reason is handed on, all below it; return nodes that became decidable."""
        decidable: list[str] = []
        work = [(name, reason, because)]
        while work:
            name, reason, because = work.pop()
            if name not in self._pending:
                continue
            self._pending.discard(name)
            self._skipped[name] = reason
            if name in self._tasks:
                self.statuses[name] = TaskStatus(NONE, reason)
                self.whys[name] = because
                self._news.append(name)
            if reason == GATE_FALSE:  # the only skip that tasks waiting with `after` do not share
                decidable += self._done(name)
            elif reason not in (STOPPING, NOT_ASKED):
                work += [(child, PARENT, self._because_of(name, child)) for child in self._children[name]]
        return decidable

    def _because_of(self, parent: str, child: str) -> str:
        if parent in self._tasks:
            return why.skipped(parent)
        return why.missing(self._tasks[child], (parent,)) if child in self._tasks else ""

    def _data_parents(self, name: str) -> set[str]:
        """The parents of which a result is read; without it the node is skipped."""
        node = self._tasks.get(name) or self._gate_tasks[name]
        if isinstance(node, GateTask):
            return set(node.reads)
        lists = node.fan.lists if node.fan else ()
        outs = {source.task for source in (*(i.source for i in node.ins), *lists) if isinstance(source, OutRef)}
        return outs | {c.evaluator for c in node.conditions if c.evaluator is not None}

    def _false(self, task: Task) -> Condition | None:
        """The first condition that does not hold."""
        return next((c for c in task.conditions if not self._holds(c)), None)

    def _holds(self, condition: Condition) -> bool:
        if condition.evaluator is None:
            return gates.evaluate(condition.gate, self._read)
        return self.results[condition.evaluator][f"if-{condition.index}"] == "true"

    def _evaluate(self, task: GateTask) -> dict[str, str | None]:
        return {f"if-{e.index}": str(gates.evaluate(e.gate, self._read)).lower() for e in task.evaluates}

    def read(self, source: OutRef) -> str | None:
        """The text of an out of a task that has succeeded; None for an optional one that was not written."""
        return self.results[source.task][source.out]

    def _read(self, ref: Ref) -> Json:
        if ref.owner == "params":
            return self._params[ref.name]
        text = self.results[ref.owner][ref.name]
        return None if text is None else parse(self._tasks[ref.owner].type_of(ref.name), text)


def _parents(node: Task | GateTask) -> set[str]:
    if isinstance(node, GateTask):
        return set(node.reads)
    return {*node.needs, *(c.evaluator for c in node.conditions if c.evaluator is not None)}
