"""The table of faults, against the code that raises them."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import mlgen
from mlgen.cli.faults import FAULTS
from mlgen.cli.main import run
from mlgen.diagnostic import CODES


def raised() -> set[str]:
    """The codes of all faults in our source; each is a literal."""
    found = set()
    for path in Path(mlgen.__file__).parent.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            match node:
                case ast.Call(func=ast.Name(id="CannotAnswer" | "Misuse"), args=[code, *_]):
                    found.add(ast.literal_eval(code))
    return found


def test_each_fault_has_its_line() -> None:
    assert raised() - CODES.keys() == FAULTS.keys()
    assert not FAULTS.keys() & CODES.keys()


@pytest.mark.parametrize(("code", "said"), [("ledger-locked", "another git command"), ("bug", "a mistake in mlgen")])
def test_a_fault_is_explained(code: str, said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["explain", code]) == 0
    text = capsys.readouterr().out
    assert text.startswith(f"{code}: ")
    assert said in text
    assert "where it is printed" in text


def test_a_slip_may_mean_either(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["explain", "ledger-lockd"]) == 2
    assert "did you mean ledger-locked" in capsys.readouterr().err
