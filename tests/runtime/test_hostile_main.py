"""What an author's program can do to ours beside it: nothing that leads them to their own keys, or to half an out."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from pathlib import Path
from threading import Thread

import pytest

from mlgen.ledger.records.task import State
from mlgen.runtime.pod import tekton
from mlgen.runtime.pod.handover import Handover
from mlgen.runtime.protocol import In, Out
from mlgen.values import Type
from tests.runtime.pods import MODEL, ROWS, Pod, until

KEY = "keys-of-the-environment-4711"
WRITE = 'echo weights > "$model"; echo 7 > "$rows"'
AT_ONCE = 5.0  # seconds, of 60 that a program may take


@pytest.fixture
def pods(tmp_path: Path) -> Iterator[list[Pod]]:
    made: list[Pod] = []
    yield made
    for pod in made:
        pod.end()


@pytest.fixture
def pod(pods: list[Pod], tmp_path: Path) -> Pod:
    return started(pods, tmp_path, MODEL, ROWS)


def started(pods: list[Pod], tmp_path: Path, *outs: Out) -> Pod:
    pods.append(Pod(tmp_path / "pod", tmp_path / "store", outs=outs))
    return pods[-1]


@pytest.mark.parametrize(
    "swap",
    [
        "rm -r mlgen/out; ln -s /proc/self mlgen/out",
        "rmdir mlgen/out; mkdir mlgen/real; ln -s /proc/self/environ mlgen/real/environ; ln -s real mlgen/out",
        'ln -s /proc/self/environ "$environ"',
        'mkdir "$environ"; ln -s /proc/self/environ "$environ/x"',
    ],
)
@pytest.mark.parametrize("type_", [Type.FILE, Type.STRING])
def test_our_own_variables_are_no_out(pods: list[Pod], tmp_path: Path, swap: str, type_: Type) -> None:
    pod = started(pods, tmp_path, Out("environ", type_, max_bytes=1 << 12 if type_ is Type.STRING else None))
    beside = pod.sidecar()
    pod.stage_in()
    assert pod.main(swap) == 0
    assert pod.stage_out(AWS_SECRET_ACCESS_KEY=KEY) == 3
    assert beside.wait() == 0
    record = pod.only_record()
    assert (record.state, record.exit_code, record.outputs, pod.results) == (State.FAIL, 0, (), {})
    assert record.error is not None
    assert '"environ"' in record.error
    kept = [path.read_bytes() for path in pod.store.rglob("*") if path.is_file()]
    assert not any(KEY.encode() in data for data in kept)
    assert not any(KEY in program.text for program in pod.programs)


def test_a_program_that_says_that_it_ended_and_goes_on(pod: Pod) -> None:
    beside = pod.sidecar()
    pod.stage_in()
    ended = "echo 0 > run-1/status/exitCode; echo 0 > steps/exitCode; : > run-1/out"
    main = Thread(target=pod.main, args=(f"echo early > mlgen/out/model; {ended}; sleep 0.6; {WRITE}",))
    main.start()
    until((pod.folder / "run-1" / "out").exists, "the program says that it ended")
    assert pod.stage_out() == 0
    main.join()
    assert beside.wait() == 0
    (model,) = pod.only_record().outputs
    assert Path(model.uri).read_text() == "weights\n"


def test_a_program_of_the_exec_form_is_not_waited_for(pod: Pod) -> None:
    beside = pod.sidecar()
    pod.stage_in()
    for out, text in ((MODEL, "weights"), (ROWS, "7")):
        (pod.places.root / "out" / out.name).write_text(text)
    pod.main_ended(0)
    began = time.monotonic()
    assert pod.stage_out() == 0
    assert beside.wait() == 0
    assert time.monotonic() - began < AT_ONCE


@pytest.mark.parametrize("alive", [None, "rm mlgen/alive; ln -s /proc/self/environ mlgen/alive", "rm mlgen/alive"])
def test_a_sidecar_that_comes_after_the_program_waits_for_none(pod: Pod, alive: str | None) -> None:
    first = pod.sidecar()
    pod.stage_in()
    pod.main(WRITE if alive is None else f"{WRITE}; {alive}", tells=False)
    first.kill()
    first.wait()
    second = pod.begin("results")
    until(lambda: not Handover(pod.places.state, "test").ended("results"), "the second sidecar is there")
    pod.main_ended(0)
    began = time.monotonic()
    assert pod.stage_out() == 0
    assert second.wait() == 0
    assert time.monotonic() - began < AT_ONCE


def test_a_dead_sidecar_is_not_waited_for(pod: Pod) -> None:
    beside = pod.sidecar()
    pod.stage_in()
    pod.main(WRITE, tells=False)
    beside.kill(signal.SIGKILL)
    beside.wait()
    pod.main_ended(0)
    began = time.monotonic()
    assert pod.stage_out() == 3
    assert time.monotonic() - began < AT_ONCE


@pytest.mark.parametrize(
    ("text", "code"),
    [("0", 0), ("7\n", 7), ("255", 255), ("-1", -1), ("-9", -1)]
    + [(text, None) for text in ("256", "65536", "1_0", "0x1", "", " 1", "9" * 5000, "٣")],
)
def test_an_exit_code_is_one_that_a_process_can_have(tmp_path: Path, text: str, code: int | None) -> None:
    (tmp_path / "exitCode").write_text(text)
    assert tekton.exit_code(tmp_path / "exitCode") == code


def test_an_exit_code_behind_a_link_is_none(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "exitCode").write_text("0")
    run = tmp_path / "run"
    run.mkdir()
    (run / "status").symlink_to(tmp_path / "elsewhere")
    assert tekton.exit_code(run / "status" / "exitCode", beneath=run) is None


def test_a_secret_of_the_program_is_no_value(pods: list[Pod], tmp_path: Path) -> None:
    pod = started(pods, tmp_path, Out("note", Type.STRING, max_bytes=100))
    beside = pod.sidecar(MLGEN_SECRET_TOKEN=KEY)
    pod.stage_in()
    pod.main(f'echo "see {KEY}" > "$note"')
    assert pod.stage_out(MLGEN_SECRET_TOKEN=KEY) == 3
    assert beside.wait() == 0
    record = pod.only_record()
    assert record.error == 'out "note" holds the secret TOKEN, and outs are recorded: leave it out'
    assert (record.values, pod.results) == ({}, {})


def test_a_secret_is_shown_in_no_error(pods: list[Pod], tmp_path: Path) -> None:
    """Not in those of stage-out, whose values are not what they must be, nor in those that the sidecar records."""
    ins = (In("data", "out", Type.FILE),)
    pod = Pod(tmp_path / "pod", tmp_path / "store", ins=ins, given={"data": f"churn/{KEY}/data@sha256:{'0' * 64}"})
    pods.append(pod)
    beside = pod.sidecar(MLGEN_SECRET_TOKEN=KEY)
    assert pod.stage_in() == 3
    assert beside.wait() == 0
    error = pod.only_record().error
    assert error is not None
    assert error.startswith('in "data" cannot be read from churn/***/data')
