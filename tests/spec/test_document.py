"""Reading YAML: what values become, and where each stands."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlgen.codes import CODES
from mlgen.diagnostic import Diagnostic, Span, to_text
from mlgen.spec.document import Document, read
from mlgen.spec.reader import Route


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("", None), ("~", None), ("null", None), ("NULL", None), ("nUll", "nUll"),
        ("true", True), ("False", False), ("TRUE", True), ("tRue", "tRue"),
        ("0", 0), ("-0", 0), ("12", 12), ("+7", 7), ("0o17", 15), ("0x1F", 31), ("9007199254740991", 2**53 - 1),
        ("1e-3", 0.001), ("1e5", 100000.0), (".5", 0.5), ("1.", 1.0), ("-1.5E+2", -150.0), ("0.5", 0.5),
        ("1e-999", 0.0), ("nan", "nan"), ("inf", "inf"), ("2026-10-01", "2026-10-01"), ("1.2.3", "1.2.3"),
        ("0b1", "0b1"), ("1e", "1e"), ("99:99", "99:99"), ("_1", "_1"), ("1-2", "1-2"), ("a100:2", "a100:2"),
        ("=", "="), ("a #b", "a"), ("0o8", "0o8"), ("٣", "٣"), ("x\n  y", "x y"),
        ("|\n  x\n  y\n", "x\ny\n"), (">-\n  x\n  y\n", "x y"),
        ('"\\u00e9\\n\\x41"', "é\nA"), ("'it''s'", "it's"), ("[a, [1], {b: no no}]", ["a", [1], {"b": "no no"}]),
    ],
)  # fmt: skip
def test_plain_values_are_those_of_yaml_1_2(text: str, value: object) -> None:
    document = read("x.yaml", f"a: {text}\n".encode())
    assert document.diagnostics == ()
    assert isinstance(document.data, dict)
    found = document.data["a"]
    assert (found, type(found)) == (value, type(value))


def test_a_byte_order_mark_is_no_part_of_the_text() -> None:
    document = read("x.yaml", b"\xef\xbb\xbfa: no\n")
    assert [str(d.span) for d in document.diagnostics] == ["x.yaml:1:4"]
    assert document.lines == ("a: no",)


SPEC = """\
# a comment
version: 1
tasks:
  train:
    run: |
      python train.py

      echo $(params.x)
    in: [prepare.a,  'params.b', "x.\\"y", 'it''s b']
    if: "train.auc >= 1.0e-3 and params.t != \\"none\\""
    cpu:    1.50   # cores
    note: >-
      folded
      text
    empty:
  last: {a: 1}
"""


def cut(document: Document, span: Span) -> str:
    lines = "\n".join(document.lines) + "\n"
    starts = [0]
    for line in document.lines:
        starts.append(starts[-1] + len(line) + 1)
    return lines[starts[span.line - 1] + span.column - 1 : starts[span.end_line - 1] + span.end_column - 1]


@pytest.mark.parametrize("line_end", ["\n", "\r\n", "\r"])
def test_places(line_end: str) -> None:
    document = read("x.yaml", SPEC.replace("\n", line_end).encode())
    train: Route = ("tasks", "train")
    assert document.diagnostics == ()
    assert str(document.key_span(())) == "x.yaml:1:1"
    assert cut(document, document.key_span(())) == "# a comment"
    assert document.span(()).line == 2
    assert document.span(()).end_line == 16
    assert cut(document, document.key_span(train)) == "train"
    assert cut(document, document.span(train)).endswith("empty:")
    assert cut(document, document.span((*train, "in", 1))) == "'params.b'"
    assert document.key_span((*train, "in", 1)) == document.span((*train, "in", 1))
    assert cut(document, document.span((*train, "in"))) == """[prepare.a,  'params.b', "x.\\"y", 'it''s b']"""
    assert cut(document, document.span((*train, "run"))).endswith("echo $(params.x)")
    assert cut(document, document.span((*train, "note"))).endswith("text")
    assert cut(document, document.key_span((*train, "empty"))) == "empty"
    assert cut(document, document.span(("tasks", "last"))) == "{a: 1}"
    assert document.text((*train, "cpu")) == "1.50"
    assert document.text((*train, "in", 1)) == "params.b"
    assert document.text((*train, "run")) == "python train.py\n\necho $(params.x)\n"


@pytest.mark.parametrize(
    ("route", "part", "written"),
    [
        (("in", 0), "a", "a"),
        (("in", 1), "params", "params"),
        (("in", 2), '"y', '\\"y'),
        (("in", 3), "b", "b"),
        (("in", 3), "'s", "''s"),
        (("if",), "params.t", "params.t"),
        (("if",), '"none"', '\\"none\\"'),
        (("cpu",), "50", "50"),
        (("run",), "$(params.x)", "$(params.x)"),
        (("note",), "text", "text"),
    ],
)
def test_places_inside_a_text(route: Route, part: str, written: str) -> None:
    document = read("x.yaml", SPEC.encode())
    route = ("tasks", "train", *route)
    text = document.text(route)
    start = text.rindex(part)
    assert cut(document, document.inner_span(route, start, start + len(part))) == written


def test_places_of_what_is_not_there_are_those_of_what_is_around_it() -> None:
    document = read("x.yaml", SPEC.encode())
    assert document.key_span(("tasks", "train", "out", "model")) == document.key_span(("tasks", "train"))
    assert document.span(("tasks", "train", "in", 7)) == document.span(("tasks", "train", "in"))
    assert document.span(("tasks", "train", "cpu", "x")) == document.span(("tasks", "train", "cpu"))
    assert read("x.yaml", b"").span(("a",)) == Span("x.yaml", 1, 1, 1, 1)


def in_file(document: Document, found: Diagnostic) -> bool:
    span, lines = found.span, document.lines or [""]
    start, end = (span.line, span.column), (span.end_line, span.end_column)
    return (1, 1) <= start <= end and span.end_line <= len(lines) and span.column <= len(lines[span.line - 1]) + 1


@given(
    st.one_of(
        st.binary(max_size=60),
        st.text("ab1:-?[]{},#&*!|>'\"%@` \t\r\n\\.~<=0_e\x85\ufeffé😀", max_size=60).map(str.encode),
    )
)
@settings(max_examples=300, deadline=None)
def test_any_bytes_end_in_data_or_findings(data: bytes) -> None:
    document = read("x.yaml", data)
    assert document.data is not None or document.diagnostics
    for found in document.diagnostics:
        assert found.code in CODES
        assert in_file(document, found)
        assert to_text(found, document.lines)


PRINTABLE = st.text(
    st.characters(exclude_categories=["Cs", "Cc", "Cn"], exclude_characters="\u2028\u2029\ufeff"), max_size=6
)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | st.floats(allow_nan=False, allow_infinity=False)
    | PRINTABLE,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(PRINTABLE, inner, max_size=3),
    max_leaves=12,
)  # fmt: skip


def routes(value: Any, route: Route = ()) -> list[Route]:
    children = enumerate(value) if isinstance(value, list) else value.items() if isinstance(value, dict) else ()
    return [route, *(r for key, child in children for r in routes(child, (*route, key)))]


@given(VALUES, st.sampled_from([None, 2]))
@settings(max_examples=150, deadline=None)
def test_each_value_stands_where_its_place_says(value: Any, indent: int | None) -> None:
    document = read("x.yaml", json.dumps({"root": value}, ensure_ascii=False, indent=indent).encode())
    assert document.diagnostics == ()
    assert document.data == {"root": value}
    for route in routes(value, ("root",)):
        here: Any = document.data
        for part in route:
            here = here[part]
        assert json.loads(cut(document, document.span(route))) == here
        if isinstance(route[-1], str):
            assert json.loads(cut(document, document.key_span(route))) == route[-1]


FOLDED = """\
block: >-
  one two
  three

  four
plain: one  two
  three four
single: 'it''s one
  three'
double: "one two
  three"
deeper: >
  one
    two
  three
"""


@pytest.mark.parametrize("key", ["block", "plain", "single", "double", "deeper"])
@pytest.mark.parametrize("line_end", ["\n", "\r\n"])
def test_places_in_lines_that_were_joined(key: str, line_end: str) -> None:
    document = read("x.yaml", FOLDED.replace("\n", line_end).encode())
    text = document.text((key,))
    for word in ("one", "two", "three", "four"):
        start = text.find(word)
        if start >= 0:
            assert cut(document, document.inner_span((key,), start, start + len(word))) == word


def test_a_place_that_is_not_certain_is_the_whole_text() -> None:
    document = read("x.yaml", b'a: "b\\tc\n  d"\n')
    assert cut(document, document.inner_span(("a",), 4, 5)) == '"b\\tc\n  d"'
