"""`mlgen run` and `mlgen logs` as people and scripts call them, in a real repository."""

from __future__ import annotations

import io
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from mlgen.cli.main import run as mlgen

HERE = Path(__file__).parents[2]
GIT = ("git", "-c", "user.name=a", "-c", "user.email=a@b", "-c", "init.defaultBranch=main")

SPEC = """\
version: 1
name: demo
params:
  word: {type: string}
  n: {default: 3, minimum: 1}
  fail: {choices: ["no", "yes"], default: "no"}
inputs:
  raw: data.txt
tasks:
  make:
    run: |
      cat "$raw" > "$copy"
      echo "$word" > "$said"
      test "$fail" = no || { echo "it broke here at https://anna:hun"'ter2@git.example' >&2; exit 7; }
    in: [inputs.raw, params.word, params.fail]
    out: {copy: dataset, said: string}
  big:
    if: params.n > 5
    run: echo "$said"
    in: [make.said]
"""

Repository = Path


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Repository:
    for name in ("HOME", "XDG_CONFIG_HOME"):
        monkeypatch.setenv(name, str(tmp_path / "home"))
    root = tmp_path / "project"
    (root / "pipelines").mkdir(parents=True)
    (root / "mlgen.yaml").write_text("version: 1\nrepository: https://git.example/acme/ml\n")
    (root / "pipelines" / "demo.yaml").write_text(SPEC)
    (root / "data.txt").write_text("bytes\n")
    monkeypatch.chdir(root)
    return root


@pytest.fixture
def committed(repository: Repository) -> Repository:
    for command in (["init", "-q"], ["add", "-A"], ["commit", "-qm", "x"]):
        subprocess.run([*GIT, *command], check=True)
    return repository


Capture = pytest.CaptureFixture[str]
RUN = ["run", "pipelines/demo.yaml", "-p", "word=hi"]


def shown(path: str, branch: str = "ledger", git_dir: str = ".git") -> str:
    done = subprocess.run([*GIT, f"--git-dir={git_dir}", "show", f"{branch}:{path}"], check=True, capture_output=True)
    return done.stdout.decode()


def ledger(git_dir: str = ".git") -> dict[str, dict[str, object]]:
    """What is on the ledger's branch, by file name."""
    listed = subprocess.run(
        [*GIT, f"--git-dir={git_dir}", "ls-tree", "-r", "--name-only", "ledger"],
        check=True,
        capture_output=True,
        text=True,
    )
    return {Path(path).name.split(".")[0]: json.loads(shown(path, git_dir=git_dir)) for path in listed.stdout.split()}


def test_a_run_answers_and_its_records_are_on_the_branch(committed: Repository, capsys: Capture) -> None:
    assert mlgen([*RUN, "--name", "first"]) == 0
    answer = capsys.readouterr()
    assert answer.out.startswith("first  COMPLETE\n  make  succeeded\n          said = hi\n")
    assert "  big   skipped: its gate was false: params.n > 5 (3 > 5)\n" in answer.out
    assert "copy: .mlgen/artifacts/demo/first/make." in answer.out
    records = ledger()
    assert set(records) == {"make-0", "run"}
    head = subprocess.run([*GIT, "rev-parse", "HEAD"], check=True, capture_output=True, text=True).stdout.strip()
    assert records["run"]["commit"] == head
    job = records["make-0"]["job"]
    assert isinstance(job, dict)
    assert job["facets"]["sourceCodeLocation"]["url"] == f"https://git.example/acme/ml/blob/{head}/pipelines/demo.yaml"
    status = subprocess.run([*GIT, "status", "--porcelain"], check=True, capture_output=True, text=True)
    assert status.stdout == ""


def test_an_edited_spec_has_no_commit(committed: Repository, capsys: Capture) -> None:
    (committed / "data.txt").write_text("other bytes\n")
    assert mlgen(RUN) == 0
    assert ledger()["run"]["commit"] is None


