"""What a trial reports: lines that any language writes, read with care."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from mlgen.search.reports import MAX_REPORTS, read, read_file


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", ()),
        ("0 0.5\n1 0.75\n", ((0, 0.5), (1, 0.75))),
        ("1 0.75\n0 0.5\n", ((0, 0.5), (1, 0.75))),
        ("0 0.5\n0 0.6\n", ((0, 0.5),)),
        ("0 0.5\n1 0.7", ((0, 0.5),)),  # not yet ended
        ("\n0\n0 a\nx 1\n-1 1\n1 nan\n2 inf\n1 2 3\n3\t1e-3\r\n", ((3, 0.001),)),
    ],
)
def test_lines(text: str, expected: tuple[tuple[int, float], ...]) -> None:
    assert read(text) == expected


def test_so_many_and_no_more() -> None:
    assert len(read("".join(f"{step} 1\n" for step in range(5000)))) == MAX_REPORTS


def test_a_file(tmp_path: Path) -> None:
    path = tmp_path / "report"
    assert read_file(path) == ()
    path.write_bytes(b"0 1\n\xff\xff\n1 2\n")
    assert read_file(path) == ((0, 1.0), (1, 2.0))


def test_what_is_no_file_is_not_read_and_holds_nobody_up(tmp_path: Path) -> None:
    secret, pipe, link = tmp_path / "secret", tmp_path / "pipe", tmp_path / "link"
    secret.write_text("0 1\n")
    os.mkfifo(pipe)
    link.symlink_to(secret)

    assert [read_file(path) for path in (pipe, link, tmp_path)] == [(), (), ()]
