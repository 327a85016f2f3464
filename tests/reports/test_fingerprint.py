"""A finding is known again when its lines move and its neighbours change, and two are never taken for one."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlgen.diagnostic import Diagnostic
from mlgen.reports.fingerprint import fingerprints, line_hashes
from tests.reports import lab

FILE = "pipelines/a.yaml"
LINES = [
    "version: 1", "name: a", "tasks:", "  a:", "    run: echo", "    in: [x.y]", "", "  b:", "    run: echo",
    "    in: [x.y]", "    env:", "      A: 1",
]  # fmt: skip
MARKED = [6, 10, 12]  # lines with a finding


def marks(lines: list[str], at: list[int], message: str = "wrong") -> list[str]:
    found = [replace(lab.finding(message=message, file=FILE, line=n)) for n in at]
    return fingerprints(lab.report(*found, sources={FILE: "\n".join(lines)}))


@given(
    at=st.integers(0, len(LINES)), new=st.lists(st.sampled_from(["", "# a", "      # b", "  c: {run: x}"]), max_size=5)
)
def test_lines_put_anywhere_change_nothing(at: int, new: list[str]) -> None:
    if any(line.startswith("  c") for line in new) and at not in (3, 7):
        new = [line for line in new if not line.startswith("  c")]  # there it would be the task of what follows
    moved = [n + len(new) if n > at else n for n in MARKED]
    assert marks([*LINES[:at], *new, *LINES[at:]], moved) == marks(LINES, MARKED)


@given(of=st.sampled_from([1, 2, 5, 9]), text=st.text("abc: {}[]", max_size=8))
def test_what_the_neighbours_say_does_not_matter(of: int, text: str) -> None:
    key, _, _ = LINES[of - 1].partition(":")
    changed = [*LINES[: of - 1], f"{key}: {text}", *LINES[of:]]
    assert marks(changed, MARKED) == marks(LINES, MARKED)


def test_what_differs_is_told_apart() -> None:
    first, second, third = marks(LINES, MARKED)
    assert len({first, second, third}) == 3  # the same text below two tasks
    assert marks(LINES, [6], "other") != [first]
    assert marks(LINES, [6], "see line 4") == marks(LINES, [6], "see line 7")


def test_of_equal_ones_each_has_its_own() -> None:
    same = [replace(lab.finding(file=FILE, line=1), why=str(i)) for i in range(5)]
    found = fingerprints(lab.report(*same, sources={FILE: "a\n"}))
    assert len(set(found)) == 5
    assert fingerprints(lab.report(*same[:3], sources={FILE: "a\n"})) == found[:3]


def test_without_the_file_there_is_one_as_well() -> None:
    found: list[Diagnostic] = [lab.finding(file="gone.yaml", line=9), lab.finding(file=FILE, line=900)]
    assert len(set(fingerprints(lab.report(*found, sources={FILE: "a"})))) == 2


# What the code of github/codeql-action (src/fingerprints.ts) says of these texts.
@pytest.mark.parametrize(
    ("text", "hashes"),
    [
        ("", ["c129715d7a2bc9a3:1"]),
        ("version: 1\nname: a\n", ["8d8d0d0190910204:1", "a6b6ede492fce51:1", "c129715d7a2bc9a3:1"]),
        (
            "a\r\nb\r\rc\n\td  e\n",
            [
                "bcfb812d22d016c4:1",
                "955d228a9818b485:1",
                "87cae90966409a49:1",
                "a8338855c835ba23:1",
                "14a71e544e47ece2:1",
                "c129715d7a2bc9a3:1",
            ],
        ),
        (
            "x\nx\nx\nx\n",
            [
                "16bdaddd35aaa92b:1",
                "4c74ab87820424b1:1",
                "8c072f39cc89b447:1",
                "828973aa50c68d6d:1",
                "c129715d7a2bc9a3:1",
            ],
        ),
        (
            "\u00e9 \U0001f600 \u65e5\u672c\nlonger \n" * 2,
            [
                "ac710262d3c79577:1",
                "7adb7e2abbc56f72:1",
                "773d56a508469419:1",
                "cf7994d6fe431ca4:1",
                "c129715d7a2bc9a3:1",
            ],
        ),
        (
            "a: 1\n" * 22 + "b",
            [
                "567cdbc46c7d2145:1",
                "340ecb0da2964f4f:1",
                "9c8671d98cb896b9:1",
                "3e81269520fcc183:1",
                "5b58e2a8dca8f9ad:1",
                "2c452f80efbac937:1",
                "8ffbe83029d11a21:1",
                "1fd22a13f276366b:1",
                "f48f62b4f6c9c815:1",
                "c5edc5ff968ad91f:1",
                "c6e707387a81d389:1",
                "d28024251e4a8153:1",
                "d0b2ca1d777e0c7d:1",
                "58163f83443cff07:1",
                "b18e9acceb1942f1:1",
                "5e1e864d3660223b:1",
                "777a28694c446e5:1",
                "73639787e967baef:1",
                "f22349ea5545e859:1",
                "994874eac3fd9923:1",
                "b8da4e2765faf74d:1",
                "ccc58820a2018cd7:1",
                "8ee5a81e681643c1:1",
            ],
        ),
    ],
)
def test_githubs_own_is_githubs(text: str, hashes: list[str]) -> None:
    assert line_hashes(text) == hashes
