"""The manual's cases: a spec with a mistake, tests/invalid/<code>/case*.yaml, and beside it as .out what is said of it.

A case is copied to pipelines/ of a fresh project, what else lies in its folder beside mlgen.yaml, and so what lies in a
folder of the case's own name. `check` reads it, or the command of its first line: `# $ mlgen …`.
MLGEN_ACCEPT=1 writes the .out files: read them as their author would.
"""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path

import pytest

from mlgen.cli.explain import manual
from mlgen.cli.main import run
from mlgen.codes import CODES
from mlgen.registry.failure import Kind

FOLDER = Path(__file__).parent / "invalid"
ACCEPT = os.environ.get("MLGEN_ACCEPT") == "1"
PROMPT = "# $ mlgen "


def spec(name: str, body: str) -> bytes:
    return f"version: 1\nname: {name}\n{body}".encode()


# What no text file can hold, or nobody wants to scroll through.
MADE: dict[str, bytes] = {
    "too-large/case.yaml": spec("case", "# " + "x" * (1 << 20)),
    "too-large/case-2.yaml": spec("case-2", "params: {grid: [" + "0," * 200_000 + "]}\n"),
    "not-utf8/case.yaml": spec("case", "description: caf\xe9\n").decode().encode("latin-1"),
    "not-utf8/case-2.yaml": spec("case-2", "tasks: {a: {run: echo}}\n").decode().encode("utf-16"),
    "yaml-syntax/case-4.yaml": spec("case-4", 'description: "a \x1b[2J b"\n'),
    "too-deep/case.yaml": spec("case", "params: {grid: " + "[" * 50_000 + "}\n"),
    "too-many-findings/case.yaml": spec(
        "case", "tasks:\n" + "".join(f"  t{i}: {{run: echo, in: [params.x]}}\n" for i in range(120))
    ),
    "script-too-large/case.yaml": spec("case", "tasks:\n  greet:\n    run: |\n" + "      echo hello\n" * 9000),
    # Each $ is doubled, so that Kubernetes leaves it as it is.
    "object-too-large/case.yaml": f"{PROMPT}render pipelines/case.yaml --env prod --stdout\n".encode()
    + spec("case", f"tasks:\n  pay: {{image: busybox@sha256:{'0' * 64}, run: [echo, '{'$' * 510_000}']}}\n"),
}

CASES = sorted({*MADE, *(str(path.relative_to(FOLDER)) for path in FOLDER.glob("*/case*.yaml"))})


@pytest.mark.parametrize("case", CASES)
def test_a_mistake_is_told_as_expected(
    case: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    file = FOLDER / case
    data = MADE[case] if case in MADE else file.read_bytes()
    lay_out(file, data, tmp_path)
    monkeypatch.chdir(tmp_path)
    first = data.split(b"\n", 1)[0].decode(errors="replace")
    command = first.removeprefix(PROMPT) if first.startswith(PROMPT) else f"check pipelines/{file.name}"
    code = run(command.split())
    out, err = capsys.readouterr()
    said = f"$ mlgen {command}\n{out}{err}exit {code}\n"
    assert f"[{file.parent.name}]" in said
    findings = [part for part in said.split("\n\n") if re.search(r": (error|warning)\[", part)]
    assert all("\n   fix  " in part for part in findings), "a finding says how to mend it"
    expected = file.with_suffix(".out")
    if ACCEPT:
        expected.parent.mkdir(exist_ok=True)
        expected.write_text(said)
    assert said == expected.read_text()


def lay_out(file: Path, data: bytes, project: Path) -> None:
    """A project with one case in it, and the other files of the case's folder."""
    (project / "mlgen.yaml").write_text("version: 1\n")
    for folder, ignored in ((file.parent, shutil.ignore_patterns("case*")), (file.with_suffix(""), None)):
        if folder.is_dir():
            shutil.copytree(folder, project, dirs_exist_ok=True, ignore=ignored)
    (project / "pipelines").mkdir(exist_ok=True)
    (project / "pipelines" / file.name).write_bytes(data)


def test_every_code_has_a_page_in_the_manual_and_a_case() -> None:
    assert list(manual()) == list(CODES), "codes.md: a heading for each code, in the order of CODES"
    of_policies = {path.stem for path in (FOLDER.parent / "policy" / "mistakes").glob("*.yaml")}
    # See tests/registry, tests/policy, tests/cli/test_converted.py.
    elsewhere = {str(kind) for kind in Kind} | of_policies | {"changed-by-git"}
    assert {Path(case).parts[0] for case in CASES} == CODES.keys() - elsewhere
    assert all(manual().values())


def test_every_expectation_has_its_case() -> None:
    assert {str(path.relative_to(FOLDER).with_suffix(".yaml")) for path in FOLDER.glob("*/*.out")} == set(CASES)