def test_json_is_the_answer_and_nothing_else_is_on_stdout(committed: Repository, capsys: Capture) -> None:
    assert mlgen([*RUN, "--name", "first", "--format", "json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert set(answer) == {"run", "uid", "state", "tasks", "ledger"}
    assert answer["tasks"]["big"] == {"status": "None", "reason": "When Expressions evaluated to false"}
    tip = subprocess.run([*GIT, "rev-parse", "ledger"], check=True, capture_output=True, text=True).stdout.strip()
    assert answer["ledger"] == tip


def test_a_failure_shows_why_and_where_to_read_on(committed: Repository, capsys: Capture) -> None:
    assert mlgen([*RUN, "-p", "fail=yes", "--name", "bad"]) == 1
    answer = capsys.readouterr()
    assert answer.out.startswith("bad  FAIL\n  make  failed, exit code 7\n")
    assert "  big   not started: make failed\n" in answer.out
    assert "logs    mlgen logs bad make\n" in answer.out
    assert "make  failed, exit code 7  (" in answer.err
    assert "big   not started: make failed\n" in answer.err
    assert "      | it broke here at https://anna:***@git.example\n" in answer.err
    log = next(line for line in answer.err.splitlines() if "its log: " in line).partition("its log: ")[2]
    assert Path(log).read_text() == "it broke here at https://anna:hunter2@git.example\n"
    assert mlgen(["logs", "bad"]) == 0
    assert capsys.readouterr().out == "it broke here at https://anna:hunter2@git.example\n"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["run", "pipelines/demo.yaml"], 'param "word" (string) is required'),
        ([*RUN, "-p", "n=0"], 'param "n": 0 is below the minimum 1'),
        ([*RUN, "-p", "m=1"], '"m" is neither a param nor an input'),
        ([*RUN, "-p", "raw=none.txt"], 'input "raw": there is no'),
        ([*RUN, "--env", "lokal"], "did you mean local?"),
        ([*RUN, "--name", "No"], '"No" is no name for a run'),
        ([*RUN, "--detach"], "--detach is for runs in a cluster"),
    ],
)
def test_what_is_asked_wrongly_starts_nothing(
    committed: Repository, capsys: Capture, arguments: list[str], said: str
) -> None:
    assert mlgen(arguments) == 2
    answer = capsys.readouterr()
    assert said in answer.err
    assert answer.out == ""
    assert not (committed / ".mlgen").exists()


def test_several_wrong_arguments_are_told_a_line_each(committed: Repository, capsys: Capture) -> None:
    assert mlgen([*RUN, "-p", "n=0", "-p", "m=1"]) == 2
    lines = capsys.readouterr().err.splitlines()
    assert [line for line in lines if line.startswith("   why  ")] == [
        '   why  "m" is neither a param nor an input',
        '   why  param "n": 0 is below the minimum 1',
    ]


def test_a_name_is_used_once(committed: Repository, capsys: Capture) -> None:
    assert mlgen([*RUN, "--name", "first"]) == 0
    assert mlgen([*RUN, "--name", "first"]) == 2
    assert 'there is a run "first" already' in capsys.readouterr().err


def test_without_git_nothing_starts(repository: Repository, capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(repository / "nowhere"))
    assert mlgen(RUN) == 3
    assert "error[git-missing]" in capsys.readouterr().err
    assert not (repository / ".mlgen").exists()


def test_outside_a_repository_the_ledger_is_beside_the_runs(repository: Repository, capsys: Capture) -> None:
    assert mlgen(RUN) == 0
    assert set(ledger(".mlgen/ledger.git")) == {"make-0", "run"}


@pytest.mark.parametrize("in_git", [True, False])
def test_a_question_makes_nothing(repository: Repository, capsys: Capture, in_git: bool) -> None:
    if in_git:
        subprocess.run([*GIT, "init", "-q"], check=True)
    for command, code in {
        "runs list": 0,
        "runs show x": 2,
        "lineage data.txt": 2,
        "ledger fold --status": 0,
        "ledger fold": 0,
        "logs": 2,
    }.items():
        assert mlgen(command.split()) == code, command
    assert not (repository / ".mlgen").exists()
    assert subprocess.run([*GIT, "rev-parse", "-q", "--verify", "ledger"], check=False).returncode != 0


