"""Gates: read, printed, typed, evaluated."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlgen.gates import (
    And,
    Compare,
    Gate,
    GateError,
    In,
    Literal,
    Not,
    Or,
    Ref,
    check_types,
    conjuncts,
    evaluate,
    operands,
    parse_gate,
    refs,
    to_text,
)
from mlgen.values import Type

NUMBERS = st.integers(-3, 3) | st.sampled_from([0.5, -1.5, 1e-7, 1e22, 2.0])
TEXTS = st.sampled_from(["", "a", "b", "prod", 'say "hi"', "back\\slash", "é\n", "and", "params.x", "]"])
REFS = {
    Type.NUMBER: [Ref("params", "n"), Ref("train", "auc"), Ref("fit-2", "loss")],
    Type.STRING: [Ref("params", "s"), Ref("train", "name")],
    Type.BOOLEAN: [Ref("params", "b"), Ref("check", "ok")],
}
TYPES = {ref.key: type_ for type_, found in REFS.items() for ref in found}
VALUES: dict[Type, st.SearchStrategy[object]] = {
    Type.NUMBER: NUMBERS,
    Type.STRING: TEXTS,
    Type.BOOLEAN: st.booleans(),
}


@st.composite
def comparisons(draw: st.DrawFn) -> Gate:
    """A comparison or `in` whose sides are of one type, at least one of them a reference."""
    type_ = draw(st.sampled_from(list(REFS)))
    ref = draw(st.sampled_from(REFS[type_]))
    literal = VALUES[type_].map(Literal)  # type: ignore[arg-type]
    if draw(st.booleans()):
        return In(ref, tuple(draw(st.lists(literal, min_size=1, max_size=3))), draw(st.booleans()))
    op = draw(st.sampled_from(["==", "!=", *(["<", "<=", ">", ">="] if type_ is Type.NUMBER else [])]))
    other = draw(literal | st.sampled_from(REFS[type_]))
    left, right = draw(st.permutations([ref, other]))
    return Compare(op, left, right)


def _joined(inner: st.SearchStrategy[Gate]) -> st.SearchStrategy[Gate]:
    parts = st.lists(inner, min_size=2, max_size=3).map(tuple)
    return st.builds(Not, inner) | st.builds(And, parts) | st.builds(Or, parts)


GATES: st.SearchStrategy[Gate] = st.recursive(comparisons(), _joined, max_leaves=6)


def plain(gate: Gate) -> object:
    """The gate without offsets, and with its literals' types: 1 and 1.0 and true are three."""
    match gate:
        case Compare():
            return gate.op, *map(_side, (gate.left, gate.right))
        case In():
            return "in", gate.negated, _side(gate.left), *map(_side, gate.choices)
        case Not():
            return "not", plain(gate.part)
        case And() | Or():
            return type(gate).__name__, *map(plain, gate.parts)


def _side(side: Ref | Literal) -> object:
    return side.key if isinstance(side, Ref) else (type(side.value).__name__, side.value)


@given(GATES)
def test_a_gate_is_what_it_was_after_its_text(gate: Gate) -> None:
    text = to_text(gate)
    again = parse_gate(text)
    assert plain(again) == plain(gate)
    assert to_text(again) == text
    assert [text[o.start : o.end] for o in operands(again)] == [str(o) for o in operands(again)]


def python(gate: Gate) -> str:
    """The gate as Python, fully in brackets."""
    match gate:
        case Compare():
            return f"({_python(gate.left)} {gate.op} {_python(gate.right)})"
        case In():
            word = "not in" if gate.negated else "in"
            return f"({_python(gate.left)} {word} [{', '.join(map(_python, gate.choices))}])"
        case Not():
            return f"(not {python(gate.part)})"
        case And() | Or():
            return "(" + f" {type(gate).__name__.lower()} ".join(map(python, gate.parts)) + ")"


def _python(side: Ref | Literal) -> str:
    return f"values[{side.key!r}]" if isinstance(side, Ref) else repr(side.value)


