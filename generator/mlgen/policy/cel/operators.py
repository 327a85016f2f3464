"""What operators, indices and conversions do to values, with the errors that the API server gives."""

from __future__ import annotations

import math
from typing import Any

from mlgen.policy.cel.values import (
    MAX_INT,
    MAX_UINT,
    MIN_INT,
    NONE,
    CelError,
    Duration,
    Optional,
    Timestamp,
    Uint,
    compare_numbers,
    equal,
    type_name,
)

_NUMBERS = frozenset({int, Uint, float})
NO_OVERLOAD = "no such overload"


def _whole(value: int, kind: type) -> Any:
    if kind is int:
        if not MIN_INT <= value <= MAX_INT:
            raise CelError("integer overflow")
        return value
    if not 0 <= value <= MAX_UINT:
        raise CelError("unsigned integer overflow")
    return Uint(value)


def _nanos(value: int, kind: Any) -> Any:
    if not MIN_INT <= value <= MAX_INT and kind is Duration:
        raise CelError("duration overflow")
    return kind(value)


def add(a: Any, b: Any) -> Any:
    kind = type(a)
    if kind is type(b):
        if kind is str or kind is list or kind is bytes:
            return a + b
        if kind is int or kind is Uint:
            return _whole(int(a) + int(b), kind)
        if kind is float:
            return a + b
        if kind is Duration:
            return _nanos(a.nanos + b.nanos, Duration)
    if kind is Timestamp and type(b) is Duration:
        return _nanos(a.nanos + b.nanos, Timestamp)
    if kind is Duration and type(b) is Timestamp:
        return _nanos(a.nanos + b.nanos, Timestamp)
    raise CelError(NO_OVERLOAD)


def subtract(a: Any, b: Any) -> Any:
    kind = type(a)
    if kind is type(b):
        if kind is int or kind is Uint:
            return _whole(int(a) - int(b), kind)
        if kind is float:
            return a - b
        if kind in (Duration, Timestamp):
            return _nanos(a.nanos - b.nanos, Duration)
    if kind is Timestamp and type(b) is Duration:
        return _nanos(a.nanos - b.nanos, Timestamp)
    raise CelError(NO_OVERLOAD)


def multiply(a: Any, b: Any) -> Any:
    kind = type(a)
    if kind is type(b) and kind in _NUMBERS:
        return a * b if kind is float else _whole(int(a) * int(b), kind)
    raise CelError(NO_OVERLOAD)


def divide(a: Any, b: Any) -> Any:
    kind = type(a)
    if kind is not type(b) or kind not in _NUMBERS:
        raise CelError(NO_OVERLOAD)
    if kind is float:
        if b == 0:
            return math.nan if a == 0 or math.isnan(a) else math.copysign(math.inf, a) * math.copysign(1, b)
        return a / b
    if b == 0:
        raise CelError("division by zero")
    quotient = abs(int(a)) // abs(int(b))
    return _whole(quotient if (a < 0) == (b < 0) else -quotient, kind)


def modulo(a: Any, b: Any) -> Any:
    kind = type(a)
    if kind is not type(b) or kind not in (int, Uint):
        raise CelError(NO_OVERLOAD)
    if b == 0:
        raise CelError("modulus by zero")
    if a == MIN_INT and b == -1:
        raise CelError("integer overflow")
    rest = abs(int(a)) % abs(int(b))
    return _whole(rest if a >= 0 else -rest, kind)


def negate(a: Any) -> Any:
    if type(a) is int:
        return _whole(-a, int)
    if type(a) is float:
        return -a
    raise CelError(NO_OVERLOAD)


_ORDERED = (str, bytes, bool, Timestamp, Duration)


def _order(a: Any, b: Any) -> int | None:
    kind = type(a)
    if kind in _NUMBERS and type(b) in _NUMBERS:
        return compare_numbers(a, b)
    if kind is type(b) and kind in _ORDERED:
        if kind is str and not (a.isascii() and b.isascii()):
            a, b = a.encode("utf-8", "surrogatepass"), b.encode("utf-8", "surrogatepass")
        return (a > b) - (a < b)
    raise CelError(NO_OVERLOAD)


def less(a: Any, b: Any) -> bool:
    found = _order(a, b)
    return found is not None and found < 0


def less_equal(a: Any, b: Any) -> bool:
    found = _order(a, b)
    return found is not None and found <= 0


def greater(a: Any, b: Any) -> bool:
    found = _order(a, b)
    return found is not None and found > 0


def greater_equal(a: Any, b: Any) -> bool:
    found = _order(a, b)
    return found is not None and found >= 0


def within(a: Any, b: Any) -> bool:
    """a in b"""
    if type(b) is dict:
        return key_of(b, a) is not NONE
    if type(b) is list:
        if type(a) is str:
            return a in b
        return any(equal(a, item) for item in b)
    raise CelError(NO_OVERLOAD)


def key_of(data: dict[Any, Any], key: Any) -> Any:
    """The value of a key; NONE where there is none. A bool is never a number, though Python says so."""
    kind = type(key)
    if kind is str:
        return data.get(key, NONE)
    if kind is bool:
        return next((v for k, v in data.items() if k is key), NONE)
    if kind in _NUMBERS:
        return next((v for k, v in data.items() if type(k) in _NUMBERS and compare_numbers(k, key) == 0), NONE)
    return NONE


def index(a: Any, key: Any) -> Any:
    """a[key]"""
    kind = type(a)
    if kind is dict:
        found = key_of(a, key)
        if found is NONE:
            raise CelError(f"no such key: {shown(key)}")
        return found
    if kind is list:
        at = position(key)
        if not 0 <= at < len(a):
            raise CelError(f"index out of bounds: {at}")
        return a[at]
    if kind is Optional:
        return a if a is NONE else optional_index(a.value, key)
    raise CelError(NO_OVERLOAD)


def position(key: Any) -> int:
    kind = type(key)
    if kind is int or kind is Uint:
        return int(key)
    if kind is float and key.is_integer():
        return int(key)
    raise CelError(f"unsupported index type '{type_name(key)}' in list")


def optional_index(a: Any, key: Any) -> Optional:
    """a[?key]"""
    kind = type(a)
    if kind is Optional:
        return a if a is NONE else optional_index(a.value, key)
    if kind is dict:
        found = key_of(a, key)
        return NONE if found is NONE else Optional(found)
    if kind is list:
        at = position(key)
        return Optional(a[at]) if 0 <= at < len(a) else NONE
    raise CelError(NO_OVERLOAD)


def shown(value: Any) -> str:
    """A value as the errors of cel-go show it."""
    if value is True or value is False:
        return str(value).lower()
    return str(value)
