"""The lines in which two texts differ, with those around them; long lines are cut around what differs."""

from __future__ import annotations

from collections.abc import Iterator
from difflib import unified_diff

from mlgen.secrets.telling import lines_without_secrets

AROUND = 3  # lines that are the same, before and after
WIDTH = 200  # characters of a line that are shown; a task's document is one line of thousands
_END = {True: "ends with a line's end", False: "ends without a line's end"}
_LARGE = 20_000  # lines, above which all of both is shown: to look for what is equal takes minutes


def unified(before: str, after: str, *, width: int = WIDTH) -> tuple[str, ...]:
    """The lines of a unified diff without its head, `@@ -1,3 +1,4 @@` and lines that begin with "+", "-" or " ".

    Lines are those between "\\n" alone: no other character of an author's text ends one.
    """
    old, new = _lines(before), _lines(after)
    if old == new and before != after:
        ends = [_END[text.endswith("\n")] for text in (before, after)]
        return f"-({ends[0]})", f"+({ends[1]})"
    if len(old) + len(new) > _LARGE:
        found = [*(f"-{line}" for line in old), *(f"+{line}" for line in new)]
    else:
        found = list(unified_diff(old, new, n=AROUND, lineterm=""))[2:]
    return tuple(_narrowed(lines_without_secrets(found, mark=1), width))


def _lines(text: str) -> list[str]:
    return text.removesuffix("\n").split("\n") if text else []


def _narrowed(lines: list[str], width: int) -> Iterator[str]:
    """Pairs of a long line gone and one come, each cut to where they differ; others are cut at their ends."""
    index = 0
    while index < len(lines):
        gone = _run(lines, index, "-")
        come = _run(lines, index + len(gone), "+")
        if not gone and not come:
            yield _cut(lines[index], width)
            index += 1
            continue
        pairs = [_around(old, new, width) for old, new in zip(gone, come, strict=False)]
        yield from (old for old, _ in pairs)
        yield from (_cut(line, width) for line in gone[len(pairs) :])
        yield from (new for _, new in pairs)
        yield from (_cut(line, width) for line in come[len(pairs) :])
        index += len(gone) + len(come)


def _run(lines: list[str], start: int, mark: str) -> list[str]:
    end = start
    while end < len(lines) and lines[end].startswith(mark):
        end += 1
    return lines[start:end]


def _cut(line: str, width: int) -> str:
    return line if len(line) <= width else f"{line[: width - 1]}…"


def _around(old: str, new: str, width: int) -> tuple[str, str]:
    """Two lines, both from a little before the first character that differs."""
    if max(len(old), len(new)) <= width:
        return old, new
    same = next((i for i, (a, b) in enumerate(zip(old[1:], new[1:], strict=False)) if a != b), None)
    same = min(len(old), len(new)) - 1 if same is None else same
    start = max(0, same - width // 4)
    return _window(old, start, width), _window(new, start, width)


def _window(line: str, start: int, width: int) -> str:
    text = line[1:]
    shown = text[start : start + width]
    return f"{line[0]}{'…' if start else ''}{shown}{'…' if start + width < len(text) else ''}"
