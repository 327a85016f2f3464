"""A log of GitHub Actions: findings for people, then the commands that make annotations of the worst.

Any line of a step's output may be a command. The text of findings holds none: it is made of what is `visible`.
Source: github.com/actions/runner, ActionCommand.cs (how a line is read) and ActionCommandManager.cs (what it does).
"""

from __future__ import annotations

from mlgen.diagnostic import Diagnostic, Severity, sentence, visible
from mlgen.reports.report import Report

MOST = 10  # annotations of each level that GitHub shows of a step; it drops the others without a word


def write(report: Report) -> str:
    """The log's lines, each with its end."""
    told = [f"{report.text(one)}\n" for one in report.findings]
    shown: list[Diagnostic] = []
    for severity in (Severity.ERROR, Severity.WARNING):
        shown += [one for one in report.worst_first if one.severity is severity][:MOST]
    told += [_annotation(one, report) for one in shown]
    more = len(report.findings) - len(shown)
    if more:
        text = f"{more:,} more in the log of this step: GitHub shows {MOST} errors and {MOST} warnings"
        told.append(f"::notice title=mlgen::{_data(text)}")
    return "\n".join([*told, report.summary, ""])


def _annotation(one: Diagnostic, report: Report) -> str:
    span, properties = one.span, {"title": f"mlgen {one.code}"}
    if span.file:
        properties |= {"file": visible(report.path(span.file)), "line": str(span.line), "endLine": str(span.end_line)}
    if span.file and span.line == span.end_line:  # the runner takes columns of one line only
        properties |= {"col": str(span.column), "endColumn": str(span.end_column)}
    told = [one.message, *(f"{word}: {text}" for word, text in (("why", one.why), ("fix", one.fix)) if text)]
    data = "\n".join(map(sentence, told))
    return f"::{one.severity} {','.join(f'{key}={_property(text)}' for key, text in properties.items())}::{_data(data)}"


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
