"""`'%s'.format([…])`. Source: github.com/google/cel-go/ext/formatting.go."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator
from decimal import ROUND_HALF_EVEN, Context, Decimal
from typing import Any

from mlgen.policy.cel.library import conversions, times
from mlgen.policy.cel.library.strings import spend
from mlgen.policy.cel.signatures import Implementation, Type
from mlgen.policy.cel.values import CelError, Duration, NotEvaluated, Partial, Timestamp, TypeValue, Uint, type_name

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


_OPEN = frozenset({"dyn", "error"})
_STRINGS = frozenset({
    "string", "bool", "bytes", "int", "uint", "double", "map", "list", "type", "duration", "timestamp", "null_type",
})  # fmt: skip
_TAKEN = {
    "s": _STRINGS,
    "d": frozenset({"int", "uint"}),
    "f": frozenset({"double", "string"}),
    "e": frozenset({"double", "string"}),
    "b": frozenset({"int", "uint", "bool"}),
    "x": frozenset({"int", "uint", "string", "bytes"}),
    "X": frozenset({"int", "uint", "string", "bytes"}),
    "o": frozenset({"int", "uint"}),
}
_CLAUSE = re.compile(r"%(?:\.[0-9]+)?(.?)", re.DOTALL)


def flaws(text: str, kinds: list[Type]) -> Iterator[tuple[int, str]]:
    """What the API server says of a constant format and the types of its values: the value's number (-1: none)."""
    used = 0
    for match in _CLAUSE.finditer(text):
        verb = match[1]
        if verb == "%" and match[0] == "%%":
            continue
        if not verb:
            yield -1, "unexpected end of string"
            return
        if verb not in _TAKEN:
            yield -1, f'could not parse formatting clause: unrecognized formatting clause "{verb}"'
            return
        if used >= len(kinds):
            yield -1, f"index {used} out of range"
            return
        name = _untaken(kinds[used], _TAKEN[verb])
        if name:
            yield used, f"error during formatting: %{verb} does not take {name}"
        used += 1
    if used < len(kinds):
        yield -1, f"too many arguments supplied to string.format (expected {used}, got {len(kinds)})"


def _untaken(kind: Type, taken: frozenset[str]) -> str:
    """The name of the type that a clause does not take: the type's own, or of what it is a list or map of."""
    name, params = str(kind["type_name"]), kind.get("params")
    if name not in taken | _OPEN:
        return name
    inner = params if name in ("list", "map") and isinstance(params, list) else []
    return next((found for part in inner if (found := _untaken(part, taken))), "")


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
        return "[" + ", ".join(map(_inner, value)) + "]"
    if kind is dict:
        entries = sorted((_inner(k), _inner(v)) for k, v in value.items())
        return "{" + ", ".join(f"{k}:{v}" for k, v in entries) + "}"
    write = _TEXTS.get(kind)
    if write is not None:
        return write(value)
    if kind is Partial:
        raise NotEvaluated(f"{value.name} is known in part only")
    kinds = "strings, bools, bytes, ints, doubles, maps, lists, types, durations, and timestamps"
    raise CelError(f"{_ERROR}string clause can only be used on {kinds}, was given {type_name(value)}")


def _inner(value: Any) -> str:
    """A value within a list or a map: texts are quoted, doubles have six digits."""
    if type(value) is float and math.isfinite(value):
        return str(Decimal(value).quantize(Decimal("1.000000"), ROUND_HALF_EVEN, _EXACT)) if value else "0.000000"
    if type(value) is float:
        if math.isinf(value):
            raise NotEvaluated("an infinite number within a list")
        return '"NaN"'
    return _INNER.get(type(value), _text)(value)


def _bytes(value: bytes) -> str:
    if not value.isascii() or not value.decode().isprintable():
        raise NotEvaluated("bytes within a list")
    return f"b{go_quoted(value.decode())}"


def _duration(value: Duration) -> str:
    return f'duration("{times.duration_text(value)}")'


def _timestamp(value: Timestamp) -> str:
    return f'timestamp("{times.timestamp_text(value)}")'


_EXACT = Context(prec=400)  # digits: as many as the largest double has, and six
_ESCAPES = dict(zip('\a\b\f\n\r\t\v\\"', (f"\\{c}" for c in 'abfnrtv\\"'), strict=True))


def go_quoted(text: str) -> str:
    """A text as strconv.Quote of Go has it."""
    return '"' + "".join(_ESCAPES.get(c) or (c if c.isprintable() else _escaped(ord(c))) for c in text) + '"'


def _escaped(code: int) -> str:
    return f"\\x{code:02x}" if code < 0x80 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def _decimal(value: Any) -> str:
    if type(value) in (int, Uint):
        return str(int(value))
    if type(value) is float and not math.isfinite(value):
        return conversions.float_text(value)
    raise CelError(f"{_ERROR}decimal clause can only be used on integers, was given {type_name(value)}")


def _float(value: Any, verb: str, precision: int) -> str:
    if type(value) is str and value in ("NaN", "Infinity", "-Infinity"):
        raise NotEvaluated("%f of a text")
    if type(value) is not float:
        what = "fixed-point" if verb == "f" else "scientific"
        raise CelError(f"{_ERROR}{what} clause can only be used on doubles, was given {type_name(value)}")
    if not math.isfinite(value):
        return conversions.float_text(value)
    if verb == "e" or abs(value) >= 1000:
        raise NotEvaluated("a number as the cluster's locale has it")
    if verb == "f" and value:  # exact, as Go is
        return str(Decimal(value).quantize(Decimal(1).scaleb(-precision), ROUND_HALF_EVEN, _EXACT))
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
    float: conversions.float_text,
    bytes: lambda value: value.decode("utf-8", "replace"),
    Duration: times.duration_text,
    Timestamp: times.timestamp_text,
    TypeValue: lambda value: value.name,
}
_INNER: dict[type, Callable[[Any], str]] = {
    str: go_quoted,
    bytes: _bytes,
    Duration: _duration,
    Timestamp: _timestamp,
}
FUNCTIONS: dict[str, Implementation] = {"<string>.format(list(dyn)) -> string": _format}