@given(GATES, st.fixed_dictionaries({key: VALUES[type_] for key, type_ in TYPES.items()}))
def test_a_gate_means_what_python_would_mean(gate: Gate, values: dict[tuple[str, str], object]) -> None:
    assert check_types(gate, lambda ref: TYPES[ref.key]) == []
    expected = eval(python(gate), {"values": values})
    assert evaluate(gate, lambda ref: values[ref.key]) is expected
    assert all(evaluate(part, lambda ref: values[ref.key]) for part in conjuncts(gate)) is expected


@given(GATES, st.data())
def test_a_gate_that_reads_what_never_was_is_false(gate: Gate, data: st.DataObject) -> None:
    gone = data.draw(st.sampled_from(refs(gate))).key
    some = {Type.NUMBER: 0, Type.STRING: "", Type.BOOLEAN: False}
    assert not evaluate(gate, lambda ref: None if ref.key == gone else some[TYPES[ref.key]])


@given(st.text(max_size=30) | st.text("ab.01 \"()[]<>=!,\\notandri'", max_size=30))
def test_any_text_is_a_gate_or_an_error_with_its_place(text: str) -> None:
    error = None
    try:
        to_text(parse_gate(text)).encode()
    except GateError as caught:
        error = caught
    assert error is None or (error.message and 0 <= error.start < error.end and error.start <= len(text))


@pytest.mark.parametrize(
    ("text", "gate"),
    [
        ("a.x>=0.5", "a.x >= 0.5"),
        ('(params.t != "none")', 'params.t != "none"'),
        ("a.x == 1 and b.y == 2 or c.z == 3", "(a.x == 1 and b.y == 2) or c.z == 3"),
        ("not a.x == 1 and b.y == 2", "not a.x == 1 and b.y == 2"),
        ("not (a.x == 1 and b.y == 2)", "not (a.x == 1 and b.y == 2)"),
        ("not not not a.x == 1", "not a.x == 1"),
        ("not (not a.x == 1)", "not (not a.x == 1)"),
        ('params.s not in ["a","b"]', 'params.s not in ["a", "b"]'),
        ("a.x\n  == 1e3", "a.x == 1000.0"),
        ("1 < a.x", "1 < a.x"),
        ("a.not == true", "a.not == true"),
    ],
)
def test_spellings(text: str, gate: str) -> None:
    assert to_text(parse_gate(text)) == gate


@pytest.mark.parametrize(
    ("text", "marked", "says"),
    [
        ("", "", "missing before the end"),
        ("params.x", "params.x", "a bare value is no gate"),
        ("true", "true", "a bare value is no gate"),
        ("1 < a.x < 2", "<", "comparisons do not chain"),
        ("a.x = 1", "=", '"=" is no operator'),
        ("a.x == 1 AND b.y == 2", "AND", "does not belong here"),
        ("a.x == 'b'", "'b'", "double quotes"),
        ("a.x == 'b", "'", "double quotes"),
        ("a.x => 0.1", "=>", '"=>" is no operator'),
        ("a.x >= '0.1'", "'0.1'", "neither a number nor a string"),
        ("a.x == b", "b", "neither a reference nor a string"),
        ("a.x == 1 && a.y == 2", "&&", "does not belong here"),
        ("a.x == 1 a.y == 2", "a.y", "does not belong here"),
        ("(a.x == 1", "", r'"\)" is missing'),
        ("a.x == 1)", ")", "does not belong here"),
        ("a.x in b.y", "b.y", r'"\[" is missing'),
        ("a.x in []", "]", "missing before"),
        ("a.x in [b.y]", "b.y", "literals only"),
        ("a.x in [1 2]", "2", "is missing before"),
        ("a.x not 1", "1", '"in" is missing'),
        ("a.x == 1_000", "1_000", "not a number"),
        ("a.x == 99999999999999999999", "99999999999999999999", "beyond"),
        ("a.x == 1e999", "1e999", "too large"),
        (r'a.x == "\q"', r'"\q"', "JSON string"),
        (r'a.x == "\ud800"', r'"\ud800"', "not Unicode"),
        ('a.x == "open', '"', "not closed"),
        ("(" * 40 + "a.x == 1" + ")" * 40, "(", "nested more than 32"),
        ("a.x == 1 and " * 200 + "a.x == 1", None, "longer than 2000"),
    ],
)
def test_what_is_no_gate_is_told_at_its_place(text: str, marked: str | None, says: str) -> None:
    with pytest.raises(GateError, match=says) as caught:
        parse_gate(text)
    if marked is not None:
        assert text[caught.value.start : caught.value.end] == marked


