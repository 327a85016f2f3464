"""The YAML writer against two foreign readers: PyYAML reads YAML 1.1, ruamel.yaml 1.2."""

from __future__ import annotations

import io
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from ruamel.yaml import YAML

from mlgen.render.emit import Shared, emit

WORDS = """y n Y N yes no on off On OFF true False null Null ~ = < << - -- --- ... . .. ? : , [ ] { } # & * ! | > % @ `
1 -1 +1 0 00 007 0o7 0x1F 1_000 1e5 1E-3 123e4567 1234e56 .5 5. 1.0 .inf -.Inf .nan 12:30:45 1:30 190:20:30
2026-10-01 2026-10-01T00:00:00Z 0b1 a: a:b a:  #a a# a,b [a] {a} 'a' "a" \\ \\n $(params.x) $$ @a a@b s3://b/k
"""
NASTY = [
    *WORDS.split(),
    "", " ", "a ", " a", "a b", "a #b", "a: b", "a :b", "a\tb", "\t", "\n", "a\n", "a\n\n", "\na", "a\n b\n", " a\nb",
    "a\nb", "a\n\nb\n", "a\n  \n", "a\n  ", "\ta\nb", "a\r\nb", "a\rb", "a\x85b", "a\u2028b", "a\u2029b\n", "\ufeffa",
    "a\ufeff\nb", "a\x00b", "a\x7fb\n", "a\x9f", "\ufffe", "\xa0", "é", "日本語\n日本語", "😀", "😀\n😀\n",
    "# a\n# b\n", "---\na\n", "a\n---\n", "a\n...\nb", "- a\n- b\n", "a: b\nc: d\n", "'a'\n", '"a"\t', '"\\',
    "a" * 2000, "word " * 400, "a\n" * 50,
]  # fmt: skip

TEXT = st.one_of(
    st.sampled_from(NASTY),
    st.text(st.characters(exclude_categories=["Cs"]), max_size=30),
    st.text(st.sampled_from(list(" \n\t#:-ab'\"\\|>&*!%@`$()é\x85\u2028")), max_size=20),
)
KEY = TEXT.map(lambda text: text[:1000])
DATA = st.dictionaries(
    KEY,
    st.recursive(
        st.one_of(TEXT, st.booleans(), st.none(), st.integers(-(2**53), 2**53)),
        lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(KEY, inner, max_size=4)),
        max_leaves=12,
    ),
    min_size=1,
    max_size=4,
)


def yaml_11(data: bytes) -> Any:
    return yaml.load(data, Loader=yaml.CSafeLoader)


def yaml_12(data: bytes) -> Any:
    reader = YAML(typ="safe", pure=True)
    reader.version = (1, 2)
    return reader.load(io.BytesIO(data))


@pytest.mark.parametrize("text", NASTY)
def test_a_string_stays_that_string_as_key_as_value_and_as_item(text: str) -> None:
    key = text[:1000]
    data: dict[str, object] = {
        "value": text,
        key: 1,
        "items": [text, {key: text}, [text]],
        "map": {"deep": {"x": text}},
    }
    written = emit(data)
    assert yaml_11(written) == data
    assert yaml_12(written) == data


@settings(max_examples=150, deadline=None)
@given(DATA)
def test_both_readers_get_the_data_back_in_its_order(data: dict[str, object]) -> None:
    written = emit(data, ["a comment", ""])
    assert list(yaml_11(written)) == list(data)
    assert yaml_11(written) == data
    assert yaml_12(written) == data


def test_numbers_and_words_do_not_become_strings() -> None:
    data: dict[str, object] = {"yes": True, "no": False, "none": None, "one": 1, "list": [], "map": {}}
    assert emit(data) == b'"yes": true\n"no": false\nnone: null\none: 1\nlist: []\nmap: {}\n'


def test_scripts_are_written_as_people_write_them() -> None:
    assert emit({"script": "#!/bin/sh\n\necho $x\n"}) == b"script: |\n  #!/bin/sh\n\n  echo $x\n"
    assert emit({"steps": [{"script": "a\nb"}]}) == b"steps:\n  - script: |-\n      a\n      b\n"


def test_json_is_written_as_it_is() -> None:
    assert emit({"json": '{"a":"b"}', "it's": 'it\'s "x"'}) == b"""json: '{"a":"b"}'\n"it's": "it's \\"x\\""\n"""


def test_a_comment_line_is_a_comment_line() -> None:
    assert emit({"a": "b"}, ["made by mlgen", "", "x"]) == b"# made by mlgen\n#\n# x\na: b\n"


def test_what_utf8_cannot_carry_is_refused() -> None:
    with pytest.raises(ValueError, match="surrogates"):
        emit({"a": "\ud800"})


def test_a_key_that_no_reader_finds_is_refused() -> None:
    with pytest.raises(ValueError, match="1001 characters"):
        emit({"a" * 1001: 1})


def test_what_yaml_would_guess_is_refused() -> None:
    with pytest.raises(TypeError, match="float"):
        emit({"a": 0.1})


@given(DATA)
def test_a_shared_map_is_written_as_any_other_wherever_it_stands(data: dict[str, object]) -> None:
    places = [{"a": d, "deep": {"list": [d, [d]]}} for d in (Shared(data), data)]
    assert emit(places[0]) == emit(places[1])
