"""Gates, the one small language of a spec: read, typed, split and evaluated here for checks, pods and local runs."""

from mlgen.gates.judge import check_types, evaluate
from mlgen.gates.nodes import And, Compare, Gate, In, Literal, Not, Operand, Or, Ref, conjuncts, operands, refs, to_text
from mlgen.gates.read import Dialect, GateError, parse, parse_gate

__all__ = [
    "And",
    "Compare",
    "Dialect",
    "Gate",
    "GateError",
    "In",
    "Literal",
    "Not",
    "Operand",
    "Or",
    "Ref",
    "check_types",
    "conjuncts",
    "evaluate",
    "operands",
    "parse",
    "parse_gate",
    "refs",
    "to_text",
]
