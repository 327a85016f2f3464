"""Strings: the standard functions and cel-go's extension. Positions count code points, as in Python."""

from __future__ import annotations

from typing import Any

from mlgen.policy.cel.meter import METER
from mlgen.policy.cel.signatures import Implementation
from mlgen.policy.cel.values import CelError

_ASCII_LOWER = {c: c + 32 for c in range(65, 91)}
_ASCII_UPPER = {c: c - 32 for c in range(97, 123)}
# What Go's unicode.IsSpace takes: Python's strip() takes four separators (U+001C to U+001F) more.
_SPACES = "\t\n\v\f\r \x85\xa0\u1680" + "".join(map(chr, range(0x2000, 0x200B))) + "\u2028\u2029\u202f\u205f\u3000"


def spend(text: str, factor: float = 0.1) -> None:
    METER.pay(int(len(text) * factor) + 1)


def trim(text: str) -> str:
    """strings.TrimSpace of Go."""
    return text.strip(_SPACES)


def _char_at(text: str, at: int) -> str:
    if not 0 <= at <= len(text):
        raise CelError(f"index out of range: {at}")
    return text[at : at + 1]


def _index_of(text: str, part: str, offset: int | None = None) -> int:
    spend(text, 0.1 * max(1, len(part)))
    if part == "" and offset is None:
        return 0
    at = offset or 0
    if part == "":
        return at
    if at < 0:
        raise CelError(f"index out of range: {at}")
    return text.find(part, at)


def _last_index_of(text: str, part: str, offset: int | None = None) -> int:
    spend(text, 0.1 * max(1, len(part)))
    if offset is None:
        return text.rfind(part)
    if part == "":
        return offset
    if offset < 0:
        raise CelError(f"index out of range: {offset}")
    return -1 if offset >= len(text) else text.rfind(part, 0, offset + len(part))


def _replace(text: str, old: str, new: str, count: int = -1) -> str:
    spend(text, 0.3)
    replaced = text.replace(old, new, count if count >= 0 else -1)
    spend(replaced)
    return replaced


def _split(text: str, separator: str, limit: int = -1) -> list[str]:
    spend(text)
    if limit == 0:
        return []
    if separator == "":
        parts = list(text)
        return parts if limit < 0 or len(parts) <= limit else [*parts[: limit - 1], "".join(parts[limit - 1 :])]
    return text.split(separator, limit - 1 if limit > 0 else -1)


def _substring(text: str, start: int, end: int | None = None) -> str:
    spend(text)
    if end is None:
        if not 0 <= start <= len(text):
            raise CelError(f"index out of range: {start}")
        return text[start:]
    if start > end:
        raise CelError(f"invalid substring range. start: {start}, end: {end}")
    if not 0 <= start <= len(text):
        raise CelError(f"index out of range: {start}")
    if not 0 <= end <= len(text):
        raise CelError(f"index out of range: {end}")
    return text[start:end]


def _join(items: list[Any], separator: str = "") -> str:
    for item in items:
        if type(item) is not str:
            raise CelError("no such overload")
    joined = separator.join(items)
    spend(joined)
    return joined


_QUOTED = dict(zip('\a\b\f\n\r\t\v\\"', (f"\\{c}" for c in 'abfnrtv\\"'), strict=True))


def _quote(text: str) -> str:
    spend(text)
    return '"' + "".join(_QUOTED.get(c, c) for c in text) + '"'


def _lower(text: str) -> str:
    spend(text)
    return text.translate(_ASCII_LOWER)


def _upper(text: str) -> str:
    spend(text)
    return text.translate(_ASCII_UPPER)


def _trim(text: str) -> str:
    spend(text)
    return trim(text)


FUNCTIONS: dict[str, Implementation] = {
    "<string>.charAt(int) -> string": _char_at,
    "<string>.indexOf(string) -> int": _index_of,
    "<string>.indexOf(string,int) -> int": _index_of,
    "<string>.lastIndexOf(string) -> int": _last_index_of,
    "<string>.lastIndexOf(string,int) -> int": _last_index_of,
    "<string>.lowerAscii() -> string": _lower,
    "<string>.upperAscii() -> string": _upper,
    "<string>.replace(string,string) -> string": _replace,
    "<string>.replace(string,string,int) -> string": _replace,
    "<string>.split(string) -> list(string)": _split,
    "<string>.split(string,int) -> list(string)": _split,
    "<string>.substring(int) -> string": _substring,
    "<string>.substring(int,int) -> string": _substring,
    "<string>.trim() -> string": _trim,
    "<list(string)>.join() -> string": _join,
    "<list(string)>.join(string) -> string": _join,
    "strings.quote(string) -> string": _quote,
}


def _contains(text: str, part: str) -> bool:
    spend(text, 0.1 * (1 + len(part) // 10))
    return part in text


def _starts(text: str, part: str) -> bool:
    spend(part)
    return text.startswith(part)


def _ends(text: str, part: str) -> bool:
    spend(part)
    return text.endswith(part)


BUILT_IN: dict[str, Implementation] = {
    "<string>.contains(string) -> bool": _contains,
    "<string>.startsWith(string) -> bool": _starts,
    "<string>.endsWith(string) -> bool": _ends,
    "<string>.size() -> int": len,
    "<bytes>.size() -> int": len,
    "<list(A)>.size() -> int": len,
    "<map(A,B)>.size() -> int": len,
    "size(string) -> int": len,
    "size(bytes) -> int": len,
    "size(list(A)) -> int": len,
    "size(map(A,B)) -> int": len,
}
