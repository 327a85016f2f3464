"""The table of faults, against the code that raises them."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import mlgen
from mlgen.cli.explain import IN_PODS
from mlgen.cli.faults import FAILURES, FAULTS, MISUSES, REFUSALS
from mlgen.cli.main import run
from mlgen.codes import CODES
from mlgen.ledger.folding import intake


def raised() -> set[str]:
    """The codes of all faults in our source; each is a literal."""
    found = set()
    for path in Path(mlgen.__file__).parent.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            match node:
                case ast.Call(args=[ast.Attribute(attr="code"), *_]):  # one that is told again, with more words
                    continue
                case ast.Call(func=ast.Name(id="CannotAnswer" | "Misuse" | "PushRefused"), args=[code, *_]):
                    found.add(ast.literal_eval(code))
    return found


def test_a_fault_is_of_one_kind() -> None:
    assert not MISUSES.keys() & FAILURES.keys()
    assert set(IN_PODS) <= FAULTS.keys()


def test_each_fault_has_its_line() -> None:
    assert raised() - CODES.keys() == FAULTS.keys()
    assert not FAULTS.keys() & CODES.keys()


@pytest.mark.parametrize(
    ("code", "said", "where"),
    [
        ("ledger-locked", "another git command", "exits with 3"),
        ("bug", "a mistake in mlgen", "exits with 3"),
        ("bad-argument", "a -p that the pipeline does not take", "exits with 2"),
        ("not-kept", "outs of a task that stage-out could not read", "`mlgen logs RUN TASK --env E`"),
    ],
)
def test_a_fault_is_explained(code: str, said: str, where: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["explain", code]) == 0
    text = capsys.readouterr().out
    assert text.startswith(f"{code}: ")
    assert said in text
    assert f"error[{code}]: what happened\n     why  " in text
    assert where in text


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("secret-in-record", ["`_ledger/dead/`", "withdraw the secret"]),
        ("ledger-conflict", ["the first that landed stays"]),
        ("bad-record", ["`_ledger/dead/`", "`mlgen ledger verify` found it"]),
        ("ledger-rewritten", ["`mlgen ledger epoch` makes one", "exits with 3"]),
    ],
)
def test_each_meaning_of_a_code_is_explained(code: str, said: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["explain", code]) == 0
    text = capsys.readouterr().out
    assert all(one in text for one in said)


def test_why_a_record_did_not_land_is_explained() -> None:
    told = set()
    for name in ("intake", "landing", "fold"):
        source = (Path(mlgen.__file__).parent / "ledger" / "folding" / f"{name}.py").read_text()
        for node in ast.walk(ast.parse(source)):
            match node:
                case ast.Call(func=ast.Name(id="Refused"), args=[_, ast.Constant(value=code), *_]):
                    told.add(code)
    assert {"bad-record", "ledger-conflict"} <= told <= REFUSALS.keys() | FAULTS.keys() | CODES.keys()
    assert intake.SECRET in REFUSALS


def test_a_slip_may_mean_either(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["explain", "ledger-lockd"]) == 2
    assert "did you mean ledger-locked" in capsys.readouterr().err
