"""Where each part of a gate is decided: by Tekton's `when`, by a producer's stage-out, or by a pod of its own.

A gate is split at its top-level `and`s, and both engines follow the same split (design §5):
on params alone, == != in of strings and booleans: `when`. On outs of one task: that task decides, when it ends.
On params alone but more than that: a task whose outs the gated task reads anyway. Everything else, also what reads
outs of a late task (decision 0031): one gate task, `if-<task>`, the only extra pod there is.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field

from mlgen.gates import Compare, Gate, In, Literal, Operand, Ref, conjuncts, parse_gate, refs, to_text
from mlgen.plan.model import Condition, Evaluation, GateTask
from mlgen.values import Type

TypeOf = Callable[[str, str], Type]


@dataclass
class Split:
    """The gates of a pipeline, split, by task: its conditions, and by their text what it evaluates."""

    conditions: dict[str, tuple[Condition, ...]] = field(default_factory=dict)
    evaluations: dict[str, dict[str, Evaluation]] = field(default_factory=dict)
    gate_tasks: list[GateTask] = field(default_factory=list)


def gate_task_name(consumer: str) -> str:
    return f"if-{consumer}"


def split(
    gated: Mapping[str, tuple[Gate, tuple[str, ...]]], type_of: TypeOf, late: Collection[str] = frozenset()
) -> Split:
    """Split all gates. gated: task -> its gate and the tasks whose outs it reads (none for a finally task).

    late: tasks that decide nothing for others, as their outs are not results of one TaskRun.

    The numbering goes by the name of the gated task, so that the order of a file changes nothing.
    """
    found = Split()
    for consumer in sorted(gated):
        gate, reads = gated[consumer]
        # Parsed again from its one spelling: blanks and brackets of the author change no plan.
        parts = dict.fromkeys(to_text(part) for part in conjuncts(gate))
        able = tuple(task for task in reads if task not in late)
        found.conditions[consumer] = tuple(_condition(found, consumer, text, able, type_of) for text in parts)
        name = gate_task_name(consumer)
        if name in found.evaluations and any(c.evaluator == name for c in found.conditions[consumer]):
            evaluations = tuple(found.evaluations.pop(name).values())
            owners = {ref.split(".")[0] for e in evaluations for ref, _ in e.types} - {"params"}
            found.gate_tasks.append(GateTask(name, consumer, tuple(sorted(owners)), evaluations))
    return found


def _condition(found: Split, consumer: str, text: str, able: tuple[str, ...], type_of: TypeOf) -> Condition:
    """able: the tasks before it that can decide for it."""
    gate = parse_gate(text)
    owners = sorted({ref.owner for ref in refs(gate)} - {"params"})
    if not owners and when_operands(gate, type_of) is not None:
        return Condition(text, gate)
    evaluator = owners[0] if len(owners) == 1 and owners[0] in able else gate_task_name(consumer)
    if not owners and able:
        evaluator = min(able)
    evaluations = found.evaluations.setdefault(evaluator, {})
    if text not in evaluations:
        types = sorted({str(ref): type_of(ref.owner, ref.name) for ref in refs(gate)}.items())
        evaluations[text] = Evaluation(len(evaluations), text, gate, tuple(types))
    return Condition(text, gate, evaluator, evaluations[text].index)


def when_operands(gate: Gate, type_of: TypeOf) -> tuple[Operand, bool, tuple[Operand, ...]] | None:
    """A condition as Tekton's `when` has it: (input, whether `in` rather than `notin`, values); None: not expressible.

    Tekton compares texts, so numbers are out: "1.0" is not "1" there. And it takes any "$(" in them for a variable.
    """
    left: Operand
    values: tuple[Operand, ...]
    match gate:
        case Compare(op="==" | "!=" as op, left=Ref() as left, right=right):
            positive, values = op == "==", (right,)
        case Compare(op="==" | "!=" as op, left=Literal() as right, right=Ref() as left):
            positive, values = op == "==", (right,)
        case Compare(op="==" | "!=" as op, left=Literal(value=str() | bool()) as left, right=Literal() as right):
            positive, values = op == "==", (right,)  # of a nested pipeline's param, which is a constant there
        case In(left=Ref() | Literal(value=str() | bool()) as left, choices=choices, negated=negated):
            positive, values = not negated, choices
        case _:
            return None
    sides = [side for side in (left, *values) if isinstance(side, Ref)]
    if any(side.owner != "params" or type_of("params", side.name) not in (Type.STRING, Type.BOOLEAN) for side in sides):
        return None
    if any(isinstance(v, Literal) and "$(" in str(v.value) for v in (left, *values)):
        return None
    return left, positive, values
