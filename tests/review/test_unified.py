"""The lines in which two texts differ."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from mlgen.review.unified import WIDTH, unified

LINES = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)


@given(before=st.lists(LINES, max_size=8), after=st.lists(LINES, max_size=8))
def test_a_difference_is_always_seen(before: list[str], after: list[str]) -> None:
    old, new = "\n".join(before), "\n".join(after)
    found = unified(old, new)
    marked = [line for line in found if line[0] in "+-"]
    assert bool(marked) == (old != new)
    assert all(line[0] in "+- @" for line in found)
    assert not any("\n" in line for line in found)


@given(head=st.text("ab", max_size=400), tail=st.text("ab", max_size=400), change=st.tuples(LINES, LINES))
def test_a_long_line_is_cut_around_what_differs(head: str, tail: str, change: tuple[str, str]) -> None:
    old, new = (f"{head}{text}{tail}".replace("\n", " ") for text in change)
    found = [line for line in unified(old, new) if line[0] in "+-"]
    assert all(len(line) <= WIDTH + 3 for line in found)
    if old and new and old != new:
        assert len({line[1:] for line in found}) == 2


def test_what_repeats_nowhere_of_many_lines_takes_no_time() -> None:
    old, new = ("\n".join(f"{mark}{i}" for i in range(15_000)) for mark in "ab")
    assert len(unified(old, new)) == 30_000


def test_a_secret_is_masked_before_it_is_cut_and_its_change_is_seen() -> None:
    tokens = "abcdefghijklmnopqrstuvwxyz0123456789", "9876543210zyxwvutsrqponmlkjihgfedcba"
    old, new = (f"{'x ' * 85}ghp_{token} {'y ' * 90}" for token in tokens)
    found = unified(old, new)
    assert [line[0] for line in found] == ["@", "-", "+"]
    assert not any("ghp_" in line for line in found)
    env = "env:\n  - name: DB_PASSWORD\n    value: {}\n"
    assert unified(env.format("hunter2hunter2"), env.format('"correct horse"'))[1:] == (
        " env:",
        "   - name: DB_PASSWORD",
        "-    value: ***",
        "+    value: ***",
    )
    key = "-----BEGIN RSA PRIVATE KEY-----\nMIIEpAIBAAKCAQEA04up8hoqzS1\n-----END RSA PRIVATE KEY-----\n"
    assert unified("a\n", f"a\n{key}b\n") == ("@@ -1 +1,5 @@", " a", "+***", "+b")
