"""A plan with other names in it: what stays the same whatever a thing is called is compared under one name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from mlgen.gates import And, Compare, Gate, In, Not, Operand, Or, Ref, parse_gate, to_text
from mlgen.plan.gating import gate_task_name
from mlgen.plan.model import Condition, Evaluation, OutRef, Plan, Task


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
