"""int(), string() and their kin. Source: cel-go's common/types."""

from __future__ import annotations

import math
import re
from typing import Any

from mlgen.policy.cel.library import network, times
from mlgen.policy.cel.library.strings import spend
from mlgen.policy.cel.operators import in_range
from mlgen.policy.cel.signatures import Implementation
from mlgen.policy.cel.values import (
    MAX_INT,
    MAX_UINT,
    MIN_INT,
    CelError,
    Duration,
    NotEvaluated,
    Timestamp,
    TypeValue,
    Uint,
    type_name,
)

_INTEGER = re.compile(r"[+-]?[0-9]+")
_FLOAT = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?|[+-]?(?:inf|infinity)|nan", re.IGNORECASE)
_TRUE = frozenset({"1", "t", "T", "true", "TRUE", "True"})
_FALSE = frozenset({"0", "f", "F", "false", "FALSE", "False"})


def _refused(value: Any, wanted: str) -> CelError:
    return CelError(f"type conversion error from '{type_name(value)}' to '{wanted}'")


def _int(value: Any) -> int:
    kind = type(value)
    if kind is Timestamp:
        return int(value.nanos // 1_000_000_000)
    if kind is Duration:
        return int(value.nanos)
    if kind is str:
        if not _INTEGER.fullmatch(value) or not MIN_INT <= int(value) <= MAX_INT:
            raise _refused(value, "int")
        return int(value)
    if kind is float and not (math.isfinite(value) and MIN_INT < value < MAX_INT):
        raise CelError("integer overflow")
    if not MIN_INT <= value <= MAX_INT:
        raise CelError("integer overflow")
    return int(value)


def _uint(value: Any) -> Uint:
    kind = type(value)
    if kind is str:
        if not value.isascii() or not value.isdigit() or int(value) > MAX_UINT:
            raise _refused(value, "uint")
        return Uint(value)
    if kind is float and not (math.isfinite(value) and 0 <= value < MAX_UINT):
        raise CelError("unsigned integer overflow")
    if not 0 <= value <= MAX_UINT:
        raise CelError("unsigned integer overflow")
    return Uint(value)


def _double(value: Any) -> float:
    if type(value) is str and not _FLOAT.fullmatch(value):
        if "x" in value.lower() or "_" in value:
            raise NotEvaluated("a double that is written as Go reads it")
        raise _refused(value, "double")
    if type(value) is str and math.isinf(float(value)) and "n" not in value.lower():
        raise _refused(value, "double")
    return float(value)


def _bool(value: Any) -> bool:
    if value in _TRUE:
        return True
    if value in _FALSE:
        return False
    raise _refused(value, "bool")


def float_text(value: float) -> str:
    """A double as Go's strconv.FormatFloat(v, 'g', -1, 64) prints it."""
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "+Inf" if value > 0 else "-Inf"
    if value == 0:
        return "-0" if math.copysign(1, value) < 0 else "0"
    sign, digits, exponent = parts(value)
    if exponent < -4 or exponent >= 6:  # what Go takes for the shortest form
        mantissa = digits[0] + (f".{digits[1:]}" if len(digits) > 1 else "")
        return f"{sign}{mantissa}e{'-' if exponent < 0 else '+'}{abs(exponent):02}"
    return sign + plain(digits, exponent)


def parts(value: float) -> tuple[str, str, int]:
    """The sign, the shortest digits that give the value back, and the power of ten of the first."""
    text = repr(abs(value))
    mantissa, _, power = text.partition("e")
    whole, _, fraction = mantissa.partition(".")
    digits = (whole + fraction).lstrip("0")
    exponent = len(whole) - 1 + int(power or 0)
    if whole.strip("0") == "":
        exponent = -(len(fraction) - len(fraction.lstrip("0"))) - 1 + int(power or 0)
    return ("-" if value < 0 else ""), digits.rstrip("0") or "0", exponent


def plain(digits: str, exponent: int) -> str:
    """Digits without an exponent."""
    if exponent < 0:
        return "0." + "0" * (-exponent - 1) + digits
    if len(digits) <= exponent + 1:
        return digits + "0" * (exponent + 1 - len(digits))
    return f"{digits[: exponent + 1]}.{digits[exponent + 1 :]}"


def _string(value: Any) -> str:
    kind = type(value)
    if kind is str:
        return str(value)
    if kind is bool:
        return "true" if value else "false"
    if kind in (int, Uint):
        return str(int(value))
    if kind is float:
        return float_text(value)
    if kind is Timestamp:
        return times.timestamp_text(value)
    if kind is Duration:
        return times.duration_text(value)
    try:
        spend(value)
        return bytes(value).decode()
    except UnicodeDecodeError:
        raise CelError("invalid UTF-8 in bytes, cannot convert to string") from None


def _ip_text(value: network.Ip) -> str:
    return str(value.address)


def _type_of(value: Any) -> TypeValue:
    return TypeValue(type_name(value))


def _timestamp(value: Any) -> Timestamp:
    if type(value) is str:
        return times.timestamp(value)
    return value if type(value) is Timestamp else in_range(int(value) * 1_000_000_000)


def _duration(value: Any) -> Duration:
    if type(value) is str:
        return times.duration(value)
    return value  # type: ignore[no-any-return] # it is one


def _bytes(value: Any) -> bytes:
    return value.encode() if type(value) is str else value


_TEXTS = ("string", "bool", "int", "uint", "double", "bytes", "timestamp", "duration")
FUNCTIONS: dict[str, Implementation] = {
    **{f"string({kind}) -> string": _string for kind in _TEXTS},
    "string(ip) -> string": _ip_text,
    "string(cidr) -> string": lambda cidr: f"{cidr.address}/{cidr.bits}",
}
BUILT_IN: dict[str, Implementation] = {
    **{f"int({kind}) -> int": _int for kind in ("int", "uint", "double", "string", "timestamp", "duration")},
    **{f"uint({kind}) -> uint": _uint for kind in ("int", "uint", "double", "string")},
    **{f"double({kind}) -> double": _double for kind in ("int", "uint", "double", "string")},
    "bool(bool) -> bool": lambda value: value,
    "bool(string) -> bool": _bool,
    "bytes(bytes) -> bytes": _bytes,
    "bytes(string) -> bytes": _bytes,
    "timestamp(string) -> timestamp": _timestamp,
    "timestamp(int) -> timestamp": _timestamp,
    "timestamp(timestamp) -> timestamp": _timestamp,
    "duration(string) -> duration": _duration,
    "duration(duration) -> duration": _duration,
    "dyn(A) -> A": lambda value: value,
    "type(A) -> type": _type_of,
}
