"""Snippets and examples of the schemas as YAML."""

from __future__ import annotations

import json
import re
from typing import Any

from mlgen.spec.scalars import Refused, read_plain

# A place to fill, ${1:name} or ${1|one,two|}, and a dollar that begins none.
_PLACE = re.compile(r"\$\{\d+(?::([^}]*)|\|([^,|]*)[^}]*\|)\}|\$\d+|\\\$")


def text(body: Any, indent: str = "") -> str:
    """The YAML of a snippet's body, its places to fill as they are. Later lines are indented for the first column."""
    if isinstance(body, dict):
        return "\n".join(f"{indent}{text(key)}:{_below(value, indent)}" for key, value in body.items())
    if isinstance(body, list):
        return "\n".join(f"{indent}- {text(item, indent + '  ').lstrip()}" for item in body)
    return body if isinstance(body, str) else json.dumps(body)


def _below(value: Any, indent: str) -> str:
    return f"\n{text(value, indent + '  ')}" if isinstance(value, dict | list) else f" {text(value)}"


def filled(snippet: str) -> str:
    """A snippet's text with what its places offer, for an editor that knows no places."""
    return _PLACE.sub(lambda match: "$" if match[0] == "\\$" else match[1] or match[2] or "", snippet)


def flow(value: Any) -> str:
    """An example in YAML's flow form, on one line, as authors write it."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}: {flow(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(flow(item) for item in value) + "]"
    if isinstance(value, str) and _is_plain(value):
        return value
    return json.dumps(value, ensure_ascii=False)


def _is_plain(text: str) -> bool:
    if re.search(r"[\[\]{},\"'`|#&*!%@]|^[-?:>\s]|\s$|:(\s|$)", text):
        return False
    try:
        return read_plain(text) == text
    except Refused:
        return False
