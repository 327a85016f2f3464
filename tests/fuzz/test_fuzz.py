"""The fuzzer for two seconds, with the same inputs each time. `just fuzz` goes on from there."""

from __future__ import annotations

import random
from pathlib import Path

from tests.fuzz.fuzz_check import blind


def test_mutated_files_end_in_findings(tmp_path: Path) -> None:
    assert blind(2, random.Random(20261128), tmp_path) == 0
