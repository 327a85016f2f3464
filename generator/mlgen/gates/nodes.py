"""A gate as a tree, its parts, and its text in one spelling."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Ref:
    """`params.x` (owner "params") or `task.out` (owner: the task). In a question to a ledger also a name alone."""

    owner: str
    name: str
    start: int = 0
    end: int = 0

    def __str__(self) -> str:
        return f"{self.owner}.{self.name}" if self.name else self.owner

    @property
    def key(self) -> tuple[str, str]:
        return self.owner, self.name


@dataclass(frozen=True, slots=True)
class Literal:
    value: str | int | float | bool
    start: int = 0
    end: int = 0

    def __str__(self) -> str:
        return json.dumps(self.value, ensure_ascii=False)


Operand = Ref | Literal


@dataclass(frozen=True, slots=True)
class Compare:
    op: str
    left: Operand
    right: Operand


@dataclass(frozen=True, slots=True)
class In:
    left: Operand
    choices: tuple[Literal, ...]
    negated: bool


@dataclass(frozen=True, slots=True)
class Not:
    part: Gate


@dataclass(frozen=True, slots=True)
class And:
    parts: tuple[Gate, ...]


@dataclass(frozen=True, slots=True)
class Or:
    parts: tuple[Gate, ...]


Gate = Compare | In | Not | And | Or


def operands(gate: Gate) -> Iterator[Operand]:
    """All references and literals of a gate, in the order of its text."""
    match gate:
        case Compare():
            yield gate.left
            yield gate.right
        case In():
            yield gate.left
            yield from gate.choices
        case Not():
            yield from operands(gate.part)
        case And() | Or():
            for part in gate.parts:
                yield from operands(part)


def refs(gate: Gate) -> tuple[Ref, ...]:
    """The references of a gate, in the order of its text, each as often as it stands there."""
    return tuple(o for o in operands(gate) if isinstance(o, Ref))


def conjuncts(gate: Gate) -> tuple[Gate, ...]:
    """The gate split at its top-level `and`s; all must be true."""
    if isinstance(gate, And):
        return tuple(c for part in gate.parts for c in conjuncts(part))
    return (gate,)


def to_text(gate: Gate) -> str:
    """The gate's text in one spelling: `parse_gate(to_text(g))` equals g but for offsets."""
    match gate:
        case Compare():
            return f"{gate.left} {gate.op} {gate.right}"
        case In():
            word = "not in" if gate.negated else "in"
            return f"{gate.left} {word} [{', '.join(map(str, gate.choices))}]"
        case Not():
            # In brackets, for a reader takes two `not`s in a row for none.
            return f"not ({to_text(gate.part)})" if isinstance(gate.part, Not) else f"not {_grouped(gate.part)}"
        case And():
            return " and ".join(_grouped(p) for p in gate.parts)
        case Or():
            return " or ".join(_grouped(p) for p in gate.parts)


def _grouped(gate: Gate) -> str:
    return f"({to_text(gate)})" if isinstance(gate, And | Or) else to_text(gate)
