"""`<` and its kin, declared anew: Kubernetes compares numbers across their types, Google's checker does not."""

from __future__ import annotations

from mlgen.policy.cel import operators
from mlgen.policy.cel.signatures import Implementation

_PAIRS = [
    *((a, b) for a in ("int", "uint", "double") for b in ("int", "uint", "double")),
    *((a, a) for a in ("bool", "string", "bytes", "timestamp", "duration")),
]
_OPERATORS: dict[str, Implementation] = {
    "_<_": operators.less,
    "_<=_": operators.less_equal,
    "_>_": operators.greater,
    "_>=_": operators.greater_equal,
}
FUNCTIONS: dict[str, Implementation] = {
    f"{name}({a},{b}) -> bool": function for name, function in _OPERATORS.items() for a, b in _PAIRS
}
