"""Where a cursor stands: ⟨1⟩ marks one."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlgen.editor.cursor import locate
from mlgen.editor.positions import Encoding, to_column, to_units

SPEC = """\
version: 1
tasks:
  a:
    run: |
      if x; then
        foo: bar⟨1⟩
    in: [params.epochs, ⟨2⟩]
    after:
    - b
    - c.⟨3⟩
  b: {⟨4⟩run: x, in: {m⟨5⟩: a.⟨6⟩, n: {value: ⟨7⟩3}}, out: [p, q⟨8⟩], if: a.x > par⟨9⟩}
  c⟨10⟩:
    # note ⟨11⟩
    in:
      - par⟨12⟩
    out:
      mod: mo⟨13⟩
    ret⟨14⟩
    if: "a.b > c.⟨15⟩
    env: {A: "b, c", "B": ⟨16⟩}
    "gpu": 'a100⟨17⟩'
  d:
    in: [a,
         b.⟨18⟩
    ⟨18b⟩
tolerations:
  - key: x
    op⟨19⟩
  - ⟨20⟩
  -
    - z: [{y: ⟨21⟩
⟨22⟩
"""
EXPECTED: dict[str, tuple[Any, ...]] = {
    "1": (("tasks", "a", "run"), "text", ""),
    "2": (("tasks", "a", "in", 0), "value", ""),
    "3": (("tasks", "a", "after", 0), "value", "c."),
    "4": (("tasks", "b"), "key", ""),
    "5": (("tasks", "b", "in"), "key", "m"),
    "6": (("tasks", "b", "in", "m"), "value", "a."),
    "7": (("tasks", "b", "in", "n", "value"), "value", ""),
    "8": (("tasks", "b", "out", 0), "value", "q"),
    "9": (("tasks", "b", "if"), "value", "a.x > par"),
    "10": (("tasks",), "key", "c"),
    "11": (("tasks", "c"), "text", ""),
    "12": (("tasks", "c", "in", 0), "value", "par"),
    "13": (("tasks", "c", "out", "mod"), "value", "mo"),
    "14": (("tasks", "c"), "key", "ret"),
    "15": (("tasks", "c", "if"), "value", "a.b > c."),
    "16": (("tasks", "c", "env", "B"), "value", ""),
    "17": (("tasks", "c", "gpu"), "value", "a100"),
    "18": (("tasks", "d", "in", 0), "value", "b."),
    "18b": (("tasks", "d"), "key", ""),
    "19": (("tolerations", 0), "key", "op"),
    "20": (("tolerations", 0), "value", ""),
    "21": (("tolerations", 0, 0, "z", 0, "y"), "value", ""),
    "22": ((), "key", ""),
}


@pytest.mark.parametrize("mark", EXPECTED)
def test_a_cursor_knows_where_it_stands(mark: str) -> None:
    before, after = (re.sub("⟨.*?⟩", "", part) for part in SPEC.split(f"⟨{mark}⟩"))
    line = before.count("\n")
    found = locate((before + after).split("\n"), line, len(before) - before.rfind("\n") - 1)
    assert (found.route, found.what, found.typed) == EXPECTED[mark]
    assert found.start <= found.end


@given(st.text(alphabet="ab: -[]{},\"'|>#\n", max_size=80), st.integers(0, 12), st.integers(0, 40))
def test_no_text_is_too_broken(text: str, line: int, column: int) -> None:
    lines = text.split("\n")
    found = locate(lines, line, column)
    here = lines[line] if line < len(lines) else ""
    assert 0 <= found.start <= found.end <= len(here) or found.start == found.end


@given(st.text(max_size=20), st.integers(0, 20), st.sampled_from(["utf-8", "utf-16", "utf-32"]))
def test_columns_survive_every_encoding(line: str, column: int, encoding: Encoding) -> None:
    column = min(column, len(line))
    assert to_column(line, to_units(line, column, encoding), encoding) == column
    if encoding == "utf-16":
        assert to_units(line, column, encoding) == len(line[:column].encode("utf-16-le", "surrogatepass")) // 2


def test_the_middle_of_a_character_is_its_beginning() -> None:
    assert to_column("a🎉b", 2, "utf-16") == 1
    assert to_column("a🎉b", 99, "utf-16") == 3


@pytest.mark.parametrize(
    "text",
    [
        "x: " + "[" * 900_000,
        "x: " + "{a: " * 200_000,
        "x: [a" + '"' * 900_000,
        "x" + " " * 900_000 + "y",
        "x: {" + "a: " * 300_000,
    ],
    ids=["open", "maps", "quotes", "blanks", "keys"],
)
def test_no_line_takes_longer_than_it_is_long(text: str) -> None:
    """Were any of these quadratic, this would not end."""
    for column in (2, 800_000, len(text)):
        locate(["version: 1", text], 1, column)
    assert locate(["x: " + "[" * 65], 0, 68).what == "text", "deeper than a spec may be"
    assert locate(["x: " + "[" * 64], 0, 67).what == "value"
