"""What is the same finding in another version of its file: for hosts that must not tell of an old one as a new one.

Two kinds. Ours follows a finding wherever its lines go, and whatever its neighbours become. GitHub's is the one that
its upload computes where the file lies beside it, and warns of any other: the text from the line on.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Sequence
from itertools import accumulate

from mlgen import canonical
from mlgen.diagnostic import Diagnostic
from mlgen.reports.report import Report

_WINDOW, _BASE, _MODULUS = 100, 37, 1 << 64  # of GitHub's hash: characters, and its polynomial's
_FIRST = pow(_BASE, _WINDOW, _MODULUS)
_END = 0xFFFF  # stands at the end of the file
_LINE = re.compile(r"\b(lines?) [0-9]+")


def fingerprints(report: Report) -> list[str]:
    """One for each finding, in their order: 64 hex digits. No two are alike.

    Made of the code, the file, the keys that the line stands below, the marked text, the message, and a number where
    all that is the same. The lines before, behind and between do not enter.
    """
    above = {file: _above(lines) for file in report.by_file if (lines := report.lines(file)) is not None}
    seen: Counter[str] = Counter()
    out = []
    for one in report.findings:
        lines = report.lines(one.span.file)
        route = above[one.span.file][one.span.line - 1] if lines and one.span.line <= len(lines) else ()
        what = [one.code, report.path(one.span.file), [*route], _marked(one, lines), _LINE.sub(r"\1", one.message)]
        mark = _digest(what)
        seen[mark] += 1
        out.append(mark if seen[mark] == 1 else _digest([mark, seen[mark]]))
    return out


def _digest(what: Sequence[object]) -> str:
    # Not `canonical.digest`: a text may hold surrogates, which only ASCII can tell of.
    return canonical.digest_bytes(json.dumps(what).encode()).removeprefix("sha256:")


def _marked(one: Diagnostic, lines: Sequence[str] | None) -> str:
    """The text that the finding points at, of its first line; "" where it may hold a secret."""
    span = one.span
    if lines is None or one.secret or span.line > len(lines):
        return ""
    line = lines[span.line - 1]
    return line[span.column - 1 : span.end_column - 1 if span.end_line == span.line else None].strip()


def _above(lines: Sequence[str]) -> list[tuple[str, ...]]:
    """For each line the keys that it stands below, outermost first, by indentation: no YAML need be readable for it."""
    out: list[tuple[str, ...]] = []
    stack: list[tuple[int, str]] = []
    for line in lines:
        bare = line.lstrip(" ")
        indent = len(line) - len(bare)
        if bare and not bare.startswith("#"):
            while stack and stack[-1][0] >= indent:
                stack.pop()
        out.append(tuple(key for at, key in stack if at < indent))
        if bare and not bare.startswith("#"):
            stack.append((indent, bare.partition(":")[0].rstrip()))
    return out


def line_hashes(text: str) -> list[str]:
    """GitHub's `primaryLocationLineHash` of each line of a file, and of the empty one behind a last newline.

    A rolling hash of the 100 UTF-16 units from the line's start, without spaces and tabs, line ends as \\n; then the
    number of lines so far that have it. Source: github.com/github/codeql-action, src/fingerprints.ts.
    """
    units: list[int] = []
    starts: list[int] = []
    after_return, at_start = False, True
    encoded = text.encode("utf-16-le", "surrogatepass")
    for i in range(0, len(encoded) + 2, 2):
        unit = int.from_bytes(encoded[i : i + 2], "little") if i < len(encoded) else _END
        if unit in (0x20, 0x09) or (after_return and unit == 0x0A):
            after_return = False
            continue
        after_return = unit == 0x0D
        unit = 0x0A if after_return else unit
        if at_start:
            starts.append(len(units))
        at_start = unit == 0x0A
        units.append(unit)
    units += [0] * _WINDOW
    sums = list(accumulate(units, lambda total, unit: (total * _BASE + unit) % _MODULUS, initial=0))
    seen: Counter[str] = Counter()
    out = []
    for start in starts:
        value = f"{(sums[start + _WINDOW] - sums[start] * _FIRST) % _MODULUS:x}"
        seen[value] += 1
        out.append(f"{value}:{seen[value]}")
    return out
