"""Findings for programs: JSON. Files are named from the project's folder."""

from __future__ import annotations

import json

from mlgen import diagnostic
from mlgen.canonical import Json
from mlgen.reports.report import Report


def write(report: Report) -> str:
    """The answer as a file has it: ASCII only."""
    return diagnostic.in_a_log(json.dumps(to_data(report), indent=2)) + "\n"


def to_data(report: Report) -> dict[str, object]:
    """The answer of `check --format json`."""
    counts: dict[str, Json] = {"files": len(report.files), "errors": report.errors, "warnings": report.warnings}
    return {"findings": [diagnostic.to_json(one) for one in report.findings], "summary": counts}
