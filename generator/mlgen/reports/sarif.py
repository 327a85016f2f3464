"""SARIF 2.1.0, which GitHub's code scanning and many viewers read: JSON, ASCII only, no absolute path in it.

Source: docs.oasis-open.org/sarif/sarif/v2.1.0; docs.github.com, "SARIF support for code scanning", for what it shows.
"""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import quote

from mlgen.codes import CODES, WARNINGS
from mlgen.diagnostic import Diagnostic, Span, in_a_log, sentence
from mlgen.reports.fingerprint import fingerprints, line_hashes
from mlgen.reports.report import Report

SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
MOST = 25_000  # results of a run that GitHub takes: of one more it refuses the file
ROOT = "%SRCROOT%"


def write(report: Report) -> str:
    """The log, with one run."""
    rules = sorted({*CODES, *(one.code for one in report.findings)})
    index = {code: i for i, code in enumerate(rules)}
    marks = dict(zip(map(id, report.findings), fingerprints(report), strict=True))
    kept = {id(one) for one in report.worst_first[:MOST]}
    hashes = {file: line_hashes(report.sources[file]) for file in report.by_file if file in report.sources}
    results = [
        _result(one, index[one.code], marks[id(one)], hashes.get(one.span.file, []), report)
        for one in report.findings
        if id(one) in kept
    ]
    driver = {"name": "mlgen", "version": report.version, "semanticVersion": report.version}
    run = {
        "tool": {"driver": {**driver, "rules": [_rule(code, report.manual.get(code, "")) for code in rules]}},
        "automationDetails": {"id": f"mlgen/{report.verb.split()[0]}/{quote(report.folder)}"},
        "columnKind": "unicodeCodePoints",
        "originalUriBaseIds": {ROOT: {"description": {"text": "the root of the repository"}}},
        "invocations": [{"executionSuccessful": True, **_left_out(len(report.findings) - len(results))}],
        "results": results,
    }
    return in_a_log(json.dumps({"$schema": SCHEMA, "version": "2.1.0", "runs": [run]}, indent=1)) + "\n"


def _rule(code: str, page: str) -> dict[str, Any]:
    level = "warning" if code in WARNINGS else "error"
    says = CODES.get(code, code)
    help_text = page or says
    return {
        "id": code,
        "shortDescription": {"text": says},
        "fullDescription": {"text": " ".join(help_text.split("\n\n")[0].split())[:1000]},
        "help": {"text": help_text, "markdown": help_text},
        "defaultConfiguration": {"level": level},
        "properties": {"problem.severity": level},
    }


def _result(one: Diagnostic, rule: int, mark: str, hashes: list[str], report: Report) -> dict[str, Any]:
    told = [one.message, *(f"{word}: {text}" for word, text in (("why", one.why), ("fix", one.fix)) if text)]
    found: dict[str, Any] = {
        "ruleId": one.code,
        "ruleIndex": rule,
        "level": str(one.severity),
        "message": _message("\n".join(map(sentence, told))),
        "locations": [_location(one.span, report)] if one.span.file else [],
        "partialFingerprints": {"mlgen/v1": mark},
    }
    if one.span.line <= len(hashes):
        found["partialFingerprints"]["primaryLocationLineHash"] = hashes[one.span.line - 1]
    if one.related:
        found["relatedLocations"] = [
            {"id": i, **_location(r.span, report), "message": _message(sentence(r.message))}
            for i, r in enumerate(one.related, 1)
        ]
    return found


def _message(text: str) -> dict[str, str]:
    # In a message `[text](target)` is a link, which viewers follow (§3.11.6); not all know of the escape.
    return {"text": text.replace("](", "] (")}


def _location(span: Span, report: Report) -> dict[str, Any]:
    region = {
        "startLine": span.line,
        "startColumn": span.column,
        "endLine": span.end_line,
        "endColumn": span.end_column,
    }
    artifact = {"uri": _uri(report.path(span.file)), "uriBaseId": ROOT}
    return {"physicalLocation": {"artifactLocation": artifact, "region": region}}


def _uri(path: str) -> str:
    # A name that is not UTF-8 by its bytes; what no name of a file can be (a lone surrogate) as what it is.
    try:
        return quote(path.encode(errors="surrogateescape"))
    except UnicodeEncodeError:
        return quote(path.encode(errors="backslashreplace"))


def _left_out(more: int) -> dict[str, Any]:
    if not more:
        return {}
    text = f"{more} findings are left out, as hosts take no more than {MOST} of a run"
    return {"toolExecutionNotifications": [{"level": "warning", "message": {"text": text}}]}
