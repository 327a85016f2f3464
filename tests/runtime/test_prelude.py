"""The prelude, run by every POSIX shell that is here."""

from __future__ import annotations

import os
import select
import shutil
import signal
import subprocess
import time
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
@pytest.mark.parametrize(
    "rest",
    [
        "kill -9 $$",
        "sleep 0.2 & exit 3",
        "exit 0",
        "wait",
        "exec 9>lock 9>&-",
        "exec 3>&- 4>&- 9>&- true",
        "set -m; wait",
    ],
)
def test_the_reader_of_the_fifo_hears_of_the_end_of_the_container_and_of_nothing_before(
    shell: list[str], rest: str, tmp_path: Path
) -> None:
    fifo = tmp_path / "alive"
    os.mkfifo(fifo)
    reader = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
    poll = select.poll()
    poll.register(reader, select.POLLIN)
    file = tmp_path / "script"
    file.write_text(f"{prelude(alive=str(fifo))}echo said\n{rest}\n")
    with subprocess.Popen(
        [*shell, str(file)], cwd=tmp_path, stdout=subprocess.PIPE, text=True, start_new_session=True
    ) as container:
        assert container.stdout
        assert container.stdout.read() == "said\n", "all who could print have ended"
        container.wait(timeout=20)
        try:
            assert poll.poll(50) == [], "Tekton's entrypoint has yet to say how the script ended"
        finally:
            os.killpg(container.pid, signal.SIGKILL)
        assert poll.poll(5000) == [(reader, select.POLLHUP)]
    os.close(reader)


@shells
def test_a_program_that_was_killed_with_its_group_is_gone_at_once(shell: list[str], tmp_path: Path) -> None:
    fifo = tmp_path / "alive"
    os.mkfifo(fifo)
    reader = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
    file = tmp_path / "script"
    file.write_text(f"{prelude(alive=str(fifo))}kill -9 0\n")
    done = subprocess.run([*shell, str(file)], check=False, timeout=20, start_new_session=True)
    assert done.returncode == -signal.SIGKILL
    poll = select.poll()
    poll.register(reader, select.POLLIN)
    assert poll.poll(5000) == [(reader, select.POLLHUP)]
    os.close(reader)


@shells
def test_a_dead_reader_does_not_hold_the_script_back(shell: list[str], tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "alive")
    file = tmp_path / "script"
    file.write_text(f"{prelude(alive=str(tmp_path / 'alive'))}echo on\nkill -9 0\n")
    done = subprocess.run([*shell, str(file)], stdout=subprocess.PIPE, check=False, timeout=20, start_new_session=True)
    assert done.stdout == b"on\n"


@settings(max_examples=20, deadline=None)
@given(st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=40))
def test_a_value_is_never_read_as_shell(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    script = prelude(optional_values=["x"]) + 'printf "%s" "$x"\n'
    file = tmp_path_factory.mktemp("v") / "script"
    file.write_text(script)
    done = subprocess.run(["sh", str(file)], env={"x": "+" + text}, capture_output=True, check=True, timeout=20)
    assert done.stdout == text.encode()


@shells
@pytest.mark.parametrize(("rest", "lines", "code"), [
    ("(sleep 30) & exec sleep 30", b"end\n", -signal.SIGTERM),
    ("sleep 30", b"end\n", -signal.SIGTERM),
    ("sleep 30 & wait", b"end\n", -signal.SIGTERM),
    ("trap 'exit 5' TERM; sleep 30 & wait", b"end\n", 5),
    ("trap '' TERM; sleep 30", b"end\nkill\n", -signal.SIGKILL),
    ("exec 8>&- 9>&-; sleep 30", b"end\n", -signal.SIGTERM),
    ("sleep 0.5; exit 3", b"", 3),
])  # fmt: skip
def test_the_fifo_ends_a_script_and_all_that_it_started(
    shell: list[str], rest: str, lines: bytes, code: int, tmp_path: Path
) -> None:
    end, ready = tmp_path / "end", tmp_path / "ready"
    os.mkfifo(end)
    handle = os.open(end, os.O_RDWR | os.O_NONBLOCK)  # as the sidecar, which holds it before main begins
    (tmp_path / "script").write_text(prelude(end=str(end)) + f"{rest.replace('sleep', f': > {ready}; sleep', 1)}\n")
    # As Tekton's entrypoint starts it: a group of its own, which is all that a signal of the script's can reach.
    with subprocess.Popen([*shell, str(tmp_path / "script")], process_group=0) as container:
        while not ready.exists():
            time.sleep(0.01)
        os.write(handle, lines)
        assert container.wait(20) == code
        os.killpg(container.pid, signal.SIGKILL)
    os.close(handle)
