"""JUnit's XML, as GitLab and Jenkins read it: a suite a file, a case a finding, and one for a file that passed.

ASCII only, so that the bytes are the same on every terminal: all else is a reference to its character. What XML
cannot hold at all (control characters, surrogates) is in no visible text.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from html import escape  # what XML wants as well; xml.sax.saxutils imports urllib.request

from mlgen.diagnostic import Diagnostic, Severity, sentence, visible
from mlgen.reports.report import Report


def write(report: Report) -> str:
    """The document. An error is a failure; a warning, with which `check` still says yes, is a case skipped."""
    suites = [line for file, found in report.by_file.items() for line in _suite(file, found, report)]
    tests = sum(max(1, len(found)) for found in report.by_file.values())
    head = _element("testsuites", name=f"mlgen {report.verb}", tests=tests, failures=report.errors, errors=0)
    text = "\n".join(['<?xml version="1.0" encoding="UTF-8"?>', f"{head}>", *suites, "</testsuites>", ""])
    return text.encode("ascii", "xmlcharrefreplace").decode()


def _suite(file: str, found: list[Diagnostic], report: Report) -> Iterator[str]:
    name = visible(report.path(file)) or "mlgen"
    failures = sum(one.severity is Severity.ERROR for one in found)
    counts = {"tests": max(1, len(found)), "failures": failures, "errors": 0, "skipped": len(found) - failures}
    yield f"  {_element('testsuite', name=name, **counts)}>"
    if not found:
        yield f"    {_element('testcase', classname=name, name=report.verb)}/>"
    names: Counter[str] = Counter()
    for one in found:
        title = _free(f"{one.code}: {sentence(one.message)}", names)
        yield f"    {_element('testcase', classname=name, name=title)}>"
        kind = "failure" if one.severity is Severity.ERROR else "skipped"
        head = _element(kind, type=one.code, message=f"{_place(one)}{sentence(one.message)}")
        yield f"      {head}>{escape(report.text(one), quote=False)}</{kind}>"
        yield "    </testcase>"
    yield "  </testsuite>"


def _free(title: str, names: Counter[str]) -> str:
    """A name that no case has. GitLab takes one of each, and knows it again in the next pipeline: no line is in it."""
    name = title
    while names[name]:
        names[title] += 1
        name = f"{title} ({names[title]})"
    names[name] += 1
    return name


def _place(one: Diagnostic) -> str:
    return f"{one.span.line}:{one.span.column}: " if one.span.file else ""


def _element(tag: str, /, **attributes: str | int) -> str:
    """The beginning of a tag, without its end."""
    return " ".join([f"<{tag}", *(f'{key}="{escape(str(value))}"' for key, value in attributes.items())])
