"""How to mend a value of a wrong type: what its author probably meant by it, else an example of the schema."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Any

from mlgen.spec.quantities import DURATION_RULE, SIZE_RULE, size_text
from mlgen.spec.reader import Route
from mlgen.spec.scalars import Refused, read_plain

SIZES = ("memory", "disk", "shm")
DURATIONS = ("timeout", "queue", "staging", "interval", "backoff", "every", "max_age", "refresh")
_RULES = {**dict.fromkeys(SIZES, SIZE_RULE), **dict.fromkeys(DURATIONS, DURATION_RULE)}
_WORDS = re.compile(r"[A-Za-z0-9_.-]+(?:[,\s]+[A-Za-z0-9_.-]+)*")
_PLAIN = re.compile(r"[A-Za-z][A-Za-z0-9_./-]*(?:[ :][A-Za-z0-9_./-]+)*")
_SPLIT = re.compile(r"[,\s]+")
_SPAN = re.compile(r"(-?[0-9]{1,15})(?:\.\.|-)(-?[0-9]{1,15})")
_BOOLEANS = {**dict.fromkeys(("true", "yes", "on"), "true"), **dict.fromkeys(("false", "no", "off"), "false")}
LONGEST = 120  # characters of a fix that repeats what was written


def fix(route: Route, value: object, text: str, types: Sequence[str]) -> str | None:
    """What to write for a value that is of none of some types; None where only an example helps.

    text: a scalar's, as it is written.
    """
    found = _of_values(route, value, text, types) or _of(route, value, text, types)
    return found if found is not None and len(found) <= LONGEST else None


def _of(route: Route, value: object, text: str, types: Sequence[str]) -> str | None:
    key = next((part for part in reversed(route) if isinstance(part, str)), "")
    item = bool(route) and isinstance(route[-1], int)
    write = "write " if item or not route else f"write {key}: "
    match value:
        case bool() | int() | float() if key == "in" and item:
            return f"a value needs a name: write `in` as a map, {{NAME: {text}}}"
        case bool():
            return _of_boolean(key, value, text, types)
        case int() | float():
            return _of_number(key, write, value, text, types)
        case str():
            return _of_text(write, value, types)
        case list():
            return _of_list(write, value, types)
        case dict() if key in ("in", "out") and item and len(value) == 1:
            return f"write `{key}` as a map, not a list: {key}: {flow(value)}"
        case dict() if list(types) == ["array"] and value:
            return f"{write}{flow(list(value))}"
    return None


def _of_values(route: Route, value: object, text: str, types: Sequence[str]) -> str | None:
    """Of what a variable of `sweep` or `for` goes through, which is no one value."""
    if not {"array", "object"} <= set(types) or not {"for", "grid", "random", "search"}.intersection(route[-2:-1]):
        return None
    write = f"write {route[-1]}: "
    match value:
        case bool() | int() | float():
            count = isinstance(value, int) and not isinstance(value, bool) and value > 0
            ranged = count and route[-2] in ("for", "grid")
            return f"{write}{{range: {text}}} for 0 to {value - 1}" if ranged else f"{write}[{text}]"
        case str():
            bounds = span(value)
            if bounds is None:
                return None
            return f"{write}{as_range(*bounds)}" if route[-2] == "grid" else f"{write}{_as_domain(*bounds)}"
    return None


def span(text: str) -> tuple[int, int] | None:
    """The ends of what is written as `1..5` or `1-5`; None where it is not, or the second is not the greater."""
    match = _SPAN.fullmatch(text)
    if match is None or int(match[1]) >= int(match[2]):
        return None
    return int(match[1]), int(match[2])


def as_range(first: int, last: int) -> str:
    """The range with both its ends."""
    return f"{{range: [{first}, {last + 1}]}}"


def _as_domain(low: int, high: int) -> str:
    return f"{{min: {low}, max: {high}}}"


def _of_boolean(key: str, value: bool, text: str, types: Sequence[str]) -> str | None:
    if key == "if":
        return "remove `if`: the task always runs" if value else "remove the task, or compare a param in `if`"
    return _RULES.get(key) or (f'quote it: "{text}"' if "string" in types else None)


def _of_number(key: str, write: str, value: float, text: str, types: Sequence[str]) -> str | None:
    if key in SIZES:
        return f"{write}{_size(value)}: an amount has a unit" if value > 0 else None
    if key in DURATIONS:
        return f"{write}{text}s for seconds, or {text}m for minutes" if isinstance(value, int) else _RULES[key]
    if "integer" in types and "string" not in types:
        return f"{write}{int(value)}" if value == int(value) else None
    return f'quote it: "{text}"' if "string" in types and key != "if" else None


def _of_text(write: str, value: str, types: Sequence[str]) -> str | None:
    if "array" in types:
        return f"{write}[{', '.join(_SPLIT.split(value))}]" if _WORDS.fullmatch(value) else None
    if "boolean" in types and value.lower() in _BOOLEANS:
        return f"{write}{_BOOLEANS[value.lower()]}, without quotes"
    return f"{write}{value}, without quotes" if _is_number(value, whole="number" not in types) else None


def _size(value: float) -> str:
    """The likeliest amount: bytes where there are many, gibibytes where there are few, else mebibytes."""
    if value >= 1 << 20:
        return size_text(int(value))
    if isinstance(value, float) and not value.is_integer():
        return f"{int(value * 1024)}Mi"
    return f"{int(value)}{'Gi' if value < 64 else 'Mi'}"


def _is_number(text: str, *, whole: bool) -> bool:
    try:
        number = read_plain(text) if text else None
    except Refused:
        return False
    return isinstance(number, int if whole else int | float) and not isinstance(number, bool)


def _of_list(write: str, value: list[Any], types: Sequence[str]) -> str | None:
    if "string" in types and len(value) == 1 and isinstance(value[0], str):
        return f"{write}{flow(value[0])}"
    if "object" not in types or not value:
        return None
    if all(isinstance(item, str) and "=" in item for item in value):
        return f"{write}{flow(dict(item.split('=', 1) for item in value))}"
    if all(isinstance(item, dict) and isinstance(item.get("name"), str) for item in value):
        names = ", ".join(f"{item['name']}: {{…}}" for item in value[:3])
        return f"{write}{{{names}}}: the name is the key, and no `name` is in it"
    if all(isinstance(item, dict) and len(item) == 1 for item in value):
        return f"{write}{flow({k: v for item in value for k, v in item.items()})}"
    return None


def flow(value: object) -> str:
    """A value as people write it in one line of YAML."""
    match value:
        case str():
            return value if _PLAIN.fullmatch(value) and _is_text(value) else json.dumps(value, ensure_ascii=False)
        case list():
            return f"[{', '.join(map(flow, value))}]"
        case dict():
            return f"{{{', '.join(f'{_key(key)}: {flow(item)}' for key, item in value.items())}}}"
    return json.dumps(value, ensure_ascii=False)


def _key(text: str) -> str:
    return text if _PLAIN.fullmatch(text) else json.dumps(text, ensure_ascii=False)  # keys are always texts


def _is_text(value: str) -> bool:
    try:
        return read_plain(value) == value
    except Refused:
        return False
