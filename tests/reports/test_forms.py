"""Every form, read back by a parser of it: valid, with every finding, and no text of a spec is more than text."""

from __future__ import annotations

import json
import re
import xml.etree.ElementTree as ET
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import xmlschema
from hypothesis import HealthCheck, given, settings
from jsonschema import Draft4Validator

from mlgen.cli import reporting
from mlgen.codes import CODES
from mlgen.diagnostic import Diagnostic, Related, Span, in_a_log, visible
from mlgen.reports import comment, github, gitlab, junit, sarif
from mlgen.reports.report import Report
from tests.reports import lab
from tests.reports.hostile import texts

DATA = Path(__file__).parents[1] / "data"
SARIF = Draft4Validator(json.loads((DATA / "sarif/sarif-2.1.0-rtm.5.json").read_text()))
JUNIT = xmlschema.XMLSchema(DATA / "junit/junit-10.xsd")
WRITERS = {str(form): reporting.writer(form) for form in reporting.ReportForm}
READERS: dict[str, Callable[[str], list[lab.Told]]] = {
    "github": lab.of_github,
    "sarif": lab.of_sarif,
    "junit": lab.of_junit,
    "gitlab": lab.of_gitlab,
    "markdown": lab.of_markdown,
}
slow = settings(suppress_health_check=[HealthCheck.too_slow], deadline=None, max_examples=60)


def plainly(told: list[lab.Told]) -> list[lab.Told]:
    return sorted((code, visible(file), line, message) for code, file, line, message in told)


@pytest.mark.parametrize("form", READERS)
@slow
@given(report=lab.reports)
def test_a_form_read_back_has_the_same_findings(form: str, report: Report) -> None:
    told = READERS[form](WRITERS[form](report))
    wanted = plainly(lab.expected(report))
    if form == "gitlab":
        wanted = [one for one in wanted if one[1]]
    if form == "sarif":
        wanted = [(*one[:3], one[3].replace("](", "] (")) for one in wanted]
    if form == "github":
        assert len(told) == min(10, report.errors) + min(10, report.warnings)
        assert set(plainly(told)) <= set(wanted)
    else:
        assert plainly(told) == sorted(wanted)


@pytest.mark.parametrize("form", WRITERS)
def test_an_empty_report(form: str) -> None:
    text = WRITERS[form](lab.report(files=["pipelines/a.yaml"]))
    assert text.endswith("\n")
    if form in READERS:
        assert READERS[form](text) == []
    if form in ("text", "github", "markdown"):
        assert "1 spec checked: nothing to mend" in text
    assert WRITERS[form](lab.report()).endswith("\n")  # nothing was read at all


@pytest.mark.parametrize("form", WRITERS)
def test_all_that_is_written_is_visible(form: str) -> None:
    text = WRITERS[form](lab.hostile())
    odd = {c for c in text if c != "\n" and visible(c) != c}
    assert odd == set()
    if form in ("json", "sarif", "junit", "gitlab"):
        assert text.isascii()
    assert WRITERS[form](lab.hostile()) == text


def test_only_we_command_the_runner() -> None:
    found = lab.commands(github.write(lab.hostile()))
    assert [name for name, _, _ in found] == ["error"] * 10 + ["warning"] * 10 + ["notice"]
    for name, given_, _ in found[:-1]:
        assert name in ("error", "warning")
        assert set(given_) <= {"title", "file", "line", "endLine", "col", "endColumn"}
        assert given_["title"] in ("mlgen bad-ref", "mlgen unused")
    assert found[-1][2].startswith(f"{len(lab.hostile().findings) - 20} more")


@pytest.mark.parametrize("form", WRITERS)
@slow
@given(text=texts)
def test_no_line_of_any_form_commands_a_runner(form: str, text: str) -> None:
    one = Diagnostic(
        "bad-ref", text, Span(text or "x", 1, 1, 1, 2), text, text, (Related(text, Span(text, 1, 1, 1, 2)),)
    )
    found = lab.commands(WRITERS[form](Report([one], [text], "1", sources={text: text})))
    assert [name for name, _, _ in found] == (["error"] if form == "github" else [])


@given(text=texts)
def test_json_in_a_log_says_the_same(text: str) -> None:
    line = in_a_log(json.dumps([text], ensure_ascii=False))
    assert json.loads(line) == [text]
    assert lab.commands(line.replace("\n", "")) == []


