"""The values of CEL that Python does not have, its errors, and when two values are equal.

bool, int (64 bits, signed), float (double), str, bytes, None, list and dict stand for themselves.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

MIN_INT, MAX_INT, MAX_UINT = -(1 << 63), (1 << 63) - 1, (1 << 64) - 1


class CelError(Exception):
    """An error of an expression, in the words of the API server."""


class Wordless(CelError):
    """An error whose words are the cluster's own: that there is one is known."""


class NotEvaluated(Exception):
    """What the API server would answer cannot be known here, and why. It never becomes a value."""


class Uint(int):
    """An unsigned integer of 64 bits."""


@dataclass(frozen=True, slots=True, order=True)
class Timestamp:
    """nanos: since 1970, UTC. zone: as it was written, seconds east; two instants are equal whatever theirs."""

    nanos: int
    zone: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True, order=True)
class Duration:
    nanos: int


@dataclass(frozen=True, slots=True)
class TypeValue:
    """A type as a value."""

    name: str


@dataclass(frozen=True, slots=True)
class Optional:
    """An optional value. NONE is the one that has none."""

    value: Any


class _Nothing:
    pass


NONE = Optional(_Nothing())


@dataclass(frozen=True, slots=True)
class Partial:
    """A map that is known in part: what is known, and the names of what may be there besides, with any value.

    name: how an author calls it. why: of what is unknown, that it is.
    """

    name: str
    known: Mapping[str, Any]
    unknown: frozenset[str] = frozenset()
    why: str = "is not known before the request is made"

    def get(self, field: str) -> Any:
        if field in self.unknown:
            raise NotEvaluated(f"{self.name}.{field} {self.why}")
        if field not in self.known:
            raise CelError(f"no such key: {field}")
        return self.known[field]

    def has(self, field: str) -> bool:
        if field in self.unknown:
            raise NotEvaluated(f"{self.name}.{field} {self.why}")
        return field in self.known


_TYPES: dict[type, str] = {
    bool: "bool",
    int: "int",
    Uint: "uint",
    float: "double",
    str: "string",
    bytes: "bytes",
    type(None): "null_type",
    list: "list",
    dict: "map",
    Timestamp: "google.protobuf.Timestamp",
    Duration: "google.protobuf.Duration",
    TypeValue: "type",
    Optional: "optional_type",
    Partial: "map",
}


def type_name(value: object) -> str:
    """The name of a value's type, as the API server's errors have it."""
    found = _TYPES.get(type(value))
    return found if found is not None else str(getattr(type(value), "cel_type", type(value).__name__))


_NUMBERS = (int, Uint, float)


def equal(a: Any, b: Any) -> bool:
    """Whether two values are equal: numbers across their types, all else within one type."""
    kind, other = type(a), type(b)
    if Partial in (kind, other) and {kind, other} <= {Partial, dict}:
        raise NotEvaluated(f"{(a if kind is Partial else b).name} is known in part only")
    if kind is other:
        if kind is list:
            return len(a) == len(b) and all(map(equal, a, b))
        if kind is dict:
            return len(a) == len(b) and all(key in b and equal(value, b[key]) for key, value in a.items())
        if kind is Optional:
            return a is b if a is NONE or b is NONE else equal(a.value, b.value)
        return bool(a == b)
    if kind in _NUMBERS and other in _NUMBERS:
        return compare_numbers(a, b) == 0
    return False


def compare_numbers(a: Any, b: Any) -> int | None:
    """-1, 0 or 1; None where one is NaN. An integer beside a double is compared as a double, as cel-go does."""
    if isinstance(a, float) or isinstance(b, float):
        a, b = float(a), float(b)
        if math.isnan(a) or math.isnan(b):
            return None
    return int(a > b) - int(a < b)
