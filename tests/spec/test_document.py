"""Reading YAML: what is refused and where, what values become, where each value stands."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlgen.diagnostic import CODES, Diagnostic, Span, to_text
from mlgen.spec.document import Document, read
from mlgen.spec.reader import MAX_FINDINGS, MAX_VALUES, Route

# (bytes of a file, the code and place of each finding)
REFUSED: list[tuple[bytes, list[str]]] = [
    # whole files
    (b"", ["1:1 missing-key"]),
    (b"# nothing\n", ["1:1 missing-key"]),
    (b"---\n...\n", ["1:1 missing-key"]),
    (b"null\n", ["1:1 missing-key"]),
    (b"a: " + b"x" * (1 << 20), ["1:1 too-large"]),
    (b"[" + b"a," * (MAX_VALUES + 1) + b"]", [f"1:{2 * MAX_VALUES} too-large"]),
    (b"a: 1\nb: \xff\n", ["2:4 not-utf8"]),
    (b"a: \xc3\xa9\xc3\xa9\xc3(\n", ["1:6 not-utf8"]),
    ("a: 1\n".encode("utf-16"), ["1:1 not-utf8"]),
    (b"a: \xed\xa0\x80\n", ["1:4 not-utf8"]),
    (b"a: 1\nb: x\x07y\n", ["2:5 yaml-syntax"]),
    (b"a: x\x00y\n", ["1:5 yaml-syntax"]),
    ("a: x\x85b: 1\n".encode(), ["1:5 yaml-syntax"]),
    ("a: x\u2028\n".encode(), ["1:5 yaml-syntax"]),
    ("a: x\ufeff\n".encode(), ["1:5 yaml-syntax"]),
    (b"a: 1\n---\nb: 2\n", ["2:1 second-document"]),
    (b"a: 1\n...\n# more\n--- \n", ["4:1 second-document"]),
    (b"a: 1\n...\n%TAG ! x\n--- \n", ["3:1 second-document"]),
    (b"{a: 1}\nb: 2\n", ["2:1 yaml-syntax"]),
    (b"%YAML 1.1\n---\na: 1\n", ["1:1 yaml-syntax"]),
    (b"# x\n%TAG !e! x\n---\na: !e!b 1\n", ["2:1 yaml-tag"]),
    # depth
    (b"a: " + b"[" * 63 + b"]" * 63, []),
    (b"a: " + b"[" * 64 + b"]" * 64, ["1:67 too-deep"]),
    (b"- " * 65 + b"x", ["1:129 too-deep"]),
    # quotes and brackets
    (b"a: 1\nb: 'x\nc: 2\n", ["2:4 yaml-syntax"]),
    (b'a: "x\nb: "y"\n', ["1:4 yaml-syntax"]),
    (b"a:\n  - 'it\n  - it's\n", ["2:5 yaml-syntax"]),
    (b'x: ["a, b]\nout: {m: "model"}\n', ["1:5 yaml-syntax"]),
    (b"a: 'x\n---\n'\n", ["1:4 yaml-syntax"]),
    (b"a: [1, 2\nb: 3\n", ["1:4 yaml-syntax"]),
    (b"a: [1, 2", ["1:4 yaml-syntax"]),
    (b"a: {b: 1\nc: 2\n", ["1:4 yaml-syntax"]),
    (b"a: [b c: d: e]\n", ["1:11 yaml-syntax"]),
    (b"a: [b]]\n", ["1:7 yaml-syntax"]),
    (b"a: [,]\n", ["1:5 yaml-syntax"]),
    (b"a: 'it's'\n", ["1:8 yaml-syntax"]),
    # lines
    (b"a:\n\tb: 1\n", ["2:1 yaml-syntax"]),
    (b"a: |\n\tx\n", ["2:1 yaml-syntax"]),
    (b"a: b: c\n", ["1:5 yaml-syntax"]),
    (b"a: 1\n  b: 2\n", ["2:4 yaml-syntax"]),
    (b"key:value\nb: 1\n", ["2:2 yaml-syntax"]),
    (b"a: 1\nfoo bar\nb: 2\n", ["2:1 yaml-syntax"]),
    (b"a:\n   b: 1\n  c: 2\n", ["3:3 yaml-syntax"]),
    (b"- a\nb: 1\n", ["2:1 yaml-syntax"]),
    (b"a: - b\n", ["1:4 yaml-syntax"]),
    (b"a: ? b\n", ["1:4 yaml-syntax"]),
    (b"a: @x\n", ["1:4 yaml-syntax"]),
    (b"a: *.py\n", ["1:4 yaml-syntax"]),
    (b'a: "\\d"\n', ["1:5 yaml-syntax"]),
    (b'a: "\\ud800"\n', ["1:7 yaml-syntax"]),
    # keys
    (b"a: 1\nb: 2\na: 3\n", ["3:1 duplicate-key"]),
    (b"a: 1\n'a': 2\na: 3\n", ["2:1 duplicate-key", "3:1 duplicate-key"]),
    (b"x: {b: 1, b: 2}\n", ["1:11 duplicate-key"]),
    (b"[a]: 1\n", ["1:1 bad-key"]),
    (b"? {a: 1}\n: 1\n", ["1:3 bad-key"]),
    (b"x: {: 1}\n", ["1:5 yaml-syntax"]),
    (b"x:\n  ?\n  : 1\n", ["2:4 bad-key"]),
    (b'"a\\0b": 1\n', ["1:1 bad-key"]),
    # what YAML has and specs have not
    (b"a: !!python/object:os.system x\n", ["1:4 yaml-tag"]),
    (b"a: !x {b: 1}\n", ["1:4 yaml-tag"]),
    (b"a: !e!x 1\n", ["1:4 yaml-tag"]),
    (b"a: &x 1\nb: *x\n", ["1:4 yaml-alias", "2:4 yaml-alias"]),
    (b"a: 1\n<<: *x\n", ["2:1 yaml-alias"]),
    (b"a: {<<: [*x, *y], b: 1}\n", ["1:5 yaml-alias"]),
    (b"*x : 1\n", ["1:1 yaml-alias"]),
    # values
    (b"a: 9007199254740992\n", ["1:4 number-range"]),
    (b"a: -9007199254740992\n", ["1:4 number-range"]),
    (b"a: 0xffffffffffffffff\n", ["1:4 number-range"]),
    (b"a: " + b"9" * 5000 + b"\n", ["1:4 number-range"]),
    (b"a: [.nan, -.INF, 1e999]\n", ["1:5 number-range", "1:11 number-range", "1:18 number-range"]),
    (b'a: "x\\0"\n', ["1:4 bad-value"]),
    (b"a: yes # said so\nb: 010\n", ["1:4 quote-it", "2:4 quote-it"]),
    # findings before an error that ends the reading are kept
    (b"a: 1\na: no\nb: [\n", ["2:1 duplicate-key", "2:4 quote-it", "3:5 yaml-syntax"]),
]


def places(document: Document) -> list[str]:
    return [f"{d.span.line}:{d.span.column} {d.code}" for d in document.diagnostics]


@pytest.mark.parametrize(("data", "expected"), REFUSED, ids=lambda v: repr(v)[:40] if isinstance(v, bytes) else "")
def test_each_refusal_has_its_place(data: bytes, expected: list[str]) -> None:
    document = read("pipelines/x.yaml", data)
    assert places(document) == expected
    assert all(d.message and (d.why or d.fix) for d in document.diagnostics)


@pytest.mark.parametrize("word", ["y", "n", "yes", "no", "on", "off"])
def test_words_that_are_booleans_to_some_are_quoted_in_any_case(word: str) -> None:
    for text in {word, word.upper(), word.title(), word[:-1] + word[-1].upper()}:
        document = read("x.yaml", f"a: {text}\nb: '{text}'\n{text}: x\nc: {text} x\n".encode())
        assert places(document) == ["1:4 quote-it"]
        assert document.data == {"a": None, "b": text, text: "x", "c": f"{text} x"}


@pytest.mark.parametrize(
    "text",
    ["00", "007", "0755", "-01", "+08", "01.5", "0123e4", "1:30", "12:30:45", "-1:5", "1:30.5", "1_000", "1_", "1_0.5"],
)
def test_numbers_that_readers_read_differently_are_quoted(text: str) -> None:
    document = read("x.yaml", f"a: [{text}]\nb: '{text}'\n{text}: x\n".encode())
    assert places(document) == ["1:5 quote-it"]
    assert document.data == {"a": [None], "b": text, text: "x"}
    assert document.refused == {("a", 0)}


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


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a:\n\tb: 1\n", "a tab where YAML wants spaces"),
        ("a: `x`\n", "a value cannot begin with `"),
        ("a: *.py\n", "a value cannot begin with *"),
        ("a: 'x\n", "the quote ' that opens here is not closed"),
        ("a: 'x\nb: 'y'\n", "the quote ' that opens here is closed only on line 2"),
        ("a: 'it's'\n", "text follows a closed quote"),
        ("a: b: c\n", "a second colon in an unquoted value"),
        ("a:b\nc: d\n", "a colon inside a text of several lines"),
        ("a: 1\nb\nc: 1\n", "this line has no colon"),
        ("a: {b: 1\n", "the { that opens here is not closed"),
        ("a: [b c: d: e]\n", "a comma or ] is missing here"),
        ("a: b]\nc: {d: e}}\n", "a bracket is closed that was not opened"),
        ("- a\nb: 1\n", "this line is no item of the list above it"),
        ("a:\n   b: 1\n  c: 2\n", "this does not belong to the map around it"),
        ("a: !<x\n", "this is not YAML"),
    ],
)
def test_syntax_is_told_in_words_of_the_file(text: str, message: str) -> None:
    assert [d.message for d in read("x.yaml", text.encode()).diagnostics] == [message]


def test_a_byte_order_mark_is_no_part_of_the_text() -> None:
    document = read("x.yaml", b"\xef\xbb\xbfa: no\n")
    assert places(document) == ["1:4 quote-it"]
    assert document.lines == ("a: no",)


def test_a_refused_map_is_not_judged_by_what_it_lacks() -> None:
    document = read("x.yaml", b"tasks:\n  a: {<<: *base}\n  b: {c: *x}\n")
    assert document.data == {"tasks": {"a": {}, "b": {"c": None}}}
    assert document.refused == {("tasks", "a"), ("tasks", "b", "c")}


def test_duplicate_key_names_the_first_and_keeps_it() -> None:
    document = read("x.yaml", b"a: 1\nb: 2\na: 3\n")
    assert document.data == {"a": 1, "b": 2}
    assert [r.span for r in document.diagnostics[0].related] == [Span("x.yaml", 1, 1, 1, 2)]


def test_findings_of_one_file_end_somewhere() -> None:
    document = read("x.yaml", b"- no\n" * 1000)
    assert len(document.diagnostics) == MAX_FINDINGS + 1
    assert document.diagnostics[-1].code == "too-many-findings"
    assert document.data is None


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
        (("note",), "text", ">-\n      folded\n      text"),  # lines were folded: the whole text
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
