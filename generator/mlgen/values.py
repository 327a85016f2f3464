"""Types of values and artifacts, and the text of a value: one reading for specs, pods and local runs."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable
from enum import StrEnum
from typing import Protocol

from mlgen.canonical import Json, encode


class Type(StrEnum):
    """What a param, in or out holds. The artifacts are bytes known by digest, the others small values."""

    STRING = "string"
    INTEGER = "integer"
    NUMBER = "number"
    BOOLEAN = "boolean"
    JSON = "json"
    METRIC = "metric"
    FILE = "file"
    DIRECTORY = "directory"
    DATASET = "dataset"
    MODEL = "model"
    REPORT = "report"
    PLOT = "plot"

    @property
    def is_artifact(self) -> bool:
        return self in ARTIFACTS

    @property
    def is_number(self) -> bool:
        return self in NUMBERS


ARTIFACTS = frozenset({Type.FILE, Type.DIRECTORY, Type.DATASET, Type.MODEL, Type.REPORT, Type.PLOT})
_WORD = re.compile(r"(?!(true|false|null)$)([^\W\d]|[./])[^\s,=\"]*")
NUMBERS = frozenset({Type.INTEGER, Type.NUMBER, Type.METRIC})
PARAM_TYPES = (Type.STRING, Type.INTEGER, Type.NUMBER, Type.BOOLEAN, Type.JSON)

MAX_DEPTH = 64  # of JSON, as of a spec's YAML: records hold it a few levels down, and every reader has its limit
MAX_INTEGER = 2**53 - 1  # beyond it JSON readers round (RFC 8259 §6)

# The numbers of YAML 1.2's core schema (§10.3.2), without infinities and NaN.
INTEGER = re.compile(r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+")
FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
NOT_FINITE = re.compile(r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)")


def parse_integer(text: str) -> int:
    """An integer within ±(2^53-1). Raises ValueError with a sentence for people."""
    if not INTEGER.fullmatch(text):
        raise ValueError(f'"{text[:40]}" is not an integer')
    if len(text) > 24:  # int() itself refuses 4,300 digits, and is slow before
        raise ValueError("the integer is beyond ±(2^53-1), which JSON readers do not keep exactly")
    value = int(text, 0) if text[:2] in ("0o", "0x") else int(text)
    if abs(value) > MAX_INTEGER:
        raise ValueError("the integer is beyond ±(2^53-1), which JSON readers do not keep exactly")
    return value


def parse_number(text: str) -> int | float:
    """A finite number; an integer where the text is one. Raises ValueError with a sentence for people."""
    if INTEGER.fullmatch(text):
        return parse_integer(text)
    if NOT_FINITE.fullmatch(text) or text.lower() in ("nan", "inf", "-inf", "+inf", "infinity", "-infinity"):
        raise ValueError("NaN and infinities are no numbers that JSON can carry")
    if not FLOAT.fullmatch(text):
        raise ValueError(f'"{text[:40]}" is not a number')
    value = float(text)
    if math.isinf(value):
        raise ValueError(f'"{text[:40]}" is too large for a number')
    return value


def parse_json(text: str) -> Json:
    """A JSON value in the ranges that every reader keeps. Raises ValueError with a sentence for people."""
    try:
        value: Json = json.loads(text, parse_int=parse_integer, parse_float=parse_number, parse_constant=_no_constant)
        if _is_deeper(value, MAX_DEPTH):
            raise ValueError(f"the JSON is nested deeper than {MAX_DEPTH} levels")
        encode(value)
    except json.JSONDecodeError as error:
        raise ValueError(f"not JSON: {error.msg} at character {error.pos + 1}") from None
    except RecursionError:
        raise ValueError("the JSON is nested too deep") from None
    except UnicodeEncodeError:
        raise ValueError("the JSON holds half of a character, such as \\ud800 alone") from None
    return value


def _is_deeper(value: Json, levels: int) -> bool:
    """Level by level and not by recursion, which has a limit of its own."""
    layer = [value]
    for _ in range(levels):
        layer = [item for each in layer for item in _items(each) if isinstance(item, dict | list)]
        if not layer:
            return False
    return True


def _items(value: Json) -> Iterable[Json]:
    if isinstance(value, dict):
        return value.values()
    return value if isinstance(value, list) else ()


def _no_constant(word: str) -> Json:
    raise ValueError(f"{word} is no number that JSON can carry")


def parse_string(text: str) -> str:
    """The text itself, where a variable of a process can hold it. Raises ValueError with a sentence for people."""
    if "\0" in text:
        raise ValueError("a text with a NUL character fits into no environment variable")
    try:
        text.encode()
    except UnicodeEncodeError:
        raise ValueError("the text is not Unicode: its bytes are not UTF-8, or it holds half of a character") from None
    return text


def parse(type_: Type, text: str) -> Json:
    """The value that a text is, by its type. Raises ValueError with a sentence for people."""
    match type_:
        case Type.STRING:
            return parse_string(text)
        case Type.INTEGER:
            return parse_integer(text)
        case Type.NUMBER | Type.METRIC:
            return parse_number(text)
        case Type.BOOLEAN:
            if text not in ("true", "false"):
                raise ValueError(f'"{text[:40]}" is not a boolean: write true or false')
            return text == "true"
        case Type.JSON:
            return parse_json(text)
        case _:
            raise ValueError(f"{type_} is an artifact, not a value")


def to_text(value: Json) -> str:
    """The text of a value, as it stands in an environment variable; json is compact with sorted keys."""
    if isinstance(value, str):
        return value
    return encode(value).decode()


def to_short_text(value: Json) -> str:
    """The text of a value for people to read: of a number that is not whole, at most 6 significant digits."""
    if not isinstance(value, float) or value.is_integer():
        return to_text(value)
    return f"{value:.0f}" if 1e6 <= abs(value) < 1e15 else f"{value:.6g}"


def to_quoted_text(value: Json) -> str:
    """As `to_short_text`, a string in quotes where it would look like something else in `a=1, b=two`."""
    text = to_short_text(value)
    is_clear = not isinstance(value, str) or _WORD.fullmatch(text)
    return text if is_clear else json.dumps(text, ensure_ascii=False)


def type_of(value: Json) -> Type:
    """The type that a plain value has: a list is json, as is a map."""
    if isinstance(value, bool):
        return Type.BOOLEAN
    if isinstance(value, int):
        return Type.INTEGER
    if isinstance(value, float):
        return Type.NUMBER
    return Type.STRING if isinstance(value, str) else Type.JSON


def strip_newline(text: str) -> str:
    """The text less one newline at its end, as a file that `echo` wrote has one."""
    return text[:-1] if text.endswith("\n") else text


def accepts(wanted: Type, given: Type) -> bool:
    """Whether an in of type `wanted` may read a value or artifact of type `given`.

    An artifact's kind must agree unless one side only says file or directory. An integer is a number; a
    metric is read like a number anywhere.
    """
    if wanted is given:
        return True
    if wanted.is_artifact and given.is_artifact:
        untyped = (Type.FILE, Type.DIRECTORY)
        return wanted in untyped or given in untyped
    return wanted in (Type.NUMBER, Type.METRIC) and given.is_number


MOST = 12  # choices that a problem lists


class Argument(Protocol):
    """What a param says of its values: in a spec, and in a plan when a run is given its arguments."""

    @property
    def type(self) -> Type | None: ...
    @property
    def choices(self) -> tuple[str, ...]: ...
    @property
    def minimum(self) -> float | None: ...
    @property
    def maximum(self) -> float | None: ...


def argument_problem(param: Argument, text: str) -> str | None:
    """Why a text cannot be the value of a param, or None."""
    if param.type is None:
        return None
    if problem := value_problem(param.type, text):
        return problem
    if param.choices and parse(param.type, text) not in [
        parse(param.type, c) for c in param.choices if not value_problem(param.type, c)
    ]:
        more = f" and {len(param.choices) - MOST} more" if len(param.choices) > MOST else ""
        return f'"{text[:80]}" is none of {", ".join(param.choices[:MOST])}{more}'
    return range_problem(param, text)


def value_problem(type_: Type, text: str) -> str | None:
    try:
        parse(type_, text)
    except ValueError as error:
        return str(error)
    return None


def range_problem(param: Argument, text: str) -> str | None:
    if param.type is None or not param.type.is_number:
        return None
    value = parse(param.type, text)
    assert isinstance(value, int | float)
    if param.minimum is not None and value < param.minimum:
        return f"{text} is below the minimum {param.minimum}"
    if param.maximum is not None and value > param.maximum:
        return f"{text} is above the maximum {param.maximum}"
    return None
