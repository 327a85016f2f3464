"""The prelude, run by every POSIX shell that is here."""

from __future__ import annotations

import os
import select
import shutil
import subprocess
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlgen.runtime.prelude import prelude

SHELLS = [shell for shell in (["dash"], ["bash", "--posix"], ["busybox", "sh"], ["sh"]) if shutil.which(shell[0])]
shells = pytest.mark.parametrize("shell", SHELLS, ids=" ".join)


def run(shell: list[str], script: str, folder: Path, **env: str) -> subprocess.CompletedProcess[str]:
    file = folder / "script"
    file.write_text(script)
    env = {"PATH": os.environ["PATH"], **env}
    return subprocess.run([*shell, str(file)], env=env, capture_output=True, text=True, check=False, timeout=20)


@shells
def test_a_written_optional_value_loses_its_mark_and_an_unwritten_one_its_variable(
    shell: list[str], tmp_path: Path
) -> None:
    script = prelude(optional_values=["a", "b", "c", "d"]) + 'env | grep "^[abcd]=" | sort\n'
    done = run(shell, script, tmp_path, a="+1", b="", c="++x y", d="+")
    assert done.stdout.split("\n") == ["a=1", "c=+x y", "d=", ""], done.stderr


@shells
def test_an_optional_artifact_that_is_not_there_is_unset(shell: list[str], tmp_path: Path) -> None:
    (tmp_path / "here it is").write_text("x")
    script = prelude(optional_artifacts=["curve", "model"]) + 'echo "${curve-unset} ${model-unset}"\n'
    done = run(shell, script, tmp_path, curve=str(tmp_path / "none"), model=str(tmp_path / "here it is"))
    assert done.stdout == f"unset {tmp_path}/here it is\n", done.stderr


@shells
def test_the_first_failure_ends_the_script_with_its_code(shell: list[str], tmp_path: Path) -> None:
    done = run(shell, prelude(optional_values=["x"], optional_artifacts=["y"]) + "(exit 7)\necho no\n", tmp_path)
    assert (done.returncode, done.stdout, done.stderr) == (7, "", "")


@shells
def test_the_author_may_take_strictness_back(shell: list[str], tmp_path: Path) -> None:
    assert run(shell, prelude() + "set +e\nfalse\necho yes\n", tmp_path).stdout == "yes\n"


@shells
@pytest.mark.parametrize("last", ["kill -9 $$", "sleep 0.2 & exit 3", "exit 0"])
def test_the_reader_of_the_fifo_hears_of_the_end_when_the_last_process_ends(
    shell: list[str], last: str, tmp_path: Path
) -> None:
    fifo = tmp_path / "alive"
    os.mkfifo(fifo)
    reader = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
    file = tmp_path / "script"
    file.write_text(prelude(alive=str(fifo)) + "echo started\nread line\n" + last + "\n")
    with subprocess.Popen([*shell, str(file)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin
        assert process.stdout
        assert process.stdout.readline() == "started\n"
        poll = select.poll()
        poll.register(reader, select.POLLIN)
        assert poll.poll(50) == [], "the script lives and holds the FIFO"
        process.stdin.write("go\n")
        process.stdin.flush()
        assert poll.poll(5000) == [(reader, select.POLLHUP)]
    os.close(reader)


@shells
def test_a_dead_reader_does_not_hold_the_script_back(shell: list[str], tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "alive")
    assert run(shell, prelude(alive=str(tmp_path / "alive")) + "echo on\n", tmp_path).stdout == "on\n"


@settings(max_examples=20, deadline=None)
@given(st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=40))
def test_a_value_is_never_read_as_shell(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    script = prelude(optional_values=["x"]) + 'printf "%s" "$x"\n'
    file = tmp_path_factory.mktemp("v") / "script"
    file.write_text(script)
    done = subprocess.run(["sh", str(file)], env={"x": "+" + text}, capture_output=True, check=True, timeout=20)
    assert done.stdout == text.encode()
