"""Tables in Markdown, for comments of pull requests: what others wrote stays text."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence

from mlgen.diagnostic import visible


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    """The lines of a table; each cell is code."""
    yield f"| {' | '.join(map(_code, head))} |"
    yield f"|{' --- |' * len(head)}"
    for row in rows:
        yield f"| {' | '.join(map(_code, row))} |"


def _code(text: str) -> str:
    """Text as code: what others wrote becomes no link, no mention of a person, no mark-up, no other cell."""
    # Not "\\|": with a backslash before it in the text it would end the cell.
    shown = visible(text).replace("|", "¦")
    fence = "`" * (max(map(len, re.findall("`+", shown)), default=0) + 1)
    pad = " " if "`" in shown else ""
    return f"{fence}{pad}{shown}{pad}{fence}" if shown.strip() else ""
