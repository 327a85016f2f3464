"""Whether a gate fits its types, and whether it is true: one evaluator for specs, pods and local runs."""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from typing import Any

from mlgen.gates.nodes import And, Compare, Gate, In, Literal, Not, Operand, Or, Ref, refs
from mlgen.gates.read import GateError, is_number, unquoted
from mlgen.values import Type

OPS: Mapping[str, Callable[[Any, Any], bool]] = {
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
ORDERED = frozenset({"<", "<=", ">", ">="})


def check_types(gate: Gate, type_of: Callable[[Ref], Type | None]) -> list[GateError]:
    """What does not fit: one error a comparison. A ref of type None is unknown, and said elsewhere."""
    match gate:
        case Not():
            return check_types(gate.part, type_of)
        case And() | Or():
            return [e for part in gate.parts for e in check_types(part, type_of)]
        case Compare():
            sides, op = [gate.left, gate.right], gate.op
        case In():
            sides, op = [gate.left, *gate.choices], "in"
    kinds = [_kind(side, type_of) for side in sides]
    if None in kinds:
        return []
    start, end = sides[0].start, sides[-1].end
    if all(isinstance(side, Literal) for side in sides):
        fix = "references stand without quotes: params.x, task.out"
        return [GateError("a comparison without a reference is always the same", start, end, fix)]
    for side, kind in zip(sides, kinds, strict=True):
        if kind in ("json", "artifact"):
            fix = "hand a value or metric on beside it and compare that"
            return [
                GateError(
                    f"{side} is {'json' if kind == 'json' else 'an artifact'}: a gate compares values",
                    side.start,
                    side.end,
                    fix,
                )
            ]
    if len(set(kinds)) > 1:
        other = next(i for i, kind in enumerate(kinds) if kind != kinds[0])
        message = f"{sides[0]} is a {kinds[0]}, {sides[other]} a {kinds[other]}: they never compare"
        return [GateError(message, start, end, _agreeing(sides[0], kinds[0], sides[other], kinds[other]))]
    if op in ORDERED and kinds[0] != "number":
        return [GateError(f'"{op}" orders numbers only, and {sides[0]} is a {kinds[0]}', start, end, "use == != or in")]
    return []


def _agreeing(left: Operand, left_kind: str | None, right: Operand, right_kind: str | None) -> str:
    """How to make two operands agree of which one is a literal: it is written as the other's kind."""
    if isinstance(left, Literal):
        left, left_kind, right, right_kind = right, right_kind, left, left_kind
    if not isinstance(right, Literal) or isinstance(left, Literal):
        return f"compare {left} with a {left_kind}"
    text = str(right.value)
    if right_kind == "string" and (text in ("true", "false") if left_kind == "boolean" else is_number(text)):
        return unquoted(text)
    if left_kind == "string":
        return f'write "{right}"'
    return f"compare {left} with {'true or false' if left_kind == 'boolean' else f'a {left_kind}'}"


def _kind(side: Operand, type_of: Callable[[Ref], Type | None]) -> str | None:
    if isinstance(side, Literal):
        if isinstance(side.value, bool):
            return "boolean"
        return "string" if isinstance(side.value, str) else "number"
    found = type_of(side)
    if found is None:
        return None
    if found.is_artifact:
        return "artifact"
    return "number" if found.is_number else str(found)


def evaluate(gate: Gate, read: Callable[[Ref], object | None]) -> bool:
    """Whether the gate is true. `read` gives a parsed value, or None for one that does not exist.

    A gate that reads what does not exist (an out of a skipped task, an optional out not written) is false
    as a whole, also under `not` and `or`: nothing is concluded from something that never happened.
    """
    found = {ref.key: read(ref) for ref in refs(gate)}
    return None not in found.values() and _holds(gate, found)


def _holds(gate: Gate, found: Mapping[tuple[str, str], object]) -> bool:
    def value(side: Operand) -> object:
        return side.value if isinstance(side, Literal) else found[side.key]

    match gate:
        case Compare():
            return OPS[gate.op](value(gate.left), value(gate.right))
        case In():
            return (value(gate.left) in [c.value for c in gate.choices]) != gate.negated
        case Not():
            return not _holds(gate.part, found)
        case And():
            return all(_holds(p, found) for p in gate.parts)
        case Or():
            return any(_holds(p, found) for p in gate.parts)
