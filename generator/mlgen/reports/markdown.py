"""Text in Markdown, for comments of pull requests: what others wrote stays text.

A spec's text may hold anything: mentions, references, links, pictures, HTML, mathematics, commands of a host. Hosts
look for these in all text but that of code, some of them in the HTML after Markdown was read, where no backslash is
left to see. So whatever others wrote is code here, and nothing else of it is ever put into a comment.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterable, Iterator, Sequence

from mlgen.diagnostic import visible

LIMIT = 65_536  # characters that GitHub takes for a comment
LONGEST_RUN = 80  # backticks that cmark, which GitHub and GitLab read with, still matches with others: MAXBACKTICKS


def inline(text: str) -> str:
    """Text of anyone as inline code, in a paragraph or list: it becomes no link, mention or mark-up. "" of no text."""
    shown = visible(text)
    if not shown.strip():
        return ""
    runs = set(map(len, re.findall("`+", shown)))
    fence = next(n for n in range(1, len(runs) + 2) if n not in runs)
    if fence > LONGEST_RUN:
        shown, fence = shown.replace("`", "'"), 1
    # A backtick at an end would belong to the fence; and of two spaces at the ends Markdown takes one each.
    pad = " " if "`" in shown or (shown[0] == shown[-1] == " ") else ""
    return f"{'`' * fence}{pad}{shown}{pad}{'`' * fence}"


def cell(text: str) -> str:
    """The same in a cell of a table."""
    # Not "\\|": with a backslash before it in the text it would end the cell.
    return inline(text.replace("|", "¦"))


def block(text: str, language: str = "") -> str:
    """Lines of anyone as a block of code that none of them closes; no newline at the end. language: a name of ours."""
    if not re.fullmatch("[a-z0-9+-]*", language):
        raise ValueError(f"{language!r} is no language of a block")
    lines = [visible(line) for line in text.removesuffix("\n").split("\n")]
    fence = "`" * max(3, 1 + max((len(run) for line in lines for run in re.findall("`+", line)), default=0))
    return "\n".join([f"{fence}{language}", *lines, fence])


def fold(title: str, body: str, note: str = "") -> str:
    """What is shown on a click, as a block of its own; no newline at the end.

    title: text of anyone, shown as code. note: words of ours after it. body: Markdown, made by what is here.
    """
    # HTML up to the blank line: no Markdown is read there, but hosts look for mentions in it, except in code.
    said = f"<code>{html.escape(visible(title))}</code>{f' {html.escape(note)}' if note else ''}"
    return f"<details><summary>{said}</summary>\n\n{body}\n\n</details>"


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    """The lines of a table; each cell is code."""
    yield f"| {' | '.join(map(cell, head))} |"
    yield f"|{' --- |' * len(head)}"
    for row in rows:
        yield f"| {' | '.join(map(cell, row))} |"
