"""Span, Diagnostic, the list of codes, and how a finding is printed."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from mlgen.codes import WARNINGS


class Severity(StrEnum):
    """How much a finding weighs: an error makes `check` answer no (exit 1), a warning does not."""

    ERROR = "error"
    WARNING = "warning"


@dataclass(frozen=True, slots=True, order=True)
class Span:
    """A place in a file. Lines and columns from 1; columns count characters; the end is exclusive."""

    file: str
    line: int
    column: int
    end_line: int
    end_column: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}"


@dataclass(frozen=True, slots=True)
class Related:
    """A second place that a finding speaks of."""

    message: str
    span: Span


@dataclass(frozen=True, slots=True)
class Diagnostic:
    """One finding: what, where, why, how to mend. `code` is a key of codes.CODES and has a heading in codes.md.

    secret: the line may hold one, so it is not shown.
    """

    code: str
    message: str
    span: Span
    why: str = ""
    fix: str = ""
    related: tuple[Related, ...] = ()
    secret: bool = False

    @property
    def severity(self) -> Severity:
        return Severity.WARNING if self.code in WARNINGS else Severity.ERROR


class Findings(Exception):
    """The author's files cannot be used as they are. Exit 1."""

    def __init__(self, diagnostics: Iterable[Diagnostic]) -> None:
        self.diagnostics = tuple(sort(diagnostics))
        super().__init__(f"{len(self.diagnostics)} findings")


class Fault(Exception):
    """Our own running cannot go on: what happened, why, how to mend it. A subclass says how we exit."""

    exit_code = 3

    def __init__(self, code: str, message: str, *, why: str = "", fix: str = "") -> None:
        self.code, self.message, self.why, self.fix = code, message, why, fix
        super().__init__(message)


class Misuse(Fault):
    """Asked wrongly: an argument that cannot be meant. Exit 2."""

    exit_code = 2


class CannotAnswer(Fault):
    """No Git, ledger unreachable, disk full: not the author's file, not the question. Exit 3."""

    exit_code = 3


def sort(diagnostics: Iterable[Diagnostic]) -> list[Diagnostic]:
    """Findings in the order of their places; equal ones once."""
    return sorted(dict.fromkeys(diagnostics), key=lambda d: (d.span, d.code, d.message))


def failed(diagnostics: Iterable[Diagnostic]) -> bool:
    """Whether any finding is an error."""
    return any(d.severity is Severity.ERROR for d in diagnostics)


def visible(text: str) -> str:
    """The text with control, format and private characters and line ends escaped: a terminal or log shows all of it.

    Specs are hostile: an escape sequence in a name must not move a cursor or hide a word, nor command a CI's runner.
    """
    if "##" in text or "::" in text:
        text = _COMMAND.sub(lambda match: match[0][:-2] + _BROKEN[match[0][-2:]], text)
    if text.isascii() and text.isprintable():
        return text
    return "".join(c.encode("unicode_escape").decode() if _hidden(unicodedata.category(c)) else c for c in text)


# What a CI's runner takes for a command in a line of a job's log: at its beginning `::add-mask::x`, and anywhere
# `##[add-mask]x` (both GitHub Actions, ActionCommand.cs), `##vso[…]` (Azure) and `##teamcity[…]`.
_COMMAND = re.compile(r"^\s*::|##(?=[A-Za-z]*\[)")
_BROKEN = {"::": r"\x3a:", "##": r"#\x23"}


def in_a_log(json_text: str) -> str:
    """JSON that says the same, and no line of which commands a runner: each begins with a sign of JSON's own."""
    return _COMMAND.sub(r"#\\u0023", json_text) if "##" in json_text else json_text


def _hidden(category: str) -> bool:
    return category[0] == "C" or category in ("Zl", "Zp")


LONGEST = 600  # characters of a sentence that are shown: names in it may be as long as a file


def sentence(text: str) -> str:
    """A sentence as people and programs get it: visible, and of a length that is read."""
    return visible(text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…")


def to_text(d: Diagnostic, lines: Sequence[str] | None) -> str:
    """One finding for people: several lines, no newline at the end. lines: the file's, to show the place."""
    out = [f"{visible(str(d.span))}: {d.severity}[{d.code}]: {sentence(d.message)}"]
    if lines is not None and d.span.line <= len(lines) and not d.secret:
        out += _picture(d.span, lines[d.span.line - 1])
    for r in d.related:
        out.append(f"   see  {visible(str(r.span))}: {sentence(r.message)}")
    out += [f"   {word}  {sentence(text)}" for word, text in (("why", d.why), ("fix", d.fix)) if text]
    out.append(f"   more mlgen explain {d.code}")
    return "\n".join(out)


WIDTH = 160  # characters of a source line that are shown


def _picture(span: Span, line: str) -> list[str]:
    start = max(0, span.column - 1 - WIDTH // 2) if span.column > WIDTH else 0
    end_column = span.end_column if span.end_line == span.line else len(line) + 1
    before = visible(line[start : span.column - 1])
    marked = visible(line[span.column - 1 : min(end_column - 1, start + WIDTH)])
    after = visible(line[span.column - 1 : start + WIDTH])[len(marked) :]
    number = f"{span.line:5}"
    return [
        f"{number} | {before}{marked}{after}",
        f"{' ' * len(number)} | {' ' * len(before)}{'^' * max(1, len(marked))}",
    ]


def to_json(d: Diagnostic) -> dict[str, object]:
    """One finding with the keys of `check --format json`."""
    return {
        "code": d.code,
        "severity": str(d.severity),
        "message": sentence(d.message),
        "why": sentence(d.why),
        "fix": sentence(d.fix),
        **_place(d.span),
        "related": [{"message": sentence(r.message), **_place(r.span)} for r in d.related],
    }


def _place(span: Span) -> dict[str, object]:
    return {
        "file": span.file,
        "line": span.line,
        "column": span.column,
        "endLine": span.end_line,
        "endColumn": span.end_column,
    }
