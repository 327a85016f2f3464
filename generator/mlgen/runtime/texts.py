"""A result in one line (design §6): an artifact's place and digest, a value's text, or that nothing was written."""

from __future__ import annotations

import re

_POINTER = re.compile(r"(.+)@(sha256:[0-9a-f]{64})", re.DOTALL)


def pointer(path: str, digest: str) -> str:
    """The text of an artifact. path: below the environment's artifacts, or the URI of an input."""
    return f"{path}@{digest}"


def split_pointer(text: str) -> tuple[str, str | None]:
    """(path or URI, digest); an input may have none."""
    match = _POINTER.fullmatch(text)
    return (match[1], match[2]) if match else (text, None)


def result(text: str | None, *, optional: bool) -> str:
    """The result of an out; text None: not written. What is optional has "+" before it, so that empty can say no."""
    if text is None:
        return ""
    return f"+{text}" if optional else text


def read_result(result: str, *, optional: bool) -> str | None:
    """The text of an out, None where an optional one was not written: the inverse of `result`."""
    if not optional:
        return result
    return result[1:] if result else None
