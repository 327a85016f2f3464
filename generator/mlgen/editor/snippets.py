"""A snippet of the schemas as the YAML that is laid down: texts as they are, with their places to fill."""

from __future__ import annotations

import json
from typing import Any


def text(body: Any, indent: str = "") -> str:
    """The YAML of a snippet's body. Lines after the first are indented for the first column."""
    if isinstance(body, dict):
        return "\n".join(f"{indent}{text(key)}:{_below(value, indent)}" for key, value in body.items())
    if isinstance(body, list):
        return "\n".join(f"{indent}- {text(item, indent + '  ').lstrip()}" for item in body)
    return body if isinstance(body, str) else json.dumps(body)


def _below(value: Any, indent: str) -> str:
    return f"\n{text(value, indent + '  ')}" if isinstance(value, dict | list) else f" {text(value)}"
