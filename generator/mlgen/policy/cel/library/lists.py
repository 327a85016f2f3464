"""Kubernetes' list library. Source: k8s.io/apiserver/pkg/cel/library/lists.go."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

from mlgen.policy.cel import operators
from mlgen.policy.cel.meter import METER
from mlgen.policy.cel.operators import NO_OVERLOAD
from mlgen.policy.cel.signatures import Implementation
from mlgen.policy.cel.values import CelError, Duration, Uint, equal


def _is_sorted(items: list[Any]) -> bool:
    METER.pay(len(items))
    return all(operators.less_equal(a, b) for a, b in pairwise(items))


def _sum(zero: Any) -> Implementation:
    def add(items: list[Any]) -> Any:
        METER.pay(len(items))
        total = items[0] if items else zero
        for item in items[1:]:
            total = operators.add(total, item)
        if items and type(total) not in (int, Uint, float, Duration):
            raise CelError(NO_OVERLOAD)
        return total

    return add


def _extreme(name: str, better: Implementation) -> Implementation:
    def find(items: list[Any]) -> Any:
        METER.pay(len(items))
        if not items:
            raise CelError(f"{name} called on empty list")
        found = items[0]
        for item in items[1:]:
            if better(item, found):
                found = item
        return found

    return find


def _index_of(items: list[Any], wanted: Any) -> int:
    METER.pay(len(items))
    return next((n for n, item in enumerate(items) if equal(item, wanted)), -1)


def _last_index_of(items: list[Any], wanted: Any) -> int:
    METER.pay(len(items))
    return next((n for n in range(len(items) - 1, -1, -1) if equal(items[n], wanted)), -1)


_COMPARABLE = ("int", "uint", "double", "bool", "duration", "timestamp", "string", "bytes")
_ZEROS: dict[str, Any] = {"int": 0, "uint": Uint(0), "double": 0.0, "duration": Duration(0)}

FUNCTIONS: dict[str, Implementation] = {
    **{f"<list({kind})>.isSorted() -> bool": _is_sorted for kind in _COMPARABLE},
    **{f"<list({kind})>.min() -> {kind}": _extreme("min", operators.less) for kind in _COMPARABLE},
    **{f"<list({kind})>.max() -> {kind}": _extreme("max", operators.greater) for kind in _COMPARABLE},
    **{f"<list({kind})>.sum() -> {kind}": _sum(zero) for kind, zero in _ZEROS.items()},
    "<list(A)>.indexOf(A) -> int": _index_of,
    "<list(A)>.lastIndexOf(A) -> int": _last_index_of,
}
