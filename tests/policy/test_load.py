"""Policy files with mistakes, tests/policy/mistakes/<code>.yaml, and beside each as .out what is said of it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from mlgen.diagnostic import to_text
from mlgen.policy.load import load

FOLDER = Path(__file__).parent / "mistakes"
CASES = sorted(FOLDER.glob("*.yaml"))


@pytest.mark.parametrize("file", CASES, ids=lambda file: file.stem)
def test_a_mistake_is_told_as_expected(file: Path) -> None:
    data = file.read_bytes()
    _, findings = load({f"policies/{file.name}": data})
    said = "\n".join(to_text(finding, data.decode().splitlines()) for finding in findings) + "\n"
    assert f"[{file.stem}]" in said
    assert all(finding.fix for finding in findings), "a finding says how to mend it"
    expected = file.with_suffix(".out")
    if os.environ.get("MLGEN_ACCEPT") == "1":
        expected.write_text(said)
    assert said == expected.read_text()
