"""`.mlgen/secrets.env`: what its lines mean, and that nobody else may read it."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlgen.diagnostic import Misuse
from mlgen.local.secrets_file import FILE, parse, read

TEXTS = st.text(st.characters(blacklist_categories=["Cs"], blacklist_characters="\0\r"), max_size=40)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("", {}),
        ("\n  # only words\n\n", {}),
        ("A=b", {"A": "b"}),
        ("export A = b c \nB=\n", {"A": "b c", "B": ""}),
        ("A=b#c $(id) ${HOME} `id` \\n\r\n", {"A": "b#c $(id) ${HOME} `id` \\n"}),
        ("A='  b \"$C\" \\n ' # words\nB=c", {"A": '  b "$C" \\n ', "B": "c"}),
        ('A="b\\n\\t\\"\\\\$C"\n', {"A": 'b\n\t"\\$C'}),
        ("KEY='-----BEGIN\nx\n-----END'\nB=c\n", {"KEY": "-----BEGIN\nx\n-----END", "B": "c"}),
        ("A='b'\r\nB=\"c\"\r\n", {"A": "b", "B": "c"}),
        ("\ufeffA=it's", {"A": "it's"}),
    ],
)
def test_what_a_line_means(text: str, found: dict[str, str]) -> None:
    assert parse(text.encode()) == found


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"A=1\nhunter2\n", "line 2 of .mlgen/secrets.env is not NAME=value"),
        (b"1A=hunter2", "line 1 of .mlgen/secrets.env is not NAME=value"),
        (b"A=hunter2\nB='x\ny'\nA=z", "line 4 of .mlgen/secrets.env gives A a second time"),
        (b"A='hunter2\n\n", "line 1 of .mlgen/secrets.env opens a quote that nothing closes"),
        (b'A="b" hunter2', "line 1 of .mlgen/secrets.env goes on after its closing quote"),
        (b'A="hunter2\\q"', r"line 1 of .mlgen/secrets.env has a backslash before what is none of n t"),
        (b"A=b\nB=hunter2\xff", "line 2 of .mlgen/secrets.env is not UTF-8 text"),
        (b"A=hunter2\0", "line 1 of .mlgen/secrets.env has a NUL"),
        (b"A=" + b"x" * (1 << 20), "larger than 1 MiB"),
    ],
)
def test_what_cannot_be_read_is_told_by_its_line_and_not_shown(data: bytes, said: str) -> None:
    with pytest.raises(Misuse) as caught:
        parse(data)
    assert said in caught.value.message
    assert "hunter2" not in f"{caught.value.message}{caught.value.why}{caught.value.fix}"


@given(TEXTS)
def test_any_text_can_be_kept(text: str) -> None:
    quoted = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n").replace("\t", "\\t")
    assert parse(f'A="{quoted}"\n'.encode()) == {"A": text}


@given(st.binary(max_size=60))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    with suppress(Misuse):
        assert "A" in parse(b"A=" + data)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / FILE
    path.parent.mkdir()
    path.write_text("A=b\n")
    path.chmod(0o600)
    return path


def test_no_file_is_no_secret(tmp_path: Path, file: Path) -> None:
    assert read(tmp_path) == {"A": "b"}
    file.unlink()
    assert read(tmp_path) == {}
    file.parent.rmdir()
    assert read(tmp_path) == {}


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o602, 0o610])
def test_a_file_that_others_can_reach_is_refused(tmp_path: Path, file: Path, mode: int) -> None:
    file.chmod(mode)
    with pytest.raises(Misuse, match="others can read") as caught:
        read(tmp_path)
    assert caught.value.fix == "chmod 600 .mlgen/secrets.env"


def test_links_folders_and_pipes_are_no_file(tmp_path: Path, file: Path) -> None:
    file.rename(file.with_name("other"))
    file.symlink_to("other")
    with pytest.raises(Misuse, match="cannot be read"):
        read(tmp_path)
    file.unlink()
    os.mkfifo(file)
    with pytest.raises(Misuse, match="no file"):
        read(tmp_path)
    file.unlink()
    file.mkdir()
    with pytest.raises(Misuse, match="no file"):
        read(tmp_path)
