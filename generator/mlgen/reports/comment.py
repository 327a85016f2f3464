"""Findings as a comment of a pull request or the summary of a job: Markdown, of the length that hosts take."""

from __future__ import annotations

from collections.abc import Iterator

from mlgen.diagnostic import Diagnostic, Severity, visible
from mlgen.reports import markdown
from mlgen.reports.report import Report

ROWS = 20  # of the table: who has more to mend opens the folds
WIDEST = 240  # characters of a cell
HEAD = ("where", "severity", "what", "code")
MARGIN = 200  # characters that the sentence takes which says what is left out


def within(report: Report, most: int) -> str:
    """The same, of so many bytes of UTF-8; a few thousand at least."""
    limit = most
    while (over := len((text := write(report, limit)).encode(errors="backslashreplace")) - most) > 0 and limit > 0:
        limit -= over
    return text


def write(report: Report, limit: int = markdown.LIMIT) -> str:
    """The worst in a table, and all in a fold for each file, as far as they fit. limit: characters of the whole."""
    parts = [f"### mlgen {report.verb}\n\n{report.summary}.\n"]
    if not report.findings:
        return parts[0]
    rows = [_row(one, report) for one in report.worst_first[:ROWS]]
    while len(rows) > 1 and sum(map(len, markdown.table(HEAD, rows))) > limit // 2:
        rows.pop()
    parts.append("\n".join(markdown.table(HEAD, rows)) + "\n")
    room = limit - MARGIN - sum(len(part) + 1 for part in parts)
    left = 0
    for file, found in _worst_files(report):
        fold, shown = _fold(file, found, report, room)
        left += len(found) - shown
        if shown:
            parts.append(fold)
            room -= len(fold) + 1
    if left:
        parts.append(
            f"{left:,} of {len(report.findings):,} findings are left out here: `mlgen {report.verb}` tells all.\n"
        )
    return "\n".join(parts)


def _row(one: Diagnostic, report: Report) -> list[str]:
    place = f"{report.path(one.span.file)}:{one.span.line}" if one.span.file else ""
    return [_clip(place), str(one.severity), _clip(one.message), one.code]


def _clip(text: str) -> str:
    shown = visible(text)
    return shown if len(shown) <= WIDEST else f"{shown[: WIDEST - 1]}…"


def _worst_files(report: Report) -> Iterator[tuple[str, list[Diagnostic]]]:
    """The files with findings; those with errors first."""
    found = [(file, all_of_it) for file, all_of_it in report.by_file.items() if all_of_it]
    yield from sorted(found, key=lambda pair: all(one.severity is not Severity.ERROR for one in pair[1]))


def _fold(file: str, found: list[Diagnostic], report: Report, room: int) -> tuple[str, int]:
    """A file's fold with as many of its findings as there is room for, whole ones; and how many those are."""
    texts = [report.text(one) for one in found]
    title = _clip(report.path(file) or "mlgen")
    low, high = 0, len(texts)
    while low < high:  # the longest that fits: a fence grows with what is in it, so no sum will do
        middle = (low + high + 1) // 2
        low, high = (middle, high) if len(_made(title, texts[:middle], len(texts))) < room else (low, middle - 1)
    return _made(title, texts[:low], len(texts)), low


def _made(title: str, texts: list[str], of: int) -> str:
    note = f"{of:,} finding{'' if of == 1 else 's'}" + (f", the first {len(texts):,} here" if len(texts) < of else "")
    return markdown.fold(title, markdown.block("\n\n".join(texts), "text"), note) + "\n"
