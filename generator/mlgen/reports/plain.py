"""The forms that every verb has: lines for people, data for programs. Files are named from the project's folder."""

from __future__ import annotations

from dataclasses import replace

from mlgen import diagnostic
from mlgen.canonical import Json
from mlgen.reports.report import Report


def to_text(report: Report) -> str:
    """Each finding with its line and an empty line behind it, then the count."""
    report = replace(report, folder="")
    return "".join(f"{report.text(one)}\n\n" for one in report.findings) + f"{report.summary}\n"


def to_data(report: Report) -> dict[str, object]:
    """The answer of `check --format json`."""
    counts: dict[str, Json] = {"files": len(report.files), "errors": report.errors, "warnings": report.warnings}
    return {"findings": [diagnostic.to_json(one) for one in report.findings], "summary": counts}
