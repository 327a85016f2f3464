"""Each form of one report, as a file to look at: tests/reports/expected/. MLGEN_ACCEPT=1 writes them anew."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from mlgen.diagnostic import Diagnostic, Related, Span
from mlgen.reports.report import Report
from tests.reports import lab
from tests.reports.test_forms import WRITERS

EXPECTED = Path(__file__).parent / "expected"
SPEC = """\
version: 1
name: churn
params: {epochs: 20}
tasks:
  prepare: {run: echo, out: {rows: dataset}}
  train:
    run: echo
    in: [prepare.row]       # ::error::x ##[add-mask]a @octocat </details>
"""


def sample() -> Report:
    file = "pipelines/churn.yaml"
    return lab.report(
        Diagnostic(
            "unknown-out",
            'task "train" asks "prepare" for "row"',
            Span(file, 8, 10, 8, 21),
            '"prepare" has the outs: rows',
            "write prepare.rows",
            (Related("its outs", Span(file, 5, 24, 5, 44)),),
        ),
        Diagnostic("unused", 'nothing reads the param "epochs"', Span(file, 3, 10, 3, 16), "", "remove it"),
        Diagnostic(
            "name-mismatch",
            "a name with `code`, | pipe, <b>, [link](https://example.com), @octocat\n::error::no",
            Span("pipelines/@a.yaml", 1, 1, 2, 4),
        ),
        files=[file, "pipelines/@a.yaml", "pipelines/fine.yaml"],
        sources={file: SPEC},
    )


@pytest.mark.parametrize("form", WRITERS)
def test_a_report_as_expected(form: str) -> None:
    text = WRITERS[form](sample())
    if form == "sarif":  # its rules are all codes, which come and go with other tests
        answer = json.loads(text)
        driver = answer["runs"][0]["tool"]["driver"]
        driver["rules"] = [rule for rule in driver["rules"] if rule["id"] == "unused"]
        for result in answer["runs"][0]["results"]:
            del result["ruleIndex"]
        text = json.dumps(answer, indent=1) + "\n"
    file = EXPECTED / f"report.{form}"
    if os.environ.get("MLGEN_ACCEPT") == "1":
        EXPECTED.mkdir(exist_ok=True)
        file.write_text(text)
    assert text == file.read_text()
