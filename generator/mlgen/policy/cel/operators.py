"""What operators, indices and conversions do to values, with the errors that the API server gives."""

from __future__ import annotations

import math
from typing import Any

from mlgen.policy.cel.meter import METER
from mlgen.policy.cel.values import (
    MAX_INT,
    MAX_UINT,
    MIN_INT,
    NONE,
    CelError,
    Duration,
    NotEvaluated,
    Optional,
    Partial,
    Timestamp,
    Uint,
    Wordless,
    compare_numbers,
    equal,
    type_name,
)

_NUMBERS = frozenset({int, Uint, float})
NO_OVERLOAD = "no such overload"

# The API server's words depend on the type of the left side: whether it has the operator at all, with whatever on the
# other side, or has methods (cel-go's traits).
_METHODS = frozenset({str, Duration, Timestamp})
_ADDED = frozenset({int, Uint, float, bytes, list})
_COMPARED = frozenset({int, Uint, float, bytes, bool})


def _refused(name: str, a: Any, known: frozenset[type]) -> CelError:
    return CelError(NO_OVERLOAD if type(a) in known | _METHODS else f"{NO_OVERLOAD}: {name}")


def _whole(value: int, kind: type) -> Any:
    if kind is int:
        if not MIN_INT <= value <= MAX_INT:
            raise CelError("integer overflow")
        return value
    if not 0 <= value <= MAX_UINT:
        raise CelError("unsigned integer overflow")
    return Uint(value)


def _nanos(value: int, kind: Any, zone: int = 0) -> Any:
    if kind is Timestamp:
        return in_range(value, zone)
    if not MIN_INT <= value <= MAX_INT:
        raise CelError("integer overflow")
    return Duration(value)


_FIRST, _LAST = -62135596800, 253402300799  # years 1 to 9999, seconds


def in_range(nanos: int, zone: int = 0) -> Timestamp:
    if not _FIRST <= nanos // 1_000_000_000 <= _LAST:
        raise CelError("timestamp overflow")
    return Timestamp(nanos, zone)


def add(a: Any, b: Any) -> Any:
    kind = type(a)
    if kind is type(b):
        if kind is str or kind is list or kind is bytes:
            METER.pay((len(a) + len(b)) // 10)
            return a + b
        if kind is int or kind is Uint:
            return _whole(int(a) + int(b), kind)
        if kind is float:
            return a + b
        if kind is Duration:
            return _nanos(a.nanos + b.nanos, Duration)
    if kind is Timestamp and type(b) is Duration:
        return _nanos(a.nanos + b.nanos, Timestamp, a.zone)
    if kind is Duration and type(b) is Timestamp:
        return _nanos(a.nanos + b.nanos, Timestamp, b.zone)
    raise _refused("_+_", a, _ADDED)


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
        return _nanos(a.nanos - b.nanos, Timestamp, a.zone)
    raise _refused("_-_", a, _NUMBERS)


def multiply(a: Any, b: Any) -> Any:
    kind = type(a)
    if kind is type(b) and kind in _NUMBERS:
        return a * b if kind is float else _whole(int(a) * int(b), kind)
    raise _refused("_*_", a, _NUMBERS)


def divide(a: Any, b: Any) -> Any:
    kind = type(a)
    if kind is not type(b) or kind not in _NUMBERS:
        raise _refused("_/_", a, _NUMBERS)
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
        raise _refused("_%_", a, frozenset({int, Uint}))
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
    if type(a) is Duration:
        return _nanos(-a.nanos, Duration)
    raise _refused("-_", a, frozenset({bool}))


_ORDERED = (str, bytes, bool, Timestamp, Duration)


def _order(name: str, a: Any, b: Any) -> int:
    kind = type(a)
    if kind in _NUMBERS and type(b) in _NUMBERS:
        found = compare_numbers(a, b)
        if found is None:
            raise CelError("NaN values cannot be ordered")
        return found
    if kind is type(b) and kind in _ORDERED:
        if kind is str and not (a.isascii() and b.isascii()):
            a, b = a.encode("utf-8", "surrogatepass"), b.encode("utf-8", "surrogatepass")
        return int(a > b) - int(a < b)
    raise _refused(name, a, _COMPARED)


def less(a: Any, b: Any) -> bool:
    return _order("_<_", a, b) < 0


def less_equal(a: Any, b: Any) -> bool:
    return _order("_<=_", a, b) <= 0


def greater(a: Any, b: Any) -> bool:
    return _order("_>_", a, b) > 0


def greater_equal(a: Any, b: Any) -> bool:
    return _order("_>=_", a, b) >= 0


def within(a: Any, b: Any) -> bool:
    """a in b"""
    if type(b) is dict:
        return key_of(b, a) is not NONE
    if type(b) is list:
        if type(a) is str:
            return a in b
        return any(equal(a, item) for item in b)
    if type(b) is Partial:
        return type(a) is str and b.has(a)
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
    if kind is Partial and type(key) is str:
        return a.get(key)
    raise CelError(f"no such key: {shown(key)}")


def position(key: Any) -> int:
    kind = type(key)
    if kind is int or kind is Uint:
        return int(key)
    if kind is float and key.is_integer():
        return int(key)
    if kind is float:
        raise CelError(f"unsupported index value {shown(key)} in list")
    raise CelError(f"unsupported index type '{type_name(key)}' in list")


def select(a: Any, field: str) -> Any:
    """a.field"""
    kind = type(a)
    if kind is Optional:
        return optional_index(a, field)
    if kind is list:
        position(field)
    raise CelError(f"no such key: {field}")


def has(a: Any, field: str) -> bool:
    """has(a.field): of what has no fields, no."""
    if type(a) is Optional:
        return a is not NONE and has(a.value, field)
    if type(a) is Partial:
        return a.has(field)
    if type(a) is dict:
        return field in a
    if type(a) is list:
        position(field)
    return False


# cel-go's own names of its types, which one of its errors shows.
_GO_TYPES = {bool: "Bool", int: "Int", Uint: "Uint", float: "Double", str: "String", bytes: "Bytes", type(None): "Null"}
_GO_TYPES |= {Duration: "Duration", Timestamp: "Timestamp"}


def iterable(value: Any, words: str = "got '{}', expected iterable type") -> list[Any]:
    """What a macro of one variable walks over: a list's elements, a map's keys."""
    if type(value) is list:
        return value
    if type(value) is dict:
        return list(value)
    if type(value) is Partial:
        raise NotEvaluated(f"{value.name} is known in part only")
    known = _GO_TYPES.get(type(value))
    if known is None:
        raise Wordless("expected iterable type")
    raise CelError(words.format(f"types.{known}"))


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
    if kind is Partial and type(key) is str:
        return Optional(a.get(key)) if a.has(key) else NONE
    return NONE


def shown(value: Any) -> str:
    """A value as the errors of cel-go show it."""
    if value is True or value is False:
        return str(value).lower()
    if type(value) is float and value.is_integer():
        return str(int(value))
    return str(value)
