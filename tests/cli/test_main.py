"""The command line as a whole: verbs, help, exit codes, and that nothing ends in a traceback."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from mlgen import diagnostic
from mlgen.cli import main as command_line
from mlgen.cli import output
from mlgen.cli.ledger import VERBS as LEDGER_VERBS
from mlgen.cli.output import answer_json
from mlgen.cli.verbs import VERBS, help_text

ROOT = Path(__file__).parents[2]
PYTHON = [sys.executable, "-m", "mlgen"]


def mlgen(*args: str, cwd: Path | None = None, **env: str) -> subprocess.CompletedProcess[str]:
    environ = {k: v for k, v in os.environ.items() if not k.startswith("MLGEN_")}
    generator = str(ROOT / "generator")
    return subprocess.run(
        [*PYTHON, *args],
        cwd=cwd,
        env={**environ, "PYTHONPATH": generator, **env},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("args", [[], ["--help"], ["-h"], ["help"]])
def test_help_names_every_verb(args: list[str]) -> None:
    found = mlgen(*args)
    assert (found.returncode, found.stdout, found.stderr) == (0, help_text(), "")
    assert all(f"\n  {verb} " in found.stdout for verb in VERBS)


@pytest.mark.parametrize("verb", ["gc", "ledger", "policy", "runs"])
def test_what_is_below_a_verb_is_told_in_whole_sentences(verb: str) -> None:
    listed = mlgen(verb, "--help").stdout.partition("Commands:\n")[2]
    assert listed
    assert "..." not in listed


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_has_help_and_takes_a_folder(verb: str) -> None:
    found = mlgen(verb, "--help")
    assert found.returncode == 0
    assert found.stdout.startswith(f"Usage: mlgen {verb}")
    if "COMMAND" not in found.stdout.splitlines()[0]:
        assert "-C DIR" in found.stdout


@pytest.mark.parametrize("verb", LEDGER_VERBS)
def test_every_verb_of_the_ledger_has_help_and_takes_a_folder(verb: str) -> None:
    found = mlgen("ledger", verb, "--help")
    assert found.returncode == 0
    assert found.stdout.startswith(f"Usage: mlgen ledger {verb}")
    assert "-C DIR" in found.stdout


def test_a_verb_of_the_ledger_loads_no_other() -> None:
    listed = mlgen("ledger", "--help")
    assert all(f"\n  {verb} " in listed.stdout for verb in LEDGER_VERBS)
    code = "import sys; from mlgen.cli.main import run; run(['ledger', 'hook', '--help']); print(*sys.modules)"
    environ = {**os.environ, "PYTHONPATH": str(ROOT / "generator")}
    loaded = subprocess.run([sys.executable, "-c", code], env=environ, capture_output=True, text=True, check=True)
    names = loaded.stdout.splitlines()[-1].split()
    assert [one for one in names if one.startswith("mlgen.cli.ledgers.")] == ["mlgen.cli.ledgers.hook"]


def test_version() -> None:
    assert mlgen("--version").stdout.startswith("mlgen 0.")


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["chek"], "Did you mean check"),
        (["ledger", "folt"], "Did you mean fold"),
        (["check", "--frmat", "json"], "No such option"),
        (["check", "--format", "yaml"], "is not one of"),
        (["plan"], "Missing argument 'FILE'"),
        (["check", "-C", "nowhere"], "nowhere: No such file or directory"),
        (["--nonsense"], "No such option"),
    ],
)
def test_a_wrong_command_line_is_told_with_the_usage(args: list[str], said: str, tmp_path: Path) -> None:
    found = mlgen(*args, cwd=tmp_path)
    assert found.returncode == 2
    assert found.stdout == ""
    assert found.stderr.startswith("Usage: mlgen")
    assert said in found.stderr


@pytest.mark.parametrize("args", [["explain", "unknown-out", "-C", "."], ["-C", ".", "explain", "unknown-out"]])
def test_a_folder_may_stand_before_or_after_the_verb(args: list[str], tmp_path: Path) -> None:
    assert mlgen(*args, cwd=tmp_path).stdout.startswith("unknown-out: ")


def test_a_file_that_is_not_there_is_a_misuse(tmp_path: Path) -> None:
    found = mlgen("check", "pipelines/none.yaml", cwd=tmp_path)
    assert found.returncode == 2
    assert "error[no-such-file]" in found.stderr


# Whether Python buffers decides where a stream that takes nothing is noticed; images of containers often forbid it.
BUFFERING = pytest.mark.parametrize("unbuffered", ["", "1"], ids=["buffered", "unbuffered"])


@BUFFERING
def test_a_reader_that_goes_away_is_no_error(unbuffered: str, tmp_path: Path) -> None:
    python = f"PYTHONPATH={Path(__file__).parents[2] / 'generator'} PYTHONUNBUFFERED={unbuffered} {sys.executable}"
    script = f"{python} -m mlgen schema pipeline | head -c 1; echo ${{PIPESTATUS[0]}}"
    found = subprocess.run(["bash", "-c", script], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert found.stdout == "{0\n"
    assert found.stderr == ""


DEMO = "version: 1\nname: a\ntasks:\n  t: {run: echo}\n"


@BUFFERING
@pytest.mark.parametrize(
    ("command", "code", "said"),
    [
        ("--help >&-", 0, ""),
        ("--version >/dev/full", 3, "error[not-printed]"),
        ("check >&-", 0, ""),
        ("plan pipelines/a.yaml >/dev/full", 3, "error["),
        ("plan pipelines/none.yaml 2>/dev/full", 2, ""),
        ("run pipelines/a.yaml >&- 2>&-", 0, ""),
        ("run pipelines/a.yaml >/dev/full", 0, "done, but the answer could not be printed"),
    ],
)
def test_a_stream_that_takes_nothing_is_told(
    command: str, code: int, said: str, unbuffered: str, tmp_path: Path
) -> None:
    (tmp_path / "pipelines").mkdir()
    (tmp_path / "pipelines" / "a.yaml").write_text(DEMO)
    python = f"PYTHONPATH={Path(__file__).parents[2] / 'generator'} PYTHONUNBUFFERED={unbuffered} {sys.executable}"
    script = f"{python} -m mlgen {command}"
    found = subprocess.run(["bash", "-c", script], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert found.returncode == code, found.stderr
    assert said in found.stderr
    assert "Traceback" not in found.stderr
    assert "error[bug]" not in found.stderr


def test_json_says_the_same_and_commands_no_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    value = {"café →": "\x1b[2J \x9b2J \u202egnp\u2066 \x7f \udcff \U000e0041 \u2028"}
    answer_json(value)
    printed = capsys.readouterr().out
    assert "café →" in printed
    assert all(line.isprintable() for line in printed.split("\n"))
    assert json.loads(printed) == value


def test_a_path_commands_no_terminal(tmp_path: Path) -> None:
    folder = tmp_path / "a\x1b[2J\u202e"
    made = mlgen("init", str(folder))
    assert made.returncode == 0, made.stderr
    (folder / "pipelines" / "a.yaml").write_text(DEMO.replace("echo", "echo said; exit 1"))
    run = mlgen("run", "pipelines/a.yaml", cwd=folder)
    assert "its log: " in run.stderr
    for printed in (made.stdout, run.stdout, run.stderr):
        assert all(line.isprintable() for line in printed.split("\n"))


def test_our_own_mistake_is_told_in_a_line(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def broken(_root: object, _ctx: object, _name: str) -> None:
        raise RuntimeError("the \x1b[31mreason")

    monkeypatch.delenv("MLGEN_DEBUG", raising=False)
    monkeypatch.setattr(command_line._Root, "get_command", broken)
    assert command_line.run(["check"]) == 3
    said = capsys.readouterr().err
    assert "error[bug]: RuntimeError: the \\x1b[31mreason" in said
    assert "Traceback" not in said


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (diagnostic.Misuse("x", "wrong"), 2, "error[x]: wrong"),
        (diagnostic.CannotAnswer("x", "gone", fix="wait"), 3, "   fix  wait"),
        (KeyboardInterrupt(), 130, ""),
        (OSError(28, "No space left on device", "some/file"), 3, "error[disk-full]: some/file"),
        (PermissionError(13, "Permission denied", "some/file"), 3, "error[system-error]: some/file: Permission denied"),
    ],
)
def test_every_end_has_its_code(
    error: BaseException, code: int, said: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(_root: object, _ctx: object, _name: str) -> None:
        raise error

    monkeypatch.setattr(command_line._Root, "get_command", broken)
    assert command_line.run(["check"]) == code
    assert said in capsys.readouterr().err


def test_no_error_tells_a_secret(capsys: pytest.CaptureFixture[str]) -> None:
    """Whoever typed it, or has it in a file, knows it; who reads a CI's log does not."""
    told = "https://anna:hunter2@git.example/x"
    span = diagnostic.Span("a.yaml", 1, 1, 1, 2)
    output.fault(diagnostic.Misuse("bad-argument", f"{told} is no number", why=told, fix=told))
    output.findings_to_stderr([diagnostic.Diagnostic("bad-value", told, span, why=told)])
    output.note(told)
    output.bug(ValueError(told))
    said = capsys.readouterr().err
    assert "hunter2" not in said
    assert said.count("https://anna:***@git.example/x") == 7
    output.note("7Q3nK2e5ZV4m8R1tGhJ2kL is no run")  # it only looks random
    assert "7Q3nK2e5ZV4m8R1tGhJ2kL" in capsys.readouterr().err