def test_a_locked_ledger_costs_a_line(committed: Repository, capsys: Capture) -> None:
    (committed / ".git" / "refs" / "heads").mkdir(parents=True, exist_ok=True)
    lock = committed / ".git" / "refs" / "heads" / "ledger.lock"
    lock.touch()
    assert mlgen(RUN) == 0
    answer = capsys.readouterr()
    assert "the records wait in the spool" in answer.err
    assert "ledger  not written yet: the records wait\n" in answer.out
    lock.unlink()
    assert mlgen(RUN) == 0
    assert sum(name.startswith("run") for name in ledger()) == 1
    assert len(list((committed / ".mlgen" / "runs").iterdir())) == 2


def start(*arguments: str) -> subprocess.Popen[str]:
    env = {**os.environ, "PYTHONPATH": str(HERE / "generator")}
    return subprocess.Popen(
        [sys.executable, "-m", "mlgen", *arguments], env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def wait_for(found: Callable[[], object]) -> None:
    until = time.monotonic() + 20
    while not found():
        assert time.monotonic() < until
        time.sleep(0.02)


@pytest.fixture
def sleepy(committed: Repository) -> Repository:
    (committed / "pipelines" / "sleepy.yaml").write_text(
        "version: 1\nname: sleepy\ntasks: {nap: {run: 'echo dreaming; sleep 300'}}\n"
    )
    return committed


def test_an_interrupt_is_told(sleepy: Repository) -> None:
    with start("run", "pipelines/sleepy.yaml", "--name", "night") as process:
        wait_for(lambda: list(sleepy.glob(".mlgen/runs/*/nap-0/log")))
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=20)
    assert process.returncode == 130
    assert out.startswith("night  ABORT\n  nap  aborted: the run was interrupted\n")
    assert "Traceback" not in err
    assert ledger()["run"]["state"] == "ABORT"


def test_the_next_command_tells_of_a_killed_run(sleepy: Repository, capsys: Capture) -> None:
    with start("run", "pipelines/sleepy.yaml", "--name", "night") as process:
        wait_for(lambda: list(sleepy.glob(".mlgen/runs/*/nap-0/log")))
        process.kill()
    assert mlgen(RUN) == 0
    assert "night was cut off before it ended; what is known of it is told now" in capsys.readouterr().err
    assert ledger()["nap-0"]["eventType"] == "ABORT"


def test_logs_of_all_attempts_and_of_what_has_none(committed: Repository, capsys: Capture) -> None:
    (committed / "pipelines" / "twice.yaml").write_text(
        "version: 1\nname: twice\n"
        "tasks:\n"
        "  a: {run: 'echo try; test -e ../../again || { touch ../../again; exit 1; }', retries: 1}\n"
        "  b: {run: echo b, after: [a]}\n"
        "  c: {if: params.go == \"yes\", run: 'true', in: [params.go]}\n"
        'params: {go: {choices: ["no", "yes"], default: "no"}}\n'
    )
    assert mlgen(["run", "pipelines/twice.yaml", "--name", "pair"]) == 0
    capsys.readouterr()
    assert mlgen(["logs", "pair"]) == 0
    assert capsys.readouterr().out == "== a, attempt 1 ==\ntry\n\n== a, attempt 2 ==\ntry\n\n== b, attempt 1 ==\nb\n"
    assert mlgen(["logs", "pair", "b"]) == 0
    assert capsys.readouterr().out == "b\n"
    assert mlgen([*RUN, "-p", "fail=yes", "--name", "after"]) == 1
    capsys.readouterr()
    assert mlgen(["logs"]) == 0
    assert capsys.readouterr() == ("it broke here at https://anna:hunter2@git.example\n", "the latest run: after\n")
    (committed / "pipelines" / "gone.yaml").write_text("version: 1\nname: gone\ntasks: {a: {run: [no-such-program]}}\n")
    assert mlgen(["run", "pipelines/gone.yaml", "--name", "none"]) == 1
    next(committed.glob(".mlgen/runs/none.*/a-0/log")).unlink(missing_ok=True)
    capsys.readouterr()
    assert mlgen(["logs", "none"]) == 0
    assert "a printed nothing: it failed: no-such-program cannot be started" in capsys.readouterr().err
    for arguments, said in {
        ("pair", "c"): '"c" has no log in pair: skipped: its gate was false: params.go == "yes" (no == "yes")',
        ("pair", "d"): 'no task "d" ran in pair',
        ("pear",): "kept on this machine: pair",
    }.items():
        assert mlgen(["logs", *arguments]) == 2
        assert said in capsys.readouterr().err


