"""What was renamed: things that went and things that came, of which the contents are alike."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import lru_cache
from itertools import islice
from typing import TypeVar

from mlgen import canonical
from mlgen.gates import And, Compare, Gate, In, Not, Operand, Or, Ref, parse_gate, to_text
from mlgen.plan.gating import gate_task_name
from mlgen.plan.model import Condition, Evaluation, OutRef, Plan, Task
from mlgen.plan.text import task_json, to_json
from mlgen.review.tasks import run_text

ALIKE = 0.6  # from which two of other names are taken for one: 0 nothing in common, 1 equal
MOST_PAIRS = 2_500  # that are compared; of more, only equal ones are found
_MOST_WORDS = 1_000  # of a script that are compared
_WORD = re.compile(r"\w+|[^\w\s]")
_SCRIPT = 4  # what a script weighs beside a setting

T = TypeVar("T")
Features = frozenset[tuple[str, str]]


def renamed_tasks(old: Plan, new: Plan) -> dict[str, str]:
    """New name -> old name, of tasks that were renamed."""
    gone = {task.name: task for task in old.all_tasks}
    come = {task.name: task for task in new.all_tasks}
    both = gone.keys() & come.keys()
    lost = {name: task for name, task in gone.items() if name not in both}
    found = {name: task for name, task in come.items() if name not in both}
    return _pairs(lost, found, _task_key, _task_likeness)


def renamed_pipelines(old: Mapping[str, Plan], new: Mapping[str, Plan]) -> dict[str, str]:
    """New name -> old name, of pipelines that went and came."""
    return _pairs(old, new, _plan_key, _plan_likeness)


def _pairs(
    old: Mapping[str, T], new: Mapping[str, T], key: Callable[[T], bytes], likeness: Callable[[T, T], float]
) -> dict[str, str]:
    """New name -> old name of the things that are equal, then of those that are most alike; each is in one pair."""
    equal: dict[bytes, list[str]] = {}
    for name in sorted(old, reverse=True):
        equal.setdefault(key(old[name]), []).append(name)
    found = {name: names.pop() for name in sorted(new) if (names := equal.get(key(new[name])))}
    left = [name for name in old if name not in found.values()]
    come = [name for name in new if name not in found]
    if len(left) * len(come) > MOST_PAIRS:
        return found
    scores = [(likeness(old[was], new[now]), was, now) for was in left for now in come]
    for score, was, now in sorted(scores, key=lambda s: (-s[0], s[1], s[2])):
        if score >= ALIKE and now not in found and was not in found.values():
            found[now] = was
    return found


def _task_key(task: Task) -> bytes:
    return canonical.encode(task_json(replace(task, name="")))


def _plan_key(plan: Plan) -> bytes:
    return canonical.encode(to_json(replace(plan, name="")))


def _task_likeness(old: Task, new: Task) -> float:
    a, b = _features(old), _features(new)
    settings = len(a & b) / max(1, len(a | b))
    scripts = _text_likeness(run_text(old.run), run_text(new.run))
    weight = max(1, len(a | b))
    return (settings * weight + scripts * _SCRIPT) / (weight + _SCRIPT)


def _features(task: Task) -> Features:
    """What a task is, without its name, its script and the defaults that most tasks share."""
    data = task_json(task)
    found = {("out", f"{out.name} {out.type}") for out in task.outs}
    found |= {("in", f"{item.name} {item.type}") for item in task.ins}
    for key in ("image", "code", "cpuMillis", "memory", "gpu", "timeoutSeconds", "env", "secrets"):
        if key in data:
            found.add((key, repr(data[key])))
    if task.gpu:
        found.add(("gpu", f"{task.gpu.pool}:{task.gpu.count}"))
    return frozenset(found)


def _text_likeness(old: str, new: str) -> float:
    """By the words that two scripts have in common, in time that grows with their length only."""
    a, b = _words(old), _words(new)
    return 2 * (a & b).total() / max(1, a.total() + b.total())


@lru_cache(maxsize=256)  # each is compared with many
def _words(text: str) -> Counter[str]:
    return Counter(match[0] for match in islice(_WORD.finditer(text), _MOST_WORDS))


def _plan_likeness(old: Plan, new: Plan) -> float:
    """By tasks of one name, each as alike as it is; a pipeline with no task's name in common is another one."""
    mine = {task.name: task for task in old.all_tasks}
    yours = {task.name: task for task in new.all_tasks}
    shared = mine.keys() & yours.keys()
    alike = sum(_task_likeness(mine[name], yours[name]) for name in shared)
    return alike / max(1, len(mine.keys() | yours.keys()))