def test_at_most_ten_of_each_and_the_worst_first() -> None:
    found = [lab.finding("unused", f"w{i}", line=i + 1) for i in range(12)]
    found += [lab.finding("bad-ref", f"e{i}", line=i + 100) for i in range(15)]
    log = github.write(lab.report(*found))
    told = lab.of_github(log)
    assert [one[3] for one in told] == [f"e{i}" for i in range(10)] + [f"w{i}" for i in range(10)]
    assert lab.commands(log)[-1][2] == "7 more in the log of this step: GitHub shows 10 errors and 10 warnings"
    assert log.count("more mlgen explain") == 27
    assert log.endswith("0 specs checked: 15 errors, 12 warnings\n")


def test_the_runner_is_told_no_columns_of_several_lines() -> None:
    over = Diagnostic("bad-ref", "m", Span("a.yaml", 2, 3, 4, 1))
    ((_, given_, data),) = lab.commands(github.write(lab.report(over)))
    assert given_ == {"title": "mlgen bad-ref", "file": "ml/a.yaml", "line": "2", "endLine": "4"}
    assert data == "m"


@settings(slow, max_examples=25)  # the schema is large
@given(report=lab.reports)
def test_sarif_is_valid(report: Report) -> None:
    text = sarif.write(report)
    SARIF.validate(json.loads(text))
    for uri in re.findall(r'"uri": "([^"]*)"', text):
        assert re.fullmatch(r"[A-Za-z0-9._~/%-]+", uri)
        assert not uri.startswith("/")


@slow
@given(report=lab.reports)
def test_places_are_whole(report: Report) -> None:
    spans = [one.span for one in report.findings]
    (run,) = json.loads(sarif.write(report))["runs"]
    regions = [
        tuple(one["locations"][0]["physicalLocation"]["region"].values()) for one in run["results"] if one["locations"]
    ]
    assert regions == [(s.line, s.column, s.end_line, s.end_column) for s in spans if s.file]
    told = {
        (one["line"], one["endLine"], one.get("col"), one.get("endColumn"))
        for name, one, _ in lab.commands(github.write(report))
        if "file" in one
    }
    single = {
        (str(s.line), str(s.end_line), *((str(s.column), str(s.end_column)) if s.line == s.end_line else (None, None)))
        for s in spans
    }
    assert told <= single
    marks = [one["fingerprint"] for one in json.loads(gitlab.write(report))]
    assert len(set(marks)) == len(marks)


def test_sarif_of_the_hostile_is_valid_and_has_no_link() -> None:
    answer = json.loads(sarif.write(lab.hostile()))
    SARIF.validate(answer)
    (run,) = answer["runs"]
    assert run["columnKind"] == "unicodeCodePoints"
    assert run["automationDetails"]["id"] == "mlgen/check/ml/"
    assert run["originalUriBaseIds"].keys() == {"%SRCROOT%"}
    messages = [r["message"]["text"] for one in run["results"] for r in [one, *one["relatedLocations"]]]
    assert not [text for text in messages if "](" in text]
    assert {one["id"] for one in run["tool"]["driver"]["rules"]} == CODES.keys()


def test_sarif_takes_what_a_host_takes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sarif, "MOST", 200)
    found = [lab.finding("unused", f"w{i}", line=i + 1) for i in range(sarif.MOST)]
    answer = json.loads(sarif.write(lab.report(*found, lab.finding("bad-ref", line=sarif.MOST + 9))))
    (run,) = answer["runs"]
    assert len(run["results"]) == sarif.MOST
    assert run["results"][-1]["ruleId"] == "bad-ref"
    (note,) = run["invocations"][0]["toolExecutionNotifications"]
    assert note["message"]["text"].startswith("1 findings are left out")
    SARIF.validate({**answer, "runs": [{**run, "results": run["results"][-5:]}]})


@slow
@given(report=lab.reports)
def test_junit_is_what_jenkins_reads(report: Report) -> None:
    root = ET.fromstring(junit.write(report))
    JUNIT.validate(root)
    assert int(root.attrib["failures"]) == len(list(root.iter("failure"))) == report.errors
    assert int(root.attrib["tests"]) == len(list(root.iter("testcase")))
    names = [(case.attrib["classname"], case.attrib["name"]) for case in root.iter("testcase")]
    assert len(set(names)) == len(names)  # GitLab takes the first of a name


