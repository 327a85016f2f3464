"""Edits that mend a finding, where what to write is certain enough to be offered."""

from __future__ import annotations

import re

from mlgen.diagnostic import Diagnostic
from mlgen.editor.rename import Edit
from mlgen.spec.document import Document

# Codes whose `fix` says what to write in place of what the finding points at.
GUESSED = frozenset(
    ["unknown-key", "unknown-out", "unknown-param", "unknown-input", "unknown-task", "unknown-in", "bad-value"]
)
_WRITE = re.compile(r"write ([A-Za-z0-9_.-]+)(?=$|, or |: )")


def mending(document: Document, finding: Diagnostic) -> tuple[str, Edit] | None:
    """What to call the mending of a finding, and the edit; None where people must decide."""
    span = finding.span
    if span.file != document.file or span.line != span.end_line or finding.secret:
        return None
    line = document.lines[span.line - 1] if span.line <= len(document.lines) else ""
    there = line[span.column - 1 : span.end_column - 1]
    if finding.code == "quote-it" and there and not re.search(r"[\"\\]", there):
        return f'Quote it: "{there}"', Edit(span, f'"{there}"')
    match = _WRITE.match(finding.fix) if finding.code in GUESSED else None
    if match and re.fullmatch(r"[A-Za-z0-9_.-]+", there):
        return f"Write {match[1]}", Edit(span, match[1])
    return None
