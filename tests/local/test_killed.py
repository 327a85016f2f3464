"""The engine is killed for real, at named points and at random moments; the next command tells the truth."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from mlgen.ledger.records.run import TaskStatus
from mlgen.ledger.records.task import State, TaskRecord
from mlgen.local import rundir, rundirs
from mlgen.local.guardian import VARIABLE, carriers, sweep
from mlgen.local.recover import Recovered, recover
from mlgen.plan.model import Input
from mlgen.store import Store
from mlgen.values import Type
from tests.local.forked import busy, exit_code, fork_run, many, sleepy, slow
from tests.local.ledger import landed, spool
from tests.local.plans import in_, out, plan, task
from tests.local.runs import RealClock, alive, entries, uid_in


@pytest.fixture(autouse=True)
def _nothing_stays(tmp_path: Path) -> Iterator[None]:
    """A test that fails leaves no process behind."""
    yield
    for root in (tmp_path, *tmp_path.iterdir()):
        sweep(uid_in(root))


def left_running(root: Path, within_seconds: float) -> list[int]:
    """The processes of the run that are still there after so long."""
    until = time.monotonic() + within_seconds
    while (
        found := [p for p in carriers(f"{VARIABLE}={uid_in(root)}".encode()) if alive(p)]
    ) and time.monotonic() < until:
        time.sleep(0.02)
    return found


def wait_for(root: Path, *paths: str) -> None:
    """Wait until the run has made these files in its folder."""
    until = time.monotonic() + 20
    while not all(list(root.glob(f"{rundirs.RUNS}/*/{path}")) for path in paths):
        assert time.monotonic() < until
        time.sleep(0.01)


def guardians(process: int) -> list[int]:
    """The guardians that an engine has."""
    children = [int(p) for p in Path(f"/proc/{process}/task/{process}/children").read_text().split()]
    return [p for p in children if b"guardian.py" in Path(f"/proc/{p}/cmdline").read_bytes()]


def check_truth(root: Path) -> tuple[dict[str, TaskRecord], State]:
    """After recovery: a record for every attempt that was started, and a run.json that agrees with them."""
    recover(root, spool=spool(root), clock=RealClock())
    folders = [rundir.RunFolder(p) for p in (root / rundirs.RUNS).glob("*")]
    assert recover(root, spool=spool(root), clock=RealClock()) == []
    records, run = entries(landed(root))
    if run is None:  # killed before it began
        assert records == {}
        return {}, State.ABORT
    started = {f"{a.label}-{a.number}" for folder in folders for a in folder.attempts()}
    assert set(records) == started
    fans = {r.task for r in records.values() if r.item is not None}
    for name, status in run.tasks.items():
        if name in fans:
            check_fan(status, [r for r in records.values() if r.task == name])
            continue
        last = max((r for r in records.values() if r.task == name), key=lambda r: r.attempt, default=None)
        if last is None:
            assert status.status == "None"
        else:
            assert status.status == ("Succeeded" if last.state is State.COMPLETE else "Failed")
            assert status.reason == last.reason
    whole = all(s.status == "Succeeded" for s in run.tasks.values())
    assert run.state is (State.COMPLETE if whole else State.ABORT)
    for folder in folders:
        assert not (folder.path / rundir.LOCK).exists()
    return records, run.state


def check_fan(status: TaskStatus, items: list[TaskRecord]) -> None:
    """How a task ended that ran many times agrees with what its items tell."""
    states = {r.state for r in items}
    if status.status == "Succeeded":
        of = items[0].item.of if items[0].item else 0
        assert len({r.index for r in items if r.state is State.COMPLETE}) == of
    elif status.status == "Failed":
        assert status.reason in {"EngineLost", *(r.reason for r in items if r.state is not State.COMPLETE)}
    else:
        assert State.ABORT not in states


@pytest.mark.parametrize(
    ("point", "number", "state"),
    [
        ("started", 2, State.ABORT),
        ("staged", 4, State.ABORT),
        ("recorded", 3, State.ABORT),
        ("recorded", 7, State.ABORT),  # all items have ended, and nobody has said so of the task
        ("concluded", 1, State.ABORT),  # its reader has not begun
        ("started", 8, State.ABORT),
        ("recorded", 8, State.COMPLETE),
    ],
)
def test_killed_with_items(tmp_path: Path, point: str, number: int, state: State) -> None:
    assert exit_code(fork_run(tmp_path, many(), point, number)) == -signal.SIGKILL
    assert left_running(tmp_path, 1.0) == []
    assert check_truth(tmp_path)[1] is state


def test_interrupted_with_items(tmp_path: Path) -> None:
    process = fork_run(tmp_path, sleepy())
    wait_for(tmp_path, "each.0-0/work/ready", "each.1-0/work/ready")
    os.kill(process, signal.SIGINT)
    assert exit_code(process) == 130
    assert left_running(tmp_path, 0) == []
    records, run = entries(landed(tmp_path))
    assert {name: r.state for name, r in records.items()} == dict.fromkeys(("each[0]-0", "each[1]-0"), State.ABORT)
    assert run is not None
    assert run.state is State.ABORT
    assert run.tasks["each"] == TaskStatus("Failed", "TaskRunCancelled")
    assert recover(tmp_path, spool=spool(tmp_path), clock=RealClock()) == []


@pytest.mark.parametrize(
    ("point", "number", "state"),
    [
        ("created", 1, State.ABORT),
        ("started", 1, State.ABORT),
        ("staged", 2, State.ABORT),
        ("spawned", 1, State.ABORT),
        ("launched", 3, State.ABORT),
        ("ended", 1, State.ABORT),
        ("recorded", 1, State.ABORT),
        ("recorded", 7, State.COMPLETE),
        ("run-told", 1, State.COMPLETE),
        ("launched", 8, State.COMPLETE),
        ("tasks-ended", 1, State.COMPLETE),
    ],
)
def test_killed_at_a_named_point(tmp_path: Path, point: str, number: int, state: State) -> None:
    assert exit_code(fork_run(tmp_path, busy(), point, number)) == -signal.SIGKILL
    assert left_running(tmp_path, 1.0) == []
    assert check_truth(tmp_path)[1] is state


def test_killed_at_any_moment(tmp_path: Path) -> None:
    moments = random.Random(3)
    for wave in range(5):
        roots = [tmp_path / f"{wave}.{number}" for number in range(5)]
        processes = []
        for root in roots:
            root.mkdir()
            processes.append(fork_run(root, busy()))
        for process in processes:
            time.sleep(moments.uniform(0, 0.25))
            os.kill(process, signal.SIGKILL)
        for process, root in zip(processes, roots, strict=True):
            exit_code(process)
            assert left_running(root, 1.0) == []
            check_truth(root)


def test_a_run_that_goes_on_is_left_alone(tmp_path: Path) -> None:
    process = fork_run(tmp_path, slow())
    wait_for(tmp_path, "deaf-0/log")
    assert recover(tmp_path, spool=spool(tmp_path), clock=RealClock()) == []
    os.kill(process, signal.SIGKILL)
    exit_code(process)
    assert recover(tmp_path, spool=spool(tmp_path), clock=RealClock()) == [
        Recovered("demo-x1", cut_off=True, fault=None)
    ]
    assert left_running(tmp_path, 1.0) == []


def test_recovery_ends_what_a_killed_guardian_could_not(tmp_path: Path) -> None:
    process = fork_run(tmp_path, slow())
    wait_for(tmp_path, "polite-0/log")
    (guardian,) = guardians(process)
    os.kill(guardian, signal.SIGKILL)
    os.kill(process, signal.SIGKILL)
    exit_code(process)
    assert recover(tmp_path, spool=spool(tmp_path), clock=RealClock()) == [
        Recovered("demo-x1", cut_off=True, fault=None)
    ]
    assert left_running(tmp_path, 0.2) == []


def test_recoveries_at_once_tell_it_once(tmp_path: Path) -> None:
    assert exit_code(fork_run(tmp_path, busy(), "recorded", 3)) == -signal.SIGKILL
    recoveries = []
    for _ in range(3):
        recoveries.append(os.fork())
        if not recoveries[-1]:
            recover(tmp_path, spool=spool(tmp_path), clock=RealClock())
            os._exit(0)
    assert [exit_code(process) for process in recoveries] == [0, 0, 0]
    check_truth(tmp_path)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_ends_all_and_tells_it(tmp_path: Path, number: signal.Signals) -> None:
    process = fork_run(tmp_path, slow())
    wait_for(tmp_path, "deaf-0/work/ready", "polite-0/work/ready")
    os.kill(process, number)
    assert exit_code(process) == 130
    assert left_running(tmp_path, 0) == []
    records, run = entries(landed(tmp_path))
    assert {name: (r.state, r.exit_code, r.reason) for name, r in records.items()} == {
        "deaf-0": (State.ABORT, -1, "TaskRunCancelled"),
        "polite-0": (State.ABORT, 7, "TaskRunCancelled"),
    }
    assert run is not None
    assert run.state is State.ABORT
    assert {n: (s.status, s.reason) for n, s in run.tasks.items()} == {
        "deaf": ("Failed", "TaskRunCancelled"),
        "polite": ("Failed", "TaskRunCancelled"),
        "later": ("None", "PipelineRun was stopping"),
    }
    assert recover(tmp_path, spool=spool(tmp_path), clock=RealClock()) == []


def test_a_second_interrupt_does_not_wait(tmp_path: Path) -> None:
    process = fork_run(tmp_path, slow(), grace_seconds=60)
    wait_for(tmp_path, "deaf-0/work/ready", "polite-0/work/ready")
    os.kill(process, signal.SIGINT)
    wait_for(tmp_path, "polite-0/record.json")
    os.kill(process, signal.SIGINT)
    assert exit_code(process) == 130
    records, _ = entries(landed(tmp_path))
    assert {name: (r.state, r.exit_code) for name, r in records.items()} == {
        "deaf-0": (State.ABORT, -1),
        "polite-0": (State.ABORT, 7),
    }


def test_staging_that_hangs_is_given_up(tmp_path: Path) -> None:
    def hang(_uri: str) -> Store:
        (tmp_path / "hangs").touch()
        time.sleep(300)
        raise AssertionError

    chosen = plan(
        task("a", ins=[in_("raw", "inputs.raw", Type.FILE)]), inputs=[Input("raw", Type.FILE, "s3://bucket/key", None)]
    )
    process = fork_run(tmp_path, chosen, open_at=hang, grace_seconds=0.2)
    while not (tmp_path / "hangs").exists():
        time.sleep(0.01)
    os.kill(process, signal.SIGINT)
    assert exit_code(process) == 130
    records, run = entries(landed(tmp_path))
    assert run is not None
    assert (records["a-0"].state, records["a-0"].exit_code, run.state) == (State.ABORT, None, State.ABORT)


def test_an_interrupt_of_finally_leaves_the_run_what_it_was(tmp_path: Path) -> None:
    nap = task("nap", ": > ready; sleep 300", timeout=300)
    process = fork_run(tmp_path, plan(task("a"), finally_tasks=[nap, task("other", ": > ready; sleep 300")]))
    wait_for(tmp_path, "nap-0/work/ready", "other-0/work/ready")
    os.kill(process, signal.SIGINT)
    assert exit_code(process) == 130
    records, run = entries(landed(tmp_path))
    assert run is not None
    assert run.state is State.COMPLETE
    assert records["nap-0"].state is records["other-0"].state is State.ABORT


def test_a_guardian_that_somebody_killed_is_started_again(tmp_path: Path) -> None:
    process = fork_run(tmp_path, plan(task("first", "until test -e ../../go; do sleep 0.01; done"), *slow().tasks))
    wait_for(tmp_path, "deaf-0/work/ready")
    (guardian,) = guardians(process)
    os.kill(guardian, signal.SIGKILL)
    (tmp_path / rundirs.RUNS / f"demo-x1.{uid_in(tmp_path)[:8]}" / "go").touch()
    wait_for(tmp_path, "polite-0/work/ready")
    assert len(guardians(process)) == 1
    os.kill(process, signal.SIGKILL)
    exit_code(process)
    assert left_running(tmp_path, 5.0) == []  # the new guardian is a Python that may be starting still


def test_a_full_disk_stops_the_run_and_leaves_nothing_half(tmp_path: Path) -> None:
    small = tmp_path / "small"
    small.mkdir()
    if subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=300k", "tmpfs", small], check=False, capture_output=True
    ).returncode:
        pytest.skip("only root can mount a small disk")
    try:
        fill = task("fill", 'cat /dev/zero > ../../filler 2> /dev/null || true; echo 1 > "$x"', outs=[out("x")])
        assert exit_code(fork_run(small, plan(task("a"), fill, task("b", after=["fill"])))) == 3
        next(small.glob(f"{rundirs.RUNS}/*/filler")).unlink()
        records, state = check_truth(small)
        assert state is State.ABORT
        assert records["fill-0"].state is not State.COMPLETE
        for path in small.rglob("*.json"):
            json.loads(path.read_bytes())
        assert not list(small.rglob("*.new"))
    finally:
        subprocess.run(["umount", small], check=True)
