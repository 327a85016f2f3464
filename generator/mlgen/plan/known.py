"""What of a plan is known from an earlier run, so that it need not run again; and why the rest must. Pure.

A task is known when it succeeded in that run, is what it was there, and everything upstream of it is known, too.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence, Set
from dataclasses import dataclass

from mlgen import canonical, gates
from mlgen.canonical import Json
from mlgen.gates import Ref
from mlgen.plan.model import Condition, Evaluation, GateTask, InputRef, OutRef, ParamRef, Plan, Task
from mlgen.plan.text import task_json
from mlgen.values import parse

Texts = Mapping[str, str | None]  # of outs, and of conditions as `if-<index>`; None: an optional out not written

# Of a task's JSON what changes nothing about what it made: where and when it ran. All else counts, also keys that a
# later mlgen adds. Gates count by what they decide.
_AROUND = frozenset({
    "name", "reads", "after", "conditions", "evaluates", "cpuMillis", "memory", "disk", "shm", "gpu", "timeoutSeconds",
    "retries", "retry", "idempotent", "checkpoint", "spot", "cache", "priority", "queue",
    "workspace",
})  # fmt: skip
_WORDS = {"run": "script", "in": "ins", "out": "outs", "env": "environment"}
# Of a fan the same: which of its items are the same is seen by their values, and whether its readers get the same by
# `Past.other`. A search also goes on with more trials.
_AROUND_ITEMS = frozenset({"kind", "rows", "lists", "parallel", "failures", "pick"})
_AROUND_TRIALS = frozenset({"trials", "parallel"})


@dataclass(frozen=True, slots=True)
class Past:
    """A task that succeeded in an earlier run, or items of one. about: its JSON in that run's plan. texts: of outs.

    other: of a fan that is known, why its readers get something else than they got there, None where they do not.
    """

    about: Mapping[str, Json]
    texts: Texts
    other: str | None = None


@dataclass(frozen=True, slots=True)
class Known:
    """texts: of each known task, outs and conditions; also of gate tasks that need not run.

    again: task -> why it runs again. resting: tasks that run no more than in that run, as a gate of theirs is false,
    or are not asked for.
    """

    texts: Mapping[str, Texts]
    again: Mapping[str, str]
    resting: frozenset[str]


def know(
    plan: Plan,
    past: Mapping[str, Past | str],
    *,
    params: Mapping[str, str],
    changed: Mapping[str, str],
    asked: Set[str] = frozenset(),
    there: Callable[[str], str | None] = lambda _task: None,
) -> Known:
    """What is known of a plan.

    past: of each task what the earlier run has of it, or why it has nothing. params: texts of the new run's.
    changed: "params.x" and "inputs.x" that are others now -> in words. asked: tasks that are to run whatever is known.
    there: why what a task made cannot be read any more, None where it can; asked only of tasks that are known else. It
    may set `past` of its task anew.
    """
    return _Knowing(plan, past, _Run(params, changed, asked, there)).all()


def parents(task: Task | GateTask) -> set[str]:
    """The tasks and gate tasks that come before."""
    if isinstance(task, GateTask):
        return set(task.reads)
    return {*task.needs, *(c.evaluator for c in task.conditions if c.evaluator is not None)}


def _nodes(plan: Plan) -> list[Task | GateTask]:
    return [*plan.gate_tasks, *plan.tasks]


def upstream(plan: Plan, name: str) -> set[str]:
    """All tasks before a task, gate tasks among them."""
    nodes = {node.name: node for node in _nodes(plan)}
    found: set[str] = set()
    work = [name]
    while work:
        new = parents(nodes[work.pop()]) - found
        found |= new
        work += new
    return found


def downstream(plan: Plan, name: str) -> set[str]:
    """All tasks after a task."""
    children: dict[str, set[str]] = {}
    for node in _nodes(plan):
        for parent in parents(node):
            children.setdefault(parent, set()).add(node.name)
    found: set[str] = set()
    work = [name]
    while work:
        new = children.get(work.pop(), set()) - found
        found |= new
        work += new
    return found - {gate.name for gate in plan.gate_tasks}


@dataclass(frozen=True, slots=True)
class _Run:
    """The new run; see `know`."""

    params: Mapping[str, str]
    changed: Mapping[str, str]
    asked: Set[str]
    there: Callable[[str], str | None]


class _Knowing:
    def __init__(self, plan: Plan, past: Mapping[str, Past | str], run: _Run) -> None:
        self._plan, self._past, self._run = plan, past, run
        self._tasks = {task.name: task for task in plan.tasks}
        self._params = {p.name: parse(p.type, run.params[p.name]) for p in plan.params}
        self._texts: dict[str, Texts] = {}
        self._again: dict[str, str] = {}
        self._resting: set[str] = set()

    def all(self) -> Known:
        gate_tasks = list(self._plan.gate_tasks)
        for task in self._plan.tasks:
            self._decide_gates(gate_tasks)
            why = self._why_again(task)
            if why is not None:
                self._again[task.name] = why
            elif task.name not in self._resting:
                self._learn(task)
        self._decide_gates(gate_tasks)
        return Known(self._texts, self._again, frozenset(self._resting))

    def _decide_gates(self, waiting: list[GateTask]) -> None:
        for gate in [g for g in waiting if all(parent in self._texts for parent in g.reads)]:
            self._texts[gate.name] = self._evaluated(gate.evaluates)
            waiting.remove(gate)

    def _learn(self, task: Task) -> None:
        past = self._past[task.name]
        assert isinstance(past, Past), "else there is a why"
        self._texts[task.name] = past.texts  # as they are: a fan's lists are made when they are read
        if task.evaluates:
            self._texts[task.name] = {**past.texts, **self._evaluated(task.evaluates)}

    def _evaluated(self, evaluates: Sequence[Evaluation]) -> dict[str, str | None]:
        return {f"if-{e.index}": str(gates.evaluate(e.gate, self._read)).lower() for e in evaluates}

    def _read(self, ref: Ref) -> Json:
        if ref.owner == "params":
            return self._params[ref.name]
        text = self._texts[ref.owner][ref.name]
        return None if text is None else parse(self._tasks[ref.owner].type_of(ref.name), text)

    def _why_again(self, task: Task) -> str | None:
        """None also for one that rests."""
        if task.name in self._run.asked:
            return "asked for"
        data = {i.source.task for i in task.ins if isinstance(i.source, OutRef)}
        data |= {one.task for one in (task.fan.lists if task.fan else ()) if isinstance(one, OutRef)}
        data |= {c.evaluator for c in task.conditions if c.evaluator is not None}
        if any(parent in self._resting for parent in data):
            self._resting.add(task.name)
            return None
        unknown = sorted(
            parent for parent in parents(task) if parent not in self._texts and parent not in self._resting
        )
        if unknown:
            return f"after {self._of_task(unknown[0])}"
        if not all(map(self._holds, task.conditions)):
            self._resting.add(task.name)
            return None
        past = self._past.get(task.name, "it is new")
        if isinstance(past, str):
            return past
        return self._difference(task, past) or self._handed(task) or self._run.there(task.name)

    def _handed(self, task: Task) -> str | None:
        """Why a fan hands on something else to it; a fan over a fan's lists compares its own items."""
        read = (self._past.get(i.source.task) for i in task.ins if isinstance(i.source, OutRef))
        return next((past.other for past in read if isinstance(past, Past) and past.other is not None), None)

    def _of_task(self, name: str) -> str:
        """Of a gate task, which no author wrote, the task before it that is not known."""
        gate = next((g for g in self._plan.gate_tasks if g.name == name), None)
        return name if gate is None else next(parent for parent in gate.reads if parent not in self._texts)

    def _holds(self, condition: Condition) -> bool:
        if condition.evaluator is None:
            return gates.evaluate(condition.gate, self._read)
        return self._texts[condition.evaluator][f"if-{condition.index}"] == "true"

    def _difference(self, task: Task, past: Past) -> str | None:
        now = task_json(task)
        keys = [k for k in {**past.about, **now} if k not in _AROUND and _differ(past.about.get(k), now.get(k))]
        if "fan" in keys and _asks_the_same(past.about.get("fan"), now.get("fan")):
            keys.remove("fan")
        if keys:
            words = {**_WORDS, "fan": task.fan.kind if task.fan else "number of items"}
            return f"its {', '.join(words.get(key, key) for key in keys)} changed"
        refs = [str(i.source) for i in task.ins if isinstance(i.source, ParamRef | InputRef)]
        return next((self._run.changed[ref] for ref in refs if ref in self._run.changed), None)


def _asks_the_same(before: object, now: object) -> bool:
    """Whether items of two fans can be compared, each as in a plan's JSON: the same variables, and the same search."""
    if not isinstance(before, Mapping) or not isinstance(now, Mapping):
        return False
    old, new = ({k: v for k, v in fan.items() if k not in _AROUND_ITEMS} for fan in (before, now))
    for fan in (old, new):
        if isinstance(search := fan.get("search"), Mapping):
            fan["search"] = {k: v for k, v in search.items() if k not in _AROUND_TRIALS}
    return not _differ(old, new)


def _differ(before: object, now: object) -> bool:
    return canonical.encode(before) != canonical.encode(now)  # as bytes: 1 is not True, nor 1.0