def with_names(plan: Plan, names: Mapping[str, str]) -> Plan:
    """The plan with its tasks renamed, wherever it speaks of them: old name -> new name."""
    if not names:
        return plan
    gates = {gate_task_name(old): gate_task_name(new) for old, new in names.items()}
    every = {**gates, **names}
    return replace(
        plan,
        tasks=tuple(_task(task, every) for task in plan.tasks),
        finally_tasks=tuple(_task(task, every) for task in plan.finally_tasks),
        gate_tasks=tuple(
            replace(
                gate,
                name=every.get(gate.name, gate.name),
                consumer=every.get(gate.consumer, gate.consumer),
                reads=_names(gate.reads, every),
                evaluates=tuple(_evaluation(e, every) for e in gate.evaluates),
            )
            for gate in plan.gate_tasks
        ),
    )


def _task(task: Task, names: Mapping[str, str]) -> Task:
    sources = [
        (i, replace(i.source, task=names.get(i.source.task, i.source.task)))
        for i in task.ins
        if isinstance(i.source, OutRef)
    ]
    renamed = {item.name: replace(item, source=source) for item, source in sources}
    return replace(
        task,
        name=names.get(task.name, task.name),
        ins=tuple(renamed.get(item.name, item) for item in task.ins),
        reads=_names(task.reads, names),
        after=_names(task.after, names),
        conditions=tuple(_condition(condition, names) for condition in task.conditions),
        evaluates=tuple(_evaluation(e, names) for e in task.evaluates),
    )


def _names(given: tuple[str, ...], names: Mapping[str, str]) -> tuple[str, ...]:
    return tuple(sorted(names.get(name, name) for name in given))


def _condition(condition: Condition, names: Mapping[str, str]) -> Condition:
    text = _gate_text(condition.gate, names)
    evaluator = names.get(condition.evaluator, condition.evaluator) if condition.evaluator is not None else None
    return replace(condition, text=text, gate=parse_gate(text), evaluator=evaluator)


def _evaluation(evaluation: Evaluation, names: Mapping[str, str]) -> Evaluation:
    text = _gate_text(evaluation.gate, names)
    types = sorted((_ref(ref, names), type_) for ref, type_ in evaluation.types)
    return replace(evaluation, text=text, gate=parse_gate(text), types=tuple(types))


def _ref(ref: str, names: Mapping[str, str]) -> str:
    owner, _, name = ref.partition(".")
    return f"{names.get(owner, owner)}.{name}"


def _gate_text(gate: Gate, names: Mapping[str, str]) -> str:
    return to_text(_gate(gate, names))


def _gate(gate: Gate, names: Mapping[str, str]) -> Gate:
    match gate:
        case Compare():
            return Compare(gate.op, _operand(gate.left, names), _operand(gate.right, names))
        case In():
            return In(_operand(gate.left, names), gate.choices, gate.negated)
        case Not():
            return Not(_gate(gate.part, names))
        case And():
            return And(tuple(_gate(part, names) for part in gate.parts))
        case Or():
            return Or(tuple(_gate(part, names) for part in gate.parts))


def _operand(side: Operand, names: Mapping[str, str]) -> Operand:
    return Ref(names.get(side.owner, side.owner), side.name) if isinstance(side, Ref) else side
