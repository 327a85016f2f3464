"""mlgen.lock mended: what was asked is changed, and not a byte more."""

from __future__ import annotations

import codecs
from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlgen.spec.document import read
from mlgen.spec.load import load_lock
from mlgen.spec.lock_text import HEAD, mended

A, B, C = ("sha256:" + c * 64 for c in "abc")

KEPT = f"""\
# pinned for everybody
version: 1

images:   # by name
    # held back: 1.8 has the CVE
    "ghcr.io/acme/churn:1.8":   '{A}'   # until March
    # the base

    python:3.12-slim: {B}
# end
"""


@pytest.mark.parametrize(
    ("before", "digests", "unused", "after"),
    [
        ("version: 1\n", {}, [], "version: 1\n"),
        ("version: 1\n", {"x:1": A}, [], f"version: 1\nimages:\n  x:1: {A}\n"),
        ("version: 1", {"x:1": A}, [], f"version: 1\nimages:\n  x:1: {A}"),
        ("version: 1\nimages: {}\n", {"x:1": A, "a:1": B}, [], f"version: 1\nimages:\n  a:1: {B}\n  x:1: {A}\n"),
        ("images: {} # none\nversion: 1\n", {"x:1": A}, [], f"images: # none\n  x:1: {A}\nversion: 1\n"),
        (f"version: 1\nimages: {{b:1: {A}, a:1: {B}}}\n", {"c:1": C, "b:1": B}, ["a:1"],
         f"version: 1\nimages:\n  b:1: {B}\n  c:1: {C}\n"),
        (f"version: 1\nimages:\n  b:1: {A}\n", {}, ["b:1"], "version: 1\nimages: {}\n"),
        (f"version: 1\nimages:\n  b:1: {A}\n", {"c:1": C}, ["b:1"], f"version: 1\nimages:\n  c:1: {C}\n"),
        (f"version: 1\nimages:\n  b:1: {A}", {"c:1": C}, [], f"version: 1\nimages:\n  b:1: {A}\n  c:1: {C}"),
        # In the order of names, where the entries are; a comment stays above its entry.
        (f"version: 1\nimages:\n  # of b\n  b:1: {A}\n  # of d\n  d:1: {A}\n", {"a:1": B, "c:1": C, "e:1": B}, [],
         f"version: 1\nimages:\n  a:1: {B}\n  # of b\n  b:1: {A}\n  c:1: {C}\n  # of d\n  d:1: {A}\n  e:1: {B}\n"),
        (f"version: 1\nimages:\n  d:1: {A}\n  b:1: {A}\n\n# end\n", {"c:1": C}, [],
         f"version: 1\nimages:\n  d:1: {A}\n  b:1: {A}\n  c:1: {C}\n\n# end\n"),
        (f"version: 1\nimages:\n  b:1: {A}  # why\n  # its own line\n  c:1: {B}\n", {}, ["b:1"],
         f"version: 1\nimages:\n  # its own line\n  c:1: {B}\n"),
        # As they were: quotes, indentation, comments.
        (KEPT, {"python:3.12-slim": C}, [], KEPT.replace(B, C)),
        (KEPT, {"ghcr.io/acme/churn:1.8": C}, [], KEPT.replace(A, C)),
        (KEPT, {"zoo:1": C}, [], KEPT.replace("# end", f"    zoo:1: {C}\n# end")),
        # A name that some YAML reads as another type.
        ("version: 1\n", {"null": A, "1": B}, [], f'version: 1\nimages:\n  "1": {B}\n  "null": {A}\n'),
        (f"images:\n  ? b:1\n  : {A}\nversion: 1\n", {}, [], f"images:\n  ? b:1\n  : {A}\nversion: 1\n"),
    ],
)  # fmt: skip
def test_a_lock_is_mended(before: str, digests: Mapping[str, str], unused: list[str], after: str) -> None:
    assert mended(before.encode(), digests, unused).decode() == after
    windows = before.replace("\n", "\r\n").encode()
    if "\n" in before:
        assert mended(windows, digests, unused).decode() == after.replace("\n", "\r\n")
    marked = codecs.BOM_UTF8 + before.encode()
    assert mended(marked, digests, unused) == codecs.BOM_UTF8 + after.encode()


def test_a_new_lock_has_a_head() -> None:
    assert mended(None, {"b:1": A, "a:1": B}, []).decode() == f"{HEAD}  a:1: {B}\n  b:1: {A}\n"


@pytest.mark.parametrize(
    "text",
    [
        f"version: 1\nimages:\n  ? b:1\n  : {A}\n",
        f"version: 1\nimages: {{b:1: {A}, # why\n  c:1: {A}}}\n",
        "version: 1\nimages: []\n",
    ],
)
def test_what_would_lose_something_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"lock|laid out|comments"):
        mended(text.encode(), {}, ["b:1"])


IMAGES = st.dictionaries(
    st.from_regex(r"([a-z]{1,3}\.io(:[0-9]{2})?/)?[a-z0-9]{1,4}(:[A-Za-z0-9_][a-z0-9.-]{0,3})?", fullmatch=True),
    st.sampled_from([A, B, C]),
    max_size=6,
)


NOISE = st.sampled_from(["", "# a comment", "      # one that is indented", "   ", "# k: sha256:0"])


@given(IMAGES, IMAGES, st.data())
def test_only_lines_of_what_is_asked_change(there: dict[str, str], new: dict[str, str], data: st.DataObject) -> None:
    indent, quote, end = (data.draw(st.sampled_from(s)) for s in ((" ", "    "), ("'", '"'), ("\n", "\r\n")))
    entries = {image: f"{indent}{quote}{image}{quote}:  {digest}  # of {image}" for image, digest in there.items()}
    lines = ["version: 1", *(["images: # all"] if there else [])]
    for entry in entries.values():
        lines += [*data.draw(st.lists(NOISE, max_size=2)), entry]
    lines += data.draw(st.lists(NOISE, max_size=2))
    text = end.join(lines) + data.draw(st.sampled_from(["", end]))
    unused = data.draw(st.sets(st.sampled_from(sorted(there)))) - new.keys() if there else set[str]()
    after = mended(text.encode(), new, unused).decode()
    wanted = {i: d for i, d in there.items() if i not in unused} | new
    assert load_lock(read("mlgen.lock", after.encode())) == (wanted, [])
    changed = {entries[image] for image in there if image in unused or image in new}
    others = [line for line in lines if line not in changed]
    left = [line.removesuffix("\r") for line in after.split("\n")]
    if "images: # all" in others and not wanted:  # a map with nothing in it
        others[1] = "images: {} # all"
    assert is_within(others, left)
    if "\r\n" in text:  # the text of one line has no end that one could keep to
        assert "\n" not in after.replace("\r\n", "")
    else:
        assert "\r" not in after
    assert mended(after.encode(), wanted, ()) == after.encode()


def is_within(some: list[str], all_: list[str]) -> bool:
    """Whether lines are there in their order, with others between them."""
    rest = iter(all_)
    return all(line in rest for line in some)