# What a verb must not import: each would be felt at every start (facts: kubernetes 630 ms, rich 125, obstore 36).
FORBIDDEN = {
    "--help": {"typer", "yaml", "jsonschema_rs", "rich", "obstore", "asyncio", "urllib.request"},
    "check": {"rich", "obstore", "jsonschema", "kubernetes", "ruamel", "asyncio", "urllib.request", "sqlite3"},
}


@pytest.mark.parametrize("verb", FORBIDDEN)
def test_a_start_imports_little(verb: str, tmp_path: Path) -> None:
    (tmp_path / "pipelines").mkdir()
    (tmp_path / "pipelines" / "a.yaml").write_text("version: 1\nname: a\ntasks:\n  t: {run: echo}\n")
    code = (
        "import sys; sys.argv = ['mlgen', *sys.argv[1:]]\n"
        "from mlgen.__main__ import main\n"
        "end = main()\n"
        "print('\\n' + '\\n'.join(sys.modules))\n"
        "sys.exit(end)"
    )
    generator = str(ROOT / "generator")
    found = subprocess.run(
        [sys.executable, "-c", code, verb],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": generator},
        capture_output=True,
        text=True,
        check=True,
    )
    assert "mlgen.cli.verbs" in found.stdout.splitlines()
    assert FORBIDDEN[verb] & set(found.stdout.splitlines()) == set()


def test_guides_that_are_named_are_there_and_where_users_find_them() -> None:
    """Who installed mlgen has no generator/: a guide has an address."""
    rooms = ROOT / "generator/mlgen"
    helps = "".join(path.read_text() for path in [*rooms.glob("cli/**/*.py"), *rooms.glob("editor/*.py")])
    named = re.findall(r"https://github.com/mlgen/mlgen/(?:blob|tree)/main/([^\s\"]+)", helps)
    assert len(named) > 3
    assert all((ROOT / path.rstrip(").")).exists() for path in named)
