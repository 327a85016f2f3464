"""Columns as a protocol counts them: in units of an encoding. mlgen counts characters."""

from __future__ import annotations

from typing import Literal

Encoding = Literal["utf-8", "utf-16", "utf-32"]
_ASTRAL = 0x10000  # from here on UTF-16 takes two units


def to_units(line: str, column: int, encoding: Encoding) -> int:
    """The units before a character of a line; both count from 0. A column past the end is the end."""
    before = line[:column]
    if encoding == "utf-32" or before.isascii():
        return len(before)
    if encoding == "utf-8":
        return len(before.encode(errors="surrogatepass"))
    return len(before) + sum(ord(char) >= _ASTRAL for char in before)


def to_column(line: str, units: int, encoding: Encoding) -> int:
    """The character that so many units lie before; one in the middle of a character is its beginning."""
    if encoding == "utf-32" or line.isascii():
        return max(0, min(units, len(line)))
    seen = 0
    for column, char in enumerate(line):
        width = len(char.encode(errors="surrogatepass")) if encoding == "utf-8" else 1 + (ord(char) >= _ASTRAL)
        if seen + width > units:
            return column
        seen += width
    return len(line)
