"""Tasks on several nodes, as processes of this machine: they meet, and end together."""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from mlgen.ledger.records.task import State
from mlgen.local.group import Told, error, log_forms
from mlgen.plan.model import Task
from mlgen.runtime.ending import TIMED_OUT
from mlgen.values import Type
from tests.local.forked import exit_code, fork_run
from tests.local.plans import in_, out, plan, task
from tests.local.runs import Project, alive
from tests.local.test_killed import left_running

SUM = """
import os, socket, time
rank, count = int(os.environ["MLGEN_NODE_RANK"]), int(os.environ["MLGEN_NODES"])
where = os.environ["MASTER_ADDR"], int(os.environ["MASTER_PORT"])
if rank == 0:
    with socket.create_server(where) as server:
        total = 0
        for _ in range(count - 1):
            peer, _ = server.accept()
            total += int(peer.makefile().readline())
    open(os.environ["total"], "w").write(str(total))
else:
    while True:
        try:
            peer = socket.create_connection(where)
            break
        except ConnectionRefusedError:
            time.sleep(0.02)
    peer.sendall(b"%d\\n" % (10 * rank))
print("rank", rank, "done")
"""


def on_nodes(one: Task, count: int) -> Task:
    return replace(one, nodes=count)


def test_the_nodes_of_a_task_meet(project: Project) -> None:
    made = plan(on_nodes(task("train", [sys.executable, "-c", SUM], outs=[out("total", Type.INTEGER)]), 3))
    told = project.run(made)
    record = told.records["train-0"]
    assert (record.state, record.exit_code, record.values) == (State.COMPLETE, 0, {"total": 30})
    assert list(told.records) == ["train-0"], "one execution, one record"
    assert sorted(told.log("train").splitlines()) == [f"[{rank}] rank {rank} done" for rank in range(3)]
    assert not (told.folder / "train-0" / "nodes").exists()


def test_each_node_has_a_working_directory_and_only_rank_0_leaves_outs(project: Project) -> None:
    (project.root / "raw").write_text("raw\n")
    script = """
        cat "$raw"; test "$RANK" = "$MLGEN_NODE_RANK"; test "$WORLD_SIZE" = 2
        echo "$RANK" > mine; echo "$RANK" > "$TMPDIR/mine"; echo "$RANK" > "$model"; echo "$RANK" > "$rank"
        sleep 0.2; cat mine "$TMPDIR/mine"
    """
    first = task("first", 'cp /dev/null "$raw"; echo raw > "$raw"', outs=[out("raw", Type.FILE)])
    outs = [out("model", Type.MODEL), out("rank", Type.INTEGER)]
    told = project.run(
        plan(first, on_nodes(task("train", script, ins=[in_("raw", "first.raw", Type.FILE)], outs=outs), 2))
    )
    record = told.records["train-0"]
    assert record.values == {"rank": 0}
    assert (project.root / record.outputs[0].uri).read_text() == "0\n"
    lines = told.log("train").splitlines()
    assert [line for line in lines if line.startswith("[1]")] == ["[1] raw", "[1] 1", "[1] 1"]


def test_the_first_node_to_fail_ends_all_and_is_told(project: Project) -> None:
    script = (
        'if [ "$MLGEN_NODE_RANK" = 1 ]; then sleep 0.1; exit 3; fi; trap "echo asked; exit 0" TERM; sleep 60 & wait'
    )
    began = time.monotonic()
    told = project.run(plan(on_nodes(task("train", script), 3)))
    record = told.records["train-0"]
    assert time.monotonic() - began < 20
    assert (record.state, record.reason, record.exit_code) == (State.FAIL, "StepFailed", 3)
    assert record.error == "node 1 of 3: the program ended with exit code 3; the others were ended"
    assert sorted(told.log("train").splitlines()) == ["[0] asked", "[2] asked"]
    assert (told.folder / "train-0" / "nodes" / "1" / "work").is_dir(), "kept for its author"


def test_a_node_that_a_signal_ended_is_told_as_one_process_would_be(project: Project) -> None:
    told = project.run(plan(on_nodes(task("train", 'test "$RANK" = 0 || kill -9 $$; sleep 60'), 2)))
    record = told.records["train-0"]
    assert record.exit_code == -1
    assert record.error == "node 1 of 2: the program was ended by SIGKILL; the other was ended"


def test_nodes_that_go_on_when_rank_0_is_done_are_ended_and_harm_nothing(project: Project) -> None:
    script = 'test "$RANK" = 0 || { echo $$; trap "" TERM; while true; do sleep 1; done; }; sleep 0.2'
    told = project.run(plan(on_nodes(task("train", script), 2)))
    assert told.records["train-0"].state is State.COMPLETE
    assert not alive(told.log("train").split()[1])


def test_all_nodes_are_tried_again_together(project: Project) -> None:
    mark = project.root / "mark"
    script = f'test "$RANK" = 0 || test -e {mark} || {{ touch {mark}; exit 1; }}; sleep 0.3'
    told = project.run(plan(on_nodes(task("train", script, retries=1), 2)))
    assert [told.records[f"train-{n}"].state for n in (0, 1)] == [State.FAIL, State.COMPLETE]


def test_a_timeout_ends_all_nodes(project: Project) -> None:
    told = project.run(plan(on_nodes(task("train", "echo $$; sleep 60", timeout=1), 2)))
    assert told.records["train-0"].reason == TIMED_OUT
    assert not any(alive(line.split()[1]) for line in told.log("train").splitlines())


def test_a_command_that_does_not_exist_fails_with_its_name(project: Project) -> None:
    record = project.run(plan(on_nodes(task("a", ["no-such-program"]), 2))).records["a-0"]
    assert record.error == "no-such-program cannot be started: No such file or directory"
    assert record.exit_code is None


def test_a_secret_of_several_lines_is_masked_in_a_log_of_ranks(project: Project) -> None:
    secret = "-----BEGIN-----\nabcdefgh12345678\n-----END-----"
    made = plan(on_nodes(task("a", 'printf "%s\\n" "$KEY"', secrets=["KEY"]), 2))
    told = project.run(made, environ={"PATH": os.environ["PATH"], "KEY": secret})
    assert "abcdefgh12345678" not in told.log("a")
    assert log_forms(["a\nb"], 2) == ["a\nb", "a\n[0] b", "a\n[1] b"]
    assert "the other was" in error(Told(0, 1), 2, "x")


@pytest.mark.parametrize("victim", ["engine", "group"])
def test_a_kill_leaves_no_node(tmp_path: Path, victim: str) -> None:
    script = 'echo $$ > "$HERE/$RANK"; sleep 100'
    made = plan(on_nodes(task("train", script, env={"HERE": str(tmp_path)}), 3))
    process = fork_run(tmp_path, made)
    until = time.monotonic() + 20
    while not all((tmp_path / str(rank)).exists() for rank in range(3)):
        assert time.monotonic() < until
        time.sleep(0.02)
    if victim == "engine":
        os.kill(process, signal.SIGKILL)
        exit_code(process)
        assert not left_running(tmp_path, 10)
        return
    (ranks_json,) = tmp_path.rglob("ranks.json")
    leader = next(p for p in left_running(tmp_path, 0) if str(ranks_json) in Path(f"/proc/{p}/cmdline").read_text())
    os.kill(leader, signal.SIGKILL)
    exit_code(process)
    assert not left_running(tmp_path, 10)
    (record,) = (json.loads(p.read_bytes()) for p in tmp_path.rglob("train-0/record.json"))
    assert "SIGKILL" in json.dumps(record)