def test_a_reader_that_left_does_not_change_the_answer(committed: Repository) -> None:
    with start(*RUN, "-p", "fail=yes") as process:
        for stream in (process.stdout, process.stderr):
            assert stream is not None
            stream.close()
        assert process.wait(20) == 1
    assert ledger()["run"]["state"] == "FAIL"


@pytest.fixture
def ways(committed: Repository) -> str:
    """A pipeline with every way not to run."""
    (committed / "pipelines" / "ways.yaml").write_text(
        "version: 1\nname: ways\nparams: {floor: 0.9}\n"
        "tasks:\n"
        "  score: {run: 'echo 0.7412345678 > $auc', out: {auc: metric}}\n"
        "  good: {if: score.auc >= params.floor, run: 'echo 1 > $x', out: {x: integer}}\n"
        "  reads: {run: 'echo $x > $y', in: [good.x], out: {y: integer}}\n"
        "  below: {run: 'true', in: [reads.y]}\n"
        "  dies: {run: 'kill -9 $$', after: [score], retries: 1}\n"
        "  never: {run: 'true', after: [dies]}\n"
        "finally: {tell: {run: 'true', if: params.floor > 1}}\n"
    )
    return "pipelines/ways.yaml"


def test_why_tasks_did_not_run_is_told_in_the_same_words_everywhere(ways: str, capsys: Capture) -> None:
    assert mlgen(["run", ways, "--name", "w"]) == 1
    live = capsys.readouterr()
    assert mlgen(["runs", "show", "w"]) == 0
    shown = capsys.readouterr().out
    said = {
        "good": "skipped: its gate was false: score.auc >= params.floor (0.741235 >= 0.9)",
        "reads": "skipped: it reads good.x, which was not made",
        "below": "skipped: reads, which it waits for, was skipped",
        "never": "not started: dies failed",
    }
    for task, words in said.items():
        for text in (live.err, live.out, shown):
            assert re.search(rf"^ *{task} +{re.escape(words)}$", text, re.MULTILINE), (task, text)
    assert re.search(
        r"dies +failed: the program was ended by SIGKILL  \(\S+ s, attempt 1, it is tried again\)", live.err
    )
    assert "  dies   failed: the program was ended by SIGKILL, attempt 2\n" in live.out
    assert "\ndies  failed: the program was ended by SIGKILL, attempt 2, " in shown
    assert "  before: failed: the program was ended by SIGKILL, 0." in shown
    assert "tell   skipped: its gate was false: params.floor > 1 (0.9 > 1)" in live.out
    assert "  log      mlgen logs w dies\n" in shown
    for word in ("When Expressions", "Results were", "Parent Tasks", "PipelineRun", "StepFailed"):
        assert word not in live.out + live.err + shown


def test_without_the_folder_of_a_run_the_ledger_says_what_it_knows(
    ways: str, committed: Repository, capsys: Capture
) -> None:
    assert mlgen(["run", ways, "--name", "w"]) == 1
    shutil.rmtree(committed / ".mlgen" / "runs")
    capsys.readouterr()
    assert mlgen(["runs", "show", "w"]) == 0
    shown = capsys.readouterr().out
    assert "\ngood  skipped: its gate was false\n" in shown
    assert "\nreads  skipped: what it reads was not made\n" in shown
    assert "\nnever  not started: dies failed\n" in shown
    assert "mlgen logs" not in shown


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_on_a_terminal_the_lines_of_a_log_are_not_broken(
    committed: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    line = "x" * 70 + " " + "y" * 70
    (committed / "pipelines" / "long.yaml").write_text(
        f"version: 1\nname: long\ntasks: {{a: {{run: 'echo {line}; exit 1'}}}}\n"
    )
    for name, value in {"COLUMNS": "80", "TERM": "xterm", "NO_COLOR": ""}.items():
        monkeypatch.setenv(name, value)
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    assert mlgen(["run", "pipelines/long.yaml"]) == 1
    assert f"   | {line}\n" in terminal.getvalue()
