"""What to say where a task or an item is asked for that a run has not: which it has, or which was probably meant."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from difflib import get_close_matches

MOST = 20  # names that are listed
_ITEM = re.compile(r"(.+)\[([0-9]+)\]")


def which(wanted: str, known: Iterable[str]) -> str:
    """What to ask for instead. known: labels of all there is, `train` or `train[3]`; not empty."""
    items: dict[str, list[int]] = {}
    for label in known:
        match = _ITEM.fullmatch(label)
        items.setdefault(match[1] if match else label, []).extend([int(match[2])] if match else [])
    tasks = sorted(items)
    task, bracket, _ = wanted.partition("[")
    if bracket and items.get(task):
        return f"its items: {_spans(items[task])}"
    if bracket and task in items:
        return f'"{task}" has no items here: ask for {task}'
    near = get_close_matches(task, tasks, n=3)
    if near:
        return f"did you mean {', '.join(near)}?"
    more = f" and {len(tasks) - MOST} more" if len(tasks) > MOST else ""
    return f"its tasks: {', '.join(tasks[:MOST])}{more}"


def _spans(numbers: Sequence[int]) -> str:
    """Such as `0 to 3, 5`."""
    spans: list[list[int]] = []
    for number in sorted(set(numbers)):
        if spans and spans[-1][1] == number - 1:
            spans[-1][1] = number
        else:
            spans.append([number, number])
    shown = [str(a) if a == b else f"{a} to {b}" for a, b in spans[:MOST]]
    return ", ".join(shown) + (f" and {len(spans) - MOST} more" if len(spans) > MOST else "")
