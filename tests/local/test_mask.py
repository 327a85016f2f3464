from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st

from mlgen.local.mask import MASK, Masker, needles

TEXT = st.text(alphabet="ab\n*", max_size=6)


def masked(secrets: list[str], chunks: list[bytes]) -> bytes:
    masker = Masker(secrets)
    return b"".join([*map(masker.feed, chunks), masker.close()])


def test_a_secret_cut_by_chunks_is_masked() -> None:
    assert masked(["hunter2"], [b"password: hun", b"ter", b"2\nhunte"]) == b"password: ***\nhunte"


def test_each_line_of_a_secret_is_masked_and_tiny_ones_are_not() -> None:
    assert masked(["{\n  one-line\ntwo-line\n}"], [b"{ one-line } two-line"]) == b"{ *** } ***"


def test_the_longer_of_two_secrets_wins() -> None:
    assert masked(["abc", "abcdef"], [b"xabc", b"defx abcx"]) == b"x***x ***x"


def test_nothing_is_held_back_that_cannot_become_a_secret() -> None:
    assert Masker(["hunter2" * 100]).feed(b"epoch 1 of 20\n") == b"epoch 1 of 20\n"


def test_bytes_that_are_no_text_pass() -> None:
    assert masked(["s3cret"], [b"\xff\x00s3cr", b"et\xfe"]) == b"\xff\x00***\xfe"


@given(st.lists(TEXT, max_size=3), st.lists(TEXT.map(str.encode), max_size=8))
def test_chunks_do_not_matter(secrets: list[str], chunks: list[bytes]) -> None:
    whole = b"".join(chunks)
    pattern = b"|".join(map(re.escape, needles(secrets)))
    assert masked(secrets, chunks) == (re.sub(pattern, MASK, whole) if pattern else whole)
