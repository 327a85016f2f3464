"""Reports to write, and what each form says of them when it is read back."""

from __future__ import annotations

import json
import re
import xml.etree.ElementTree as ET
from collections.abc import Sequence
from html import unescape
from urllib.parse import unquote_to_bytes

from hypothesis import strategies as st
from markdown_it import MarkdownIt

from mlgen.diagnostic import Diagnostic, Related, Span, sentence, sort
from mlgen.reports.report import Report
from tests.reports.hostile import TEXTS, texts

READER = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"])
COMMAND = re.compile(r"^\s*::([a-zA-Z-]+)(?: (.*?))?::(.*)$")
Told = tuple[str, str, int, str]  # code, file, line, message

SOURCE = "version: 1\nname: a\ntasks:\n  a: {run: echo, in: [::error::x, ##[add-mask]y]}\n  b:\n    run: '@x'\n"


def report(*findings: Diagnostic, files: Sequence[str] = (), sources: dict[str, str] | None = None) -> Report:
    return Report(sort(findings), files, "1.2.3", sources=sources or {}, folder="ml/")


def finding(code: str = "bad-ref", message: str = "wrong", file: str = "pipelines/a.yaml", line: int = 4) -> Diagnostic:
    return Diagnostic(code, message, Span(file, line, 3, line, 6), why="why", fix="fix")


def hostile() -> Report:
    """Each hostile text in each place of a finding, and in the file."""
    found = [
        Diagnostic(
            ("bad-ref", "unused")[i % 2],
            text,
            Span(f"pipelines/{i % 3}{text[:40]}.yaml" if i % 5 else "pipelines/a.yaml", i + 1, 1, i + 1, 5),
            text,
            text,
            (Related(text, Span("pipelines/a.yaml", 2, 1, 3, 2)),),
        )
        for i, text in enumerate(TEXTS)
    ]
    flat = "".join(f"{' '.join(text.splitlines())}\n" for text in TEXTS)
    return report(*found, sources={"pipelines/a.yaml": flat, **{one.span.file: flat for one in found}})


codes = st.sampled_from(["bad-ref", "unused", "unknown-out", "quote-it"])
files = st.sampled_from(["pipelines/a.yaml", "pipelines/b c.yaml", "mlgen.yaml", "", "x,y:z%.yaml"])


@st.composite
def diagnostics(draw: st.DrawFn) -> Diagnostic:
    line, column = draw(st.integers(1, 8)), draw(st.integers(1, 30))
    end = draw(st.integers(line, 9))
    span = Span(draw(files), line, column, end, column + draw(st.integers(0, 5)))
    return Diagnostic(draw(codes), draw(texts), span, draw(texts), draw(texts))


reports = st.lists(diagnostics(), max_size=30).map(lambda found: report(*found, sources={"pipelines/a.yaml": SOURCE}))


def commands(log: str) -> list[tuple[str, dict[str, str], str]]:
    """What GitHub's runner takes out of a log: name, properties, data. Read as ActionCommand.cs does."""
    found = []
    for line in log.split("\n"):
        if (match := COMMAND.match(line)) is not None:
            pairs = (pair.split("=", 1) for pair in (match[2] or "").split(",") if pair)
            found.append((match[1], {key: decoded(value) for key, value in pairs}, decoded(match[3])))
        else:
            assert re.search(r"##\[|##vso\[|##teamcity\[", line) is None, line
    return found


def decoded(text: str) -> str:
    for character in "\r\n:,%":  # in the runner's order: % last
        text = text.replace(f"%{ord(character):02X}", character)
    return text


def of_github(text: str) -> list[Told]:
    told = []
    for name, given, data in commands(text):
        if name != "notice":
            told.append((given["title"][6:], given.get("file", ""), int(given.get("line", 0)), data.split("\n")[0]))
    return told


def of_sarif(text: str) -> list[Told]:
    (run,) = json.loads(text)["runs"]
    told = []
    for result in run["results"]:
        assert run["tool"]["driver"]["rules"][result["ruleIndex"]]["id"] == result["ruleId"]
        place = result["locations"][0]["physicalLocation"] if result["locations"] else None
        file = unquote_to_bytes(place["artifactLocation"]["uri"]).decode(errors="replace") if place else ""
        line = place["region"]["startLine"] if place else 0
        told.append((result["ruleId"], file, line, result["message"]["text"].split("\n")[0]))
    return told


def of_gitlab(text: str) -> list[Told]:
    return [
        (one["check_name"], one["location"]["path"], one["location"]["lines"]["begin"], one["description"])
        for one in json.loads(text)
    ]


def of_junit(text: str) -> list[Told]:
    told = []
    for case in ET.fromstring(text).iter("testcase"):
        for bad in case:
            message = bad.attrib["message"]
            place = re.match(r"(\d+):\d+: ", message)
            file = case.attrib["classname"] if place else ""
            told.append(
                (bad.attrib["type"], file, int(place[1]) if place else 0, message[place.end() if place else 0 :])
            )
    return told


def of_markdown(text: str) -> list[Told]:
    """The heads of the findings in the folds' blocks."""
    told = []
    for token in READER.parse(text):
        if token.type == "fence":
            heads = re.findall(r"^(.*):(\d+):\d+: (?:error|warning)\[([a-z-]+)\]: (.*)$", token.content, re.M)
            told += [
                (code, "" if file == "mlgen" else file, 0 if file == "mlgen" else int(line), message)
                for file, line, code, message in heads
            ]
    return told


def html_of(text: str) -> str:
    """What of a page is no code, with its tags."""
    return unescape(re.sub(r"<(code|pre)\b.*?</\1>", "", READER.render(text), flags=re.S))


def expected(report: Report) -> list[Told]:
    return [
        (
            one.code,
            report.path(one.span.file),
            one.span.line if one.span.file else 0,
            sentence(one.message),
        )
        for one in report.findings
    ]
