"""GitLab's Code Quality, which its merge requests show beside the lines: JSON, ASCII only.

Source: docs.gitlab.com/ci/testing/code_quality, "Code Quality report format".
"""

from __future__ import annotations

import json

from mlgen.diagnostic import Severity, in_a_log, sentence
from mlgen.reports.fingerprint import fingerprints
from mlgen.reports.report import Report


def write(report: Report) -> str:
    """The list of findings. One without a file is left out: GitLab has no place for it."""
    marks = fingerprints(report)
    issues = [
        {
            "description": sentence(one.message),
            "check_name": one.code,
            "fingerprint": mark,
            "severity": "major" if one.severity is Severity.ERROR else "minor",
            "location": {
                "path": report.path(one.span.file),
                "lines": {"begin": one.span.line, "end": one.span.end_line},
            },
        }
        for one, mark in zip(report.findings, marks, strict=True)
        if one.span.file
    ]
    return in_a_log(json.dumps(issues, indent=2)) + "\n"
