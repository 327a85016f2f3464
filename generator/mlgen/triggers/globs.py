"""Globs of triggers: `*` and `?` stop at a slash, `**` does not. As a regular expression for RE2, and matched here."""

from __future__ import annotations

import re

_PARTS = re.compile(r"\*\*|\*|\?|[^*?]+")


def pattern(glob: str) -> str:
    """A regular expression of a glob, as Python and RE2 read it. `re` takes years for some texts: `matches`."""
    out = []
    for part in _PARTS.findall(glob):
        match part:
            case "**":
                out.append(r"[\s\S]*")
            case "*":
                out.append("[^/]*")
            case "?":
                out.append("[^/]")
            case _:
                # Not re.escape: what it does to other characters than these, RE2 need not take.
                out.append(re.sub(r"[\\.+(){}\[\]^$|]", r"\\\g<0>", part))
    return "".join(out)


def matches(glob: str, text: str) -> bool:
    """Whether a text is what a glob says, in one step a character, whatever the text.

    Bit i of `at` says that the text so far fits the first i parts; all ways are gone at once, so that none is gone
    back. Source: Baeza-Yates and Gonnet, A new approach to text searching (1992), shift-and.
    """
    parts = [one for part in _PARTS.findall(glob) for one in ([part] if part[0] in "*?" else part)]
    takes: dict[str, int] = {}  # of a character: the parts that take it once
    for index, part in enumerate(parts):
        takes[part] = takes.get(part, 0) | 1 << index
    any_, of_segment, single = (takes.pop(wild, 0) for wild in ("**", "*", "?"))
    at = _on(1, any_ | of_segment)
    for one in text:
        repeated, once = (any_, 0) if one == "/" else (any_ | of_segment, single)
        at = _on(at & repeated | (at & (takes.get(one, 0) | once)) << 1, any_ | of_segment)
        if not at:
            return False
    return bool(at >> len(parts) & 1)


def _on(at: int, empty: int) -> int:
    """With what follows parts that may be empty."""
    while (more := at | (at & empty) << 1) != at:
        at = more
    return at
