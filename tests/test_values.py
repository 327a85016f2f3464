"""Texts and types of values: what every engine reads in the same way."""

from __future__ import annotations

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlgen import values
from mlgen.canonical import Json, encode
from mlgen.values import (
    ARTIFACTS,
    MAX_INTEGER,
    Type,
    accepts,
    parse,
    strip_newline,
    to_quoted_text,
    to_short_text,
    to_text,
    type_of,
)

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-MAX_INTEGER, MAX_INTEGER)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("abé", max_size=3), inner, max_size=3),
    max_leaves=8,
)


@pytest.mark.parametrize(
    ("type_", "text", "value"),
    [
        (Type.STRING, "", ""),
        (Type.STRING, " a\nb ", " a\nb "),
        (Type.INTEGER, "+7", 7),
        (Type.INTEGER, "007", 7),
        (Type.INTEGER, "0x1F", 31),
        (Type.INTEGER, "0o17", 15),
        (Type.INTEGER, str(MAX_INTEGER), MAX_INTEGER),
        (Type.INTEGER, str(-MAX_INTEGER), -MAX_INTEGER),
        (Type.NUMBER, "1", 1),
        (Type.NUMBER, "1e-3", 0.001),
        (Type.NUMBER, ".5", 0.5),
        (Type.NUMBER, "5.", 5.0),
        (Type.METRIC, "0.875", 0.875),
        (Type.BOOLEAN, "true", True),
        (Type.BOOLEAN, "false", False),
        (Type.JSON, ' {"b": [1, 2.5, null]} ', {"b": [1, 2.5, None]}),
        (Type.JSON, '"a"', "a"),
    ],
)
def test_a_text_is_read_by_its_type(type_: Type, text: str, value: Json) -> None:
    found = parse(type_, text)
    assert (found, type(found)) == (value, type(value))


@pytest.mark.parametrize(
    ("type_", "text"),
    [
        (Type.STRING, "a\0b"),
        (Type.STRING, "\udcff"),  # how Python shows an argument that is not UTF-8
        (Type.INTEGER, ""),
        (Type.INTEGER, "1.0"),
        (Type.INTEGER, " 1"),
        (Type.INTEGER, "1_000"),
        (Type.INTEGER, "١٢"),  # digits, but no YAML or JSON reader's
        (Type.INTEGER, str(MAX_INTEGER + 1)),
        (Type.INTEGER, "9" * 100_000),
        (Type.INTEGER, "0x" + "f" * 100_000),
        (Type.NUMBER, "NaN"),
        (Type.NUMBER, ".nan"),
        (Type.NUMBER, "-.Inf"),
        (Type.NUMBER, "Infinity"),
        (Type.NUMBER, "1e999"),
        (Type.NUMBER, "1e"),
        (Type.METRIC, "0,9"),
        (Type.BOOLEAN, "True"),
        (Type.BOOLEAN, "1"),
        (Type.JSON, ""),
        (Type.JSON, "{a: 1}"),
        (Type.JSON, "NaN"),
        (Type.JSON, "[1e999]"),
        (Type.JSON, f"[{MAX_INTEGER + 1}]"),
        (Type.JSON, '"\\ud800"'),
        (Type.JSON, "[" * 100_000),
        (Type.MODEL, "s3://b/k"),
    ],
)
def test_what_no_reader_could_keep_is_refused_in_a_sentence(type_: Type, text: str) -> None:
    with pytest.raises(ValueError, match=r"\w+ \w+") as caught:
        parse(type_, text)
    assert len(str(caught.value)) < 200, "a finding quotes it"


@given(JSON)
def test_json_is_what_it_was_after_its_text(value: Json) -> None:
    text = to_text(value) if not isinstance(value, str) else json.dumps(value)
    found = parse(Type.JSON, text)
    assert found == value
    encode(found).decode()


@given(st.floats(allow_nan=False, allow_infinity=False) | st.integers(-MAX_INTEGER, MAX_INTEGER))
def test_a_number_is_what_it_was_after_its_text(value: float) -> None:
    found = parse(Type.NUMBER, to_text(value))
    assert isinstance(found, int | float)
    assert found == value
    assert math.copysign(1, found) == math.copysign(1, value)


@given(st.text(max_size=12), st.sampled_from(list(Type)))
def test_any_text_has_a_value_or_a_sentence(text: str, type_: Type) -> None:
    try:
        value = parse(type_, text)
    except ValueError:
        return
    encode(value)  # what was read can be recorded


@pytest.mark.parametrize(
    ("value", "type_"),
    [
        (True, Type.BOOLEAN),
        (1, Type.INTEGER),
        (1.0, Type.NUMBER),
        ("1", Type.STRING),
        ([1], Type.JSON),
        ({"a": 1}, Type.JSON),
    ],
)
def test_a_plain_value_has_a_type(value: Json, type_: Type) -> None:
    assert type_of(value) is type_


@pytest.mark.parametrize(("text", "left"), [("a\n", "a"), ("a\n\n", "a\n"), ("a", "a"), ("\n", ""), ("a\r\n", "a\r")])
def test_one_newline_goes(text: str, left: str) -> None:
    assert strip_newline(text) == left


def test_an_in_reads_its_kind() -> None:
    numbers = {Type.INTEGER, Type.NUMBER, Type.METRIC}
    for wanted in Type:
        for given_ in Type:
            expected = wanted is given_
            if {wanted, given_} <= ARTIFACTS:
                expected |= bool({wanted, given_} & {Type.FILE, Type.DIRECTORY})
            if {wanted, given_} <= numbers:
                expected |= wanted is not Type.INTEGER
            assert accepts(wanted, given_) is expected, f"{wanted} reads {given_}"


def test_every_param_type_is_a_value() -> None:
    assert not ARTIFACTS & set(values.PARAM_TYPES)


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (0.9777777777, "0.977778"),
        (0.74, "0.74"),
        (1e-9, "1e-09"),
        (1234567.891, "1234568"),
        (1e300, "1e+300"),
        (20, "20"),
        (12345678901, "12345678901"),
        (True, "true"),
        ("0.9777777777", "0.9777777777"),
        ({"a": 1.5}, '{"a":1.5}'),
    ],
)
def test_numbers_for_people(value: Json, shown: str) -> None:
    assert to_short_text(value) == shown


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("two", "two"),
        ("s3://b/k", "s3://b/k"),
        ("./data.csv", "./data.csv"),
        ("true", '"true"'),
        ("trueish", "trueish"),
        ("1", '"1"'),
        ("=1+1", '"=1+1"'),
        ("a, b=2", '"a, b=2"'),
        ("", '""'),
        (1, "1"),
        (True, "true"),
        ([1], "[1]"),
    ],
)
def test_a_text_in_a_list_of_pairs_is_taken_for_nothing_else(value: Json, shown: str) -> None:
    assert to_quoted_text(value) == shown