def test_names_of_cases_are_free_whatever_messages_say() -> None:
    found = [lab.finding(message=text, line=i + 1) for i, text in enumerate(["a", "a (2)", "a", "a (2)"])]
    root = ET.fromstring(junit.write(lab.report(*found)))
    assert len({case.attrib["name"] for case in root.iter("testcase")}) == 4


def test_junit_says_what_passed_and_what_is_a_warning() -> None:
    found = lab.report(lab.finding("unused"), files=["pipelines/a.yaml", "pipelines/b.yaml"])
    suites = {suite.attrib["name"]: suite for suite in ET.fromstring(junit.write(found)).iter("testsuite")}
    assert {name: [s.tag for case in suite for s in case] for name, suite in suites.items()} == {
        "ml/pipelines/a.yaml": ["skipped"],
        "ml/pipelines/b.yaml": [],
    }
    assert suites["ml/pipelines/b.yaml"].attrib["tests"] == "1"


def test_no_text_of_a_spec_is_more_than_code_in_markdown() -> None:
    page = comment.write(lab.hostile())
    assert len(page) <= 65_536
    outside = lab.html_of(page)
    tags = set(re.findall(r"</?([a-z0-9]+)", outside))
    assert tags == {"h3", "p", "table", "thead", "tbody", "tr", "th", "td", "details", "summary"}
    told = set(re.sub(r"<[^>]*>", " ", outside).split())
    ours = "mlgen check 0 specs checked: errors, warnings. finding findings of are left out here: tells all."
    assert {word for word in told if not re.fullmatch(r"[0-9,]+", word)} <= set(ours.split())


@pytest.mark.parametrize("limit", [2_000, 5_000, 20_000, 65_536])
def test_a_comment_keeps_to_its_limit_by_whole_findings(limit: int) -> None:
    found = [
        lab.finding(message=f"m{i} " + "`" * (i % 70), file=f"pipelines/{i % 40}.yaml", line=i + 1) for i in range(900)
    ]
    found += [lab.finding("unused", "\U0010ffff" * 500, file="a" * 4000, line=i) for i in range(1, 60)]
    page = comment.write(lab.report(*found), limit)
    told = lab.of_markdown(page)
    table = 2_000 * 10
    assert len(page) <= max(limit, table)
    assert page.count("<details>") == page.count("</details>")
    left = re.search(r"\n([\d,]+) of 959 findings are left out here", page)
    assert left is not None
    assert int(left[1].replace(",", "")) + len(told) == 959
    assert page.endswith("`mlgen check` tells all.\n")


def test_what_would_not_fit_by_its_table_alone_fits() -> None:
    found = [lab.finding("unused", "\U0010ffff" * 500, file="`" * 4000, line=i) for i in range(1, 60)]
    assert len(comment.write(lab.report(*found))) <= 65_536


@pytest.mark.parametrize("form", WRITERS)
def test_ten_thousand_findings(form: str) -> None:
    found = [lab.finding(message=f"m{i}", file=f"pipelines/{i % 100}.yaml", line=i % 6 + 1) for i in range(10_000)]
    report = lab.report(*found, sources={f"pipelines/{i}.yaml": lab.SOURCE for i in range(100)})
    text = WRITERS[form](report)
    if form in ("sarif", "junit", "gitlab"):
        assert len(READERS[form](text)) == 10_000
    assert form != "markdown" or len(text) <= 65_536


def test_a_finding_without_a_place() -> None:
    nowhere = lab.report(Diagnostic("bad-ref", "lost", Span("", 1, 1, 1, 1)))
    assert "file=" not in github.write(nowhere)
    answer: dict[str, Any] = json.loads(sarif.write(nowhere))
    SARIF.validate(answer)
    assert answer["runs"][0]["results"][0]["locations"] == []
    assert json.loads(gitlab.write(nowhere)) == []
    assert lab.of_junit(junit.write(nowhere)) == [("bad-ref", "", 0, "lost")]
    assert "`lost`" in comment.write(nowhere)


def test_lines_that_may_hold_a_secret_are_not_shown() -> None:
    one = Diagnostic("bad-ref", "m", Span("a.yaml", 1, 1, 1, 9), secret=True)
    report = lab.report(one, sources={"a.yaml": "swordfish"})
    for write in WRITERS.values():
        assert "swordfish" not in write(report)
