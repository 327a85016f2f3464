"""What the guide of environments says is so: its commands, in its order, in a repository of its own."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from mlgen.cli.faults import FAULTS
from mlgen.codes import CODES
from tests.cli.pinned import change, make, spec
from tests.revisions import IDENTITY, commit, run_git

ROOT = Path(__file__).parents[1]
GUIDE = (ROOT / "generator/guides/environments.md").read_text()
BLOCKS = re.findall(r"^```sh\n(.*?)^```$", GUIDE, re.DOTALL | re.MULTILINE)


@pytest.fixture
def sh(tmp_path: Path) -> Callable[[str], str]:
    (tmp_path / "bin").mkdir()
    program = tmp_path / "bin/mlgen"
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m mlgen "$@"\n')
    program.chmod(0o755)
    path = os.pathsep.join([str(tmp_path / "bin"), os.environ["PATH"]])

    def call(block: str) -> str:
        done = subprocess.run(
            ["sh", "-e", "-c", block],
            cwd=tmp_path / "r",
            env={**os.environ, **IDENTITY, "PYTHONPATH": str(ROOT / "generator"), "PATH": path},
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
        assert done.returncode == 0, f"{block}{done.stdout}{done.stderr}"
        return done.stdout

    return call


def pin(root: Path) -> str:
    return str(yaml.safe_load((root / "mlgen.yaml").read_text())["environments"]["prod"]["pin"])


def test_its_commands_promote_and_roll_back(tmp_path: Path, sh: Callable[[str], str]) -> None:
    promote, diff, compare, back = BLOCKS
    root = tmp_path / "r"
    make(root)
    sh("mlgen render")
    first = commit(root)
    sh(promote)
    assert pin(root) == first
    change(root, {"pipelines/churn.yaml": spec().replace("epochs 1", "epochs 2")})
    sh("mlgen render")
    second = commit(root)
    assert "churn" in sh(compare)
    assert pin(root) == first
    assert ", 3 commits\n" in sh(promote)
    assert pin(root) == second
    assert run_git(root, "status", "--porcelain") == ""
    assert "churn" in sh(diff)
    sh("mlgen render --check")
    sh(back)
    assert pin(root) == first
    assert run_git(root, "status", "--porcelain") == ""
    sh("mlgen render --check")


def test_its_codes_are_ours() -> None:
    told = set(re.findall(r"`([a-z]+-[a-z]+)`", GUIDE)) - {"fetch-depth"}
    assert told
    assert told <= CODES.keys() | FAULTS.keys()
