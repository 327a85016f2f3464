"""Lines for people. Files are named from the project's folder."""

from __future__ import annotations

from dataclasses import replace

from mlgen.reports.report import Report


def write(report: Report) -> str:
    """Each finding with its line and an empty line behind it, then the count."""
    report = replace(report, folder="")
    return "".join(f"{report.text(one)}\n\n" for one in report.findings) + f"{report.summary}\n"
