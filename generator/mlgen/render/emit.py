"""The only YAML writer: plain data → text that a YAML 1.1 and a YAML 1.2 reader understand alike.

Own code, since Go's YAML in a cluster still reads many 1.1 forms that 1.2 writers leave bare (`y`, `1e5`), and since
a general dumper takes ten times as long. Keys in the order given, no anchors, no line is ever folded.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from functools import lru_cache

# A string stays bare only where no reader of either version can take it for anything else.
_PLAIN = re.compile(r"[A-Za-z](?:[A-Za-z0-9_./@+=~-]|:(?=[A-Za-z0-9_/])| (?=[A-Za-z0-9_(]))*")
_WORDS = frozenset({"y", "n", "yes", "no", "on", "off", "true", "false", "null"})

# DEL, C1 controls, the line ends of YAML 1.1, BOM, non-characters: bare in JSON, but not in YAML.
_ODD = "\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff"
_ESCAPED = re.compile(f"[{_ODD}]")
_NOT_IN_BLOCK = re.compile(f"[\x00-\x08\x0b-\x1f{_ODD}]")
_NOT_IN_SINGLE_QUOTES = re.compile(f"[\x00-\x1f'{_ODD}]")

_CACHED_LENGTH = 120  # characters: names and images recur, documents and scripts do not


def emit(data: dict[str, object], comment: Sequence[str] = ()) -> bytes:
    """One YAML document: each line of `comment` after "# ", then the map.

    data: dicts with str keys, lists, str, bool, int and None. A str of several lines becomes a literal block where
    that says exactly the same, else a quoted one.
    Raises ValueError for a lone surrogate and for a key over 1,000 characters, TypeError for any other type.
    """
    head = "".join([f"# {line}".rstrip() + "\n" for line in comment])
    return (head + _block(data, "")).encode()


class Shared(dict[str, object]):
    """A map that stands in many places and never changes: its text is made once for each depth."""

    __slots__ = ("texts",)

    def __init__(self, data: dict[str, object]) -> None:
        super().__init__(data)
        self.texts: dict[str, str] = {}


def _block(node: dict[str, object] | list[object], pad: str) -> str:
    """A map or list that is not empty, each line after `pad`, with a line feed at its end."""
    if isinstance(node, list):
        return "".join([f"{pad}- {_item(item, pad)}" for item in node])
    if isinstance(node, Shared):
        if pad not in node.texts:
            node.texts[pad] = _map(node, pad)
        return node.texts[pad]
    return _map(node, pad)


def _map(node: dict[str, object], pad: str) -> str:
    return "".join([f"{pad}{_key(key)}:{_value(value, pad)}" for key, value in node.items()])


def _key(text: str) -> str:
    if len(text) > 1000:  # readers stop looking for the colon after 1,024
        raise ValueError(f"a key of {len(text)} characters: {text[:40]}…")
    return _quote(text)


def _value(value: object, pad: str) -> str:
    if isinstance(value, dict | list) and value:
        return f"\n{_block(value, pad + '  ')}"
    return f" {_scalar(value, pad)}\n"


def _item(value: object, pad: str) -> str:
    if isinstance(value, dict | list) and value:
        return _block(value, pad + "  ")[len(pad) + 2 :]
    return f"{_scalar(value, pad)}\n"


def _scalar(value: object, pad: str) -> str:
    if isinstance(value, str):
        if "\n" in value and _fits_block(value):
            return _literal(value, pad + "  ")
        return _quote(value) if len(value) < _CACHED_LENGTH else _quote.__wrapped__(value)
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, dict | list):
        return "{}" if isinstance(value, dict) else "[]"
    raise TypeError(f"a {type(value).__name__} has no place in a manifest")


def _fits_block(text: str) -> bool:
    # White space first would need an indentation mark, and line feeds at the end another chomping.
    return not text[0].isspace() and not text.endswith("\n\n") and not _NOT_IN_BLOCK.search(text)


def _literal(text: str, pad: str) -> str:
    mark = "|" if text.endswith("\n") else "|-"
    lines = text.removesuffix("\n").split("\n")
    return "\n".join([mark, *[pad + line if line else "" for line in lines]])


@lru_cache(maxsize=8192)
def _quote(text: str) -> str:
    """The text on one line: bare where that is safe, else in the quotes that leave the most of it as it is."""
    if _PLAIN.fullmatch(text) and text.lower() not in _WORDS:
        return text
    if ('"' in text or "\\" in text) and not _NOT_IN_SINGLE_QUOTES.search(text):
        return f"'{text}'"
    quoted = json.dumps(text, ensure_ascii=False)
    return _ESCAPED.sub(lambda match: f"\\u{ord(match[0]):04x}", quoted)