def test_a_gate_of_the_greatest_length_is_read() -> None:
    text = " and ".join(["a.x == 1"] * 150)
    assert len(refs(parse_gate(text))) == 150
    assert parse_gate("not " * 400 + "a.x == 1") == parse_gate(" " * 1600 + "a.x == 1")


@pytest.mark.parametrize("text", [" or ".join(["a.x==1"] * 195), " or ".join(["a.x==1e15"] * 150)])
def test_a_gate_that_its_own_spelling_makes_too_long_is_refused(text: str) -> None:
    with pytest.raises(GateError, match="longer than 2000"):
        parse_gate(text)


KINDS: Callable[[Ref], Type | None] = {
    ("params", "s"): Type.STRING,
    ("params", "n"): Type.INTEGER,
    ("params", "b"): Type.BOOLEAN,
    ("params", "j"): Type.JSON,
    ("t", "model"): Type.MODEL,
    ("t", "auc"): Type.METRIC,
}.get  # type: ignore[assignment]


@pytest.mark.parametrize(
    ("text", "marked", "says"),
    [
        ('params.n == "1"', 'params.n == "1"', "never compare"),
        ("params.s in [1]", "params.s in [1", "never compare"),
        ("params.b == 1", "params.b == 1", "never compare"),
        ('params.s < "b"', 'params.s < "b"', "orders numbers only"),
        ("params.b >= false", "params.b >= false", "orders numbers only"),
        ('params.j == "x"', "params.j", "json"),
        ('t.model == "x"', "t.model", "artifact"),
        ('"params.s" != "none"', '"params.s" != "none"', "without a reference"),
        ("1 in [1, 2]", "1 in [1, 2", "without a reference"),
    ],
)
def test_what_does_not_compare_is_told_at_its_place(text: str, marked: str, says: str) -> None:
    (error,) = check_types(parse_gate(text), lambda ref: KINDS(ref.key))  # type: ignore[arg-type]
    assert text[error.start : error.end] == marked
    assert says in error.message


@pytest.mark.parametrize("text", ["params.n < t.auc", "params.n in [1, 2.5]", "params.b != true", "no.such == 1"])
def test_what_compares_is_no_error(text: str) -> None:
    assert check_types(parse_gate(text), lambda ref: KINDS(ref.key)) == []  # type: ignore[arg-type]


def test_each_comparison_that_does_not_fit_is_told() -> None:
    gate = parse_gate('params.n == "1" and (params.s > "a" or not params.b == 2)')
    assert len(check_types(gate, lambda ref: KINDS(ref.key))) == 3  # type: ignore[arg-type]


def test_conjuncts_are_those_of_the_top() -> None:
    gate = parse_gate("(a.x == 1 and (b.y == 2 and c.z == 3)) and (d.w == 4 or e.v == 5)")
    assert [to_text(part) for part in conjuncts(gate)] == ["a.x == 1", "b.y == 2", "c.z == 3", "d.w == 4 or e.v == 5"]


def test_the_words_of_a_gate_are_no_task_names() -> None:
    assert parse_gate("t.and == 1") == Compare("==", Ref("t", "and", 0, 5), Literal(1, 9, 10))
