"""cel-go's sets: lists seen as sets. Source: github.com/google/cel-go/ext/sets.go."""

from __future__ import annotations

from typing import Any

from mlgen.policy.cel import operators
from mlgen.policy.cel.meter import METER
from mlgen.policy.cel.signatures import Implementation


def _contains(items: list[Any], wanted: list[Any]) -> bool:
    METER.pay(len(items) * len(wanted))
    return all(operators.within(item, items) for item in wanted)


def _equivalent(a: list[Any], b: list[Any]) -> bool:
    return _contains(a, b) and _contains(b, a)


def _intersects(a: list[Any], b: list[Any]) -> bool:
    METER.pay(len(a) * len(b))
    return any(operators.within(item, a) for item in b)


FUNCTIONS: dict[str, Implementation] = {
    "sets.contains(list(A),list(A)) -> bool": _contains,
    "sets.equivalent(list(A),list(A)) -> bool": _equivalent,
    "sets.intersects(list(A),list(A)) -> bool": _intersects,
}
