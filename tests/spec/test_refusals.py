"""What reading refuses, where, and in which words."""

from __future__ import annotations

import pytest

from mlgen.diagnostic import Span
from mlgen.spec.document import Document, read
from mlgen.spec.reader import MAX_FINDINGS, MAX_VALUES

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
