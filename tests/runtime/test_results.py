"""What travels as results, and what a program puts where only Tekton's own are."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from mlgen.ledger.records.task import State
from mlgen.runtime.pod.results import MAX_RESULTS_BYTES, json_bytes, too_large
from mlgen.runtime.protocol import Evaluation, Out
from mlgen.values import Type
from tests.runtime.pods import MODEL, ROWS, WRITE, MakePod, Pod, until


def test_a_text_takes_what_go_writes() -> None:
    """As Tekton 1.15 wrote this text, but for backspace and form feed, which older ones write in six bytes."""
    written = r"a\u003cb\u003e\u0026\n\t\r\u0001" + "\x7f" + r"\u2028\"\\ü"
    assert json_bytes('a<b>&\n\t\r\x01\x7f\u2028"\\ü') == len(written.encode())


@pytest.mark.parametrize("text", ["a" * 1000, "<" * 100, "\x01\x1f", "ü日😀", '"\\', ""])
def test_all_that_is_handed_on_is_counted(text: str) -> None:
    entries = [{"key": "x", "value": "", "type": 1}, {"key": "if-1", "value": "true", "type": 1}]
    size = len(json.dumps(entries, separators=(",", ":"))) + json_bytes(text)
    room = MAX_RESULTS_BYTES - size
    assert too_large({"x": text + "a" * room, "if-1": "true"}) is None
    problem = too_large({"x": text + "a" * (room + 1), "if-1": "true"})
    assert problem is not None
    assert problem.startswith("the outs take 1,401 bytes as results, 1,400 are handed on: ")
    assert '"x" ' in problem


@pytest.mark.parametrize("optional", [True, False])
def test_outs_that_are_too_large_as_results_fail_the_task(make: MakePod, optional: bool) -> None:
    gate = Evaluation(1, "train.rows > 5", (("train.rows", Type.INTEGER),))
    pod = make(outs=(Out("page", Type.STRING, optional, 300), ROWS), evaluates=(gate,))
    beside = pod.sidecar()
    pod.stage_in()
    pod.main("""echo 7 > "$rows"; printf '%0300d' 0 | tr 0 '<' > "$page" """)
    assert pod.stage_out() == 3
    assert beside.wait() == 0
    entries = {"page": "+" * optional + "<" * 300, "rows": "7", "if-1": "true"}
    message = [{"key": name, "value": text, "type": 1} for name, text in entries.items()]
    size = len(json.dumps(message, separators=(",", ":")).replace("<", r"\u003c"))
    said = pod.programs[-1].text
    assert said.startswith(f"mlgen-runtime: error[not-kept]: the outs take {size:,} bytes as results, 1,400 are"), said
    assert said.count("\n") == 1
    record = pod.only_record()
    assert (record.state, record.exit_code, record.reason) == (State.FAIL, 0, "StepFailed")
    assert record.error is not None
    assert record.error in said
    assert pod.results == {}


def test_a_program_that_wrote_into_tekton_s_folder(pod: Pod) -> None:
    beside = pod.sidecar()
    pod.stage_in()
    pod.main(f"{WRITE}; head -c 20000 /dev/zero > results/rows")
    assert pod.stage_out() == 3
    assert beside.wait() == 0
    record = pod.only_record()
    assert (record.state, record.exit_code, record.reason, record.outputs) == (State.FAIL, 0, "StepFailed", ())
    assert record.values == {"rows": 7}
    wanted = 'the program wrote to /tekton/results/rows, which is Tekton\'s: write to "$rows"'
    assert (record.error, pod.results) == (wanted, {})
    assert f"error[not-kept]: {wanted}\n" in pod.programs[-1].text


def test_a_program_that_failed_besides_has_failed_of_itself(pod: Pod) -> None:
    pod.sidecar()
    pod.stage_in()
    pod.main("echo forged > results/rows; exit 7")
    assert pod.stage_out() == 7
    assert (pod.only_record().exit_code, pod.only_record().error) == (7, "the program ended with exit code 7")
    assert pod.results == {}


@pytest.mark.parametrize(("name", "told"), [
    ("results/if-1", "/tekton/results/if-1, which is Tekton's: outs are written to the paths in their variables"),
    ("results/other", "/tekton/results/other, which is Tekton's: outs are written to the paths in their variables"),
    ("artifacts/provenance.json", "/tekton/artifacts/provenance.json, which is Tekton's: outs are written"),
    ("steps/artifacts/provenance.json", "/steps/artifacts/provenance.json, which is Tekton's: outs are written"),
])  # fmt: skip
def test_every_place_that_tekton_reads_is_looked_at(make: MakePod, name: str, told: str) -> None:
    gate = Evaluation(1, "train.rows > 5", (("train.rows", Type.INTEGER),))
    pod = make(outs=(MODEL, ROWS), evaluates=(gate,))
    pod.sidecar()
    pod.stage_in()
    pod.main(f"{WRITE}; echo 1 > {name}")
    assert pod.stage_out() == 3
    record = pod.only_record()
    assert record.state is State.FAIL
    assert record.error is not None
    assert told in record.error


def link(path: Path) -> None:
    path.symlink_to("/dev/zero")


def folder(path: Path) -> None:
    (path / "deep").mkdir(parents=True)
    (path / "deep" / "file").touch()


def unix_socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as made:
        here = os.open(".", os.O_RDONLY)
        os.chdir(path.parent)  # a socket's path has 108 bytes at most
        made.bind(path.name)
        os.fchdir(here)
        os.close(here)


@pytest.mark.parametrize("put", [link, folder, unix_socket, os.mkfifo])
def test_whatever_lies_there_is_no_harm(pod: Pod, put: Callable[[Path], None]) -> None:
    beside = pod.sidecar()
    pod.stage_in()
    pod.main(WRITE)
    put(pod.places.results / "model")
    assert pod.stage_out() == 3
    assert beside.wait() == 0
    assert pod.only_record().state is State.FAIL
    assert pod.results == {}


READER = "import sys\nfor path in sys.argv[1:]:\n try: open(path, 'rb').read()\n except OSError: pass"


def test_tekton_s_entrypoint_that_waits_at_pipes_goes_on(pod: Pod, tmp_path: Path) -> None:
    """It reads one after the other, of main's own folder last, which stage-out cannot change."""
    pod.sidecar()
    pod.stage_in()
    pod.main(WRITE)
    os.mkfifo(tmp_path / "elsewhere")
    paths = [pod.places.results / "model", pod.places.results / "rows", pod.folder / "steps/artifacts/provenance.json"]
    os.mkfifo(paths[0])
    paths[1].symlink_to(tmp_path / "elsewhere")
    os.mkfifo(paths[2])
    with subprocess.Popen([sys.executable, "-c", READER, *map(str, paths)]) as entrypoint:
        wait = Path(f"/proc/{entrypoint.pid}/wchan")
        until(lambda: "fifo" in wait.read_text() or "partner" in wait.read_text(), "the entrypoint waits")
        paths[2].parent.chmod(0o500)
        assert pod.stage_out() == 3
        assert entrypoint.wait(10) == 0
    paths[2].parent.chmod(0o700)
    assert pod.only_record().state is State.FAIL
