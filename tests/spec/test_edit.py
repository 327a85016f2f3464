"""A pin written into mlgen.yaml: every other byte stays."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlgen.spec.document import read
from mlgen.spec.edit import with_pin

OLD, NEW = "1" * 40, "1234567890123456789012345678901234567e12"  # an id that reads as a number where it is not quoted

# What is written, and what comes of it; PIN stands for the new id.
TOP = "environments:\n  prod:\n"
CASES = {
    "block": (TOP + "    namespace: a  # b\n", TOP + '    pin: "PIN"\n    namespace: a  # b\n'),
    "double": (f'environments:\n  prod: {{pin: "{OLD}"}}  # x\n', 'environments:\n  prod: {pin: "PIN"}  # x\n'),
    "single": (f"{TOP}    pin:   '{OLD}'   # since May\n", f"{TOP}    pin:   'PIN'   # since May\n"),
    "plain": (TOP + "    pin: abc\n    x: 1", TOP + '    pin: "PIN"\n    x: 1'),
    "flow": ("environments: {prod: { x: a}}", 'environments: {prod: { pin: "PIN", x: a}}'),
    "flow over lines": (
        "environments: {\n  prod: {\n    namespace: a,\n  },\n}\n",
        'environments: {\n  prod: {\n    pin: "PIN", namespace: a,\n  },\n}\n',
    ),
    "json": ('{"environments": {"prod": {"x": "a"}}}', '{"environments": {"prod": {"pin": "PIN", "x": "a"}}}'),
    "json pinned": (f'{{"environments": {{"prod": {{"pin":"{OLD}"}}}}}}', '{"environments": {"prod": {"pin":"PIN"}}}'),
    "windows": (
        "environments:\r\n  prod:\r\n    namespace: a\r\n",
        'environments:\r\n  prod:\r\n    pin: "PIN"\r\n    namespace: a\r\n',
    ),
    "comments": (
        "# top\nenvironments:\n\n  prod:   # here\n\n      # the namespace\n      x: a\n\n\n  dev:\n    x: b\n# end",
        "# top\nenvironments:\n\n  prod:   # here\n\n      # the namespace\n"
        '      pin: "PIN"\n      x: a\n\n\n  dev:\n    x: b\n# end',
    ),
    "mark": (f"\ufeff{TOP}    namespace: é\n", f'\ufeff{TOP}    pin: "PIN"\n    namespace: é\n'),
    "quoted names": (
        'environments:\n  "prod":\n    "namespace": a\n',
        'environments:\n  "prod":\n    pin: "PIN"\n    "namespace": a\n',
    ),
    "empty value": (TOP + "    pin:\n    namespace: a\n", None),
    "odd key": (TOP + "    ? namespace\n    : a\n", None),
    "on one line": ("environments: {prod: {}}", None),
    "nothing": (TOP, None),
    "no such": ("environments:\n  dev: {namespace: a}\n", None),
    "no map": ("[1]", None),
    "broken": ("environments: {prod: {namespace: a}", None),
    "another document": (TOP + "    namespace: a\n---\n", None),
}


@pytest.mark.parametrize("case", CASES)
def test_all_but_the_pin_stays_as_it_was(case: str) -> None:
    before, after = CASES[case]
    found = with_pin(before.encode(), "prod", NEW)
    assert (found and found.decode()) == (after and after.replace("PIN", NEW))
    if found is not None:
        assert with_pin(found, "prod", NEW) == found
        back = with_pin(found, "prod", OLD)
        assert back is not None
        assert with_pin(back, "prod", NEW) == found


COMMENT = st.text(alphabet="abc #'\":{}[]%&*!|>@`-é", max_size=12).map(lambda text: f"# {text}")


@given(
    comments=st.lists(COMMENT, min_size=6, max_size=6),
    indents=st.tuples(st.integers(1, 5), st.integers(1, 5)),
    newline=st.sampled_from(["\n", "\r\n"]),
    keys=st.permutations(["namespace: a", "labels: {x: 'y'}", "queue: 1h", "pin: 'abc'", "user: 7"]),
)
def test_every_other_line_is_the_same(
    comments: list[str], indents: tuple[int, int], newline: str, keys: list[str]
) -> None:
    outer, inner = " " * indents[0], " " * sum(indents)
    lines = [comments[0], "version: 1", comments[1], "environments:", f"{outer}dev:", f"{inner}namespace: x"]
    lines += [f"{outer}{comments[2]}", f"{outer}prod:"]
    lines += [f"{inner}{key}  {comment}" for key, comment in zip(keys, comments[1:], strict=False)]
    text = newline.join(lines)
    found = with_pin(text.encode(), "prod", NEW)
    assert found is not None
    made = found.decode().split(newline)
    changed = [(old, new) for old, new in zip(lines, made, strict=True) if old != new]
    assert [(old.replace("'abc'", f"'{NEW}'"), new) for old, new in changed] == [(new, new) for _, new in changed]
    assert len(changed) == 1
    document = read("mlgen.yaml", found)
    assert document.data["environments"]["prod"]["pin"] == NEW  # type: ignore[index,call-overload]
