from __future__ import annotations

import json

import pytest

from mlgen.runtime.secrets import held_secret, masked

KEY = 'one "quoted" line\nanother-line\n}\n'


@pytest.mark.parametrize(
    "text",
    [KEY, f"a {KEY.strip()} b", "x another-line x", json.dumps({"k": KEY}), json.dumps('one "quoted" line')],
)
def test_a_secret_is_found_in_each_of_its_forms_and_masked(text: str) -> None:
    assert held_secret([text], {"OTHER": "absent", "KEY": KEY}) == "KEY"
    assert held_secret([masked(text, [KEY])], {"KEY": KEY}) is None


def test_what_is_no_secret_is_left_alone() -> None:
    assert held_secret(["{ a } b\n"], {"KEY": KEY, "EMPTY": "", "BLANK": " \n"}) is None
    assert masked("a } b \\n", [KEY, "", " \n"]) == "a } b \\n"
