"""`'%s'.format([…])`. Source: github.com/google/cel-go/ext/formatting.go."""

from __future__ import annotations

import math
from collections.abc import Callable
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Any

from mlgen.policy.cel.library import conversions, times
from mlgen.policy.cel.library.strings import spend
from mlgen.policy.cel.signatures import Implementation
from mlgen.policy.cel.values import CelError, Duration, NotEvaluated, Timestamp, TypeValue, Uint, type_name

_ERROR = "error during formatting: "


def _format(text: str, values: list[Any]) -> str:
    out, at, used = [], 0, 0
    while at < len(text):
        if text[at] != "%":
            end = text.find("%", at)
            end = len(text) if end < 0 else end
            out.append(text[at:end])
            at = end
            continue
        at += 1
        if at == len(text):
            raise CelError("unexpected end of string")
        if text[at] == "%":
            out.append("%")
            at += 1
            continue
        precision = 6
        if text[at] == ".":
            end = at + 1
            while end < len(text) and text[end].isascii() and text[end].isdigit():
                end += 1
            if end == at + 1 or end == len(text) or int(text[at + 1 : end]) > 300:
                raise NotEvaluated("a precision that is not known to mean the same here")
            precision, at = int(text[at + 1 : end]), end
        if used >= len(values):
            raise CelError(f"index {used} out of range")
        out.append(_clause(text[at], values[used], precision))
        used, at = used + 1, at + 1
    done = "".join(out)
    spend(text)
    spend(done)
    return done


def _clause(verb: str, value: Any, precision: int) -> str:
    match verb:
        case "s":
            return _text(value)
        case "d":
            return _decimal(value)
        case "f" | "e":
            return _float(value, verb, precision)
        case "b" | "o" | "x" | "X":
            return _base(value, verb)
    raise CelError(f'could not parse formatting clause: unrecognized formatting clause "{verb}"')


def _text(value: Any) -> str:
    kind = type(value)
    if value is None:
        return "null"
    if kind is list:
        return "[" + ", ".join(_text(v) for v in value) + "]"
    if kind is dict:
        return "{" + ", ".join(f"{k}: {v}" for k, v in sorted((_text(k), _text(v)) for k, v in value.items())) + "}"
    write = _TEXTS.get(kind)
    if write is not None:
        return write(value)
    kinds = "strings, bools, bytes, ints, doubles, maps, lists, types, durations, and timestamps"
    raise CelError(f"{_ERROR}string clause can only be used on {kinds}, was given {type_name(value)}")


def _double(value: float) -> str:
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "Infinity" if value > 0 else "-Infinity"
    if value == 0:
        return "-0" if math.copysign(1, value) < 0 else "0"
    sign, digits, exponent = conversions.parts(value)
    return sign + conversions.plain(digits, exponent)


def _decimal(value: Any) -> str:
    if type(value) in (int, Uint):
        return str(int(value))
    if type(value) is float and not math.isfinite(value):
        return _double(value)
    raise CelError(f"{_ERROR}decimal clause can only be used on integers, was given {type_name(value)}")


def _float(value: Any, verb: str, precision: int) -> str:
    if type(value) is str and value in ("NaN", "Infinity", "-Infinity"):
        raise NotEvaluated("%f of a text")
    if type(value) is not float:
        what = "fixed-point" if verb == "f" else "scientific"
        raise CelError(f"{_ERROR}{what} clause can only be used on doubles, was given {type_name(value)}")
    if not math.isfinite(value):
        return _double(value)
    if verb == "f" and value:  # exact, as Go is
        return str(Decimal(value).quantize(Decimal(1).scaleb(-precision), ROUND_HALF_EVEN))
    return f"{value:.{precision}{verb}}"


def _base(value: Any, verb: str) -> str:
    kind = type(value)
    if kind is bool and verb == "b":
        return "1" if value else "0"
    if kind in (int, Uint):
        text = format(abs(int(value)), verb)
        return f"-{text}" if value < 0 else text
    if verb in "xX" and kind in (str, bytes):
        data = value.encode() if kind is str else value
        return str(data.hex() if verb == "x" else data.hex().upper())
    what = {"b": "only integers and bools can be formatted as binary", "o": "octal clause can only be used on integers"}
    words = what.get(verb, "only integers, byte buffers, and strings can be formatted as hex")
    raise CelError(f"{_ERROR}{words}, was given {type_name(value)}")


_TEXTS: dict[type, Callable[[Any], str]] = {
    str: str,
    bool: lambda value: "true" if value else "false",
    int: str,
    Uint: lambda value: str(int(value)),
    float: _double,
    bytes: lambda value: value.decode("utf-8", "replace"),
    Duration: times.duration_text,
    Timestamp: times.timestamp_text,
    TypeValue: lambda value: value.name,
}
FUNCTIONS: dict[str, Implementation] = {"<string>.format(list(dyn)) -> string": _format}
