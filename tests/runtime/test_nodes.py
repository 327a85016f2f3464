"""Several pods of one attempt meet, and end together: each way in which one of them ends, or is ended."""

from __future__ import annotations

import json
import signal
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from mlgen.ledger.records.fields import BadRecord
from mlgen.ledger.records.task import State
from mlgen.runtime.nodes import member, parting
from mlgen.runtime.nodes.board import Board
from mlgen.runtime.nodes.model import End, NodesDocument
from mlgen.runtime.pod import ender, verdict
from mlgen.store import Folder
from tests.rights import Rights
from tests.runtime.pods import MODEL, ROWS, WRITE, MakePod, Pod, until

WAIT_SECONDS = 20
AT = "2026-11-29T12:00:00.000Z"


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    for module, name, seconds in (
        (verdict, "ENTRYPOINT_SECONDS", 0.4),
        (verdict, "TOGETHER_SECONDS", 0.2),
        (verdict, "STAGE_OUT_SECONDS", 5.0),
        (member, "LOOK_SECONDS", 0.1),
        (member, "BEAT_SECONDS", 0.3),
        (member, "LOST_SECONDS", 2.0),
        (member, "LEAVE_SECONDS", 1.0),
        (ender, "GRACE_SECONDS", 1.0),
        (parting, "SETTLE_SECONDS", 0.5),
        (parting, "ANSWER_SECONDS", 10.0),
    ):
        monkeypatch.setattr(module, name, seconds)


@dataclass
class Group:
    """The pods of an attempt. codes: of each rank, what its pod ends with, once it has."""

    pods: list[Pod]
    codes: dict[int, int] = field(default_factory=dict)
    threads: list[threading.Thread] = field(default_factory=list)

    def drive(self, rank: int, script: str, kill: tuple[str, str] = ("", "")) -> None:
        """Run a pod from its first container to its last, beside, as Tekton would. kill: a program, and where."""

        def run() -> None:
            pod, points = self.pods[rank], {kill[0]: {"kill_at": kill[1]}}
            beside = pod.sidecar(**points.get("results", {}))
            code = pod.stage_in(**points.get("stage-in", {}))
            if code == 0:
                if (pod.folder / "run-file").exists() and (pod.folder / "run-file").read_text() == "false":
                    pod.main_ended(0)
                else:
                    pod.main(script)
                if pod.gone:
                    return
                code = pod.stage_out(**points.get("stage-out", {}))
            beside.wait()
            self.codes[rank] = code

        thread = threading.Thread(target=run, daemon=True)
        thread.start()
        self.threads.append(thread)

    def join(self) -> dict[int, int]:
        for thread in self.threads:
            thread.join(40)
            assert not thread.is_alive(), self.stacks()
        return dict(sorted(self.codes.items()))

    def stacks(self) -> str:
        """Where each program is that has not ended."""
        stuck = [program for pod in self.pods for program in pod.programs if program.alive]
        for program in stuck:
            program.kill(signal.SIGUSR1)
        time.sleep(1)
        return "\n".join(f"{program.log}: {program.text}" for program in stuck)

    def board(self) -> Board:
        pod = self.pods[0]
        folder = f"_attempts/churn/{pod.run_uid}/train/nodes/{pod.attempt}"
        return Board(Folder(pod.store, str(pod.store)), folder, len(self.pods))


MakeGroup = Callable[..., Group]


@pytest.fixture
def group(make: MakePod) -> MakeGroup:
    def made(count: int = 3, *, retries: int = 0, wait: int = WAIT_SECONDS, **options: Any) -> Group:
        nodes, uid = NodesDocument(count, wait, retries), options.pop("run_uid", str(uuid4()))
        outs = options.pop("outs", (MODEL, ROWS))
        return Group([
            make(nodes=nodes, rank=rank, run_uid=uid, outs=() if rank else outs, **options) for rank in range(count)
        ])  # fmt: skip

    return made


def test_all_meet_and_rank_0_leaves_the_outs(group: MakeGroup) -> None:
    found = group()
    for rank in (1, 2):
        found.drive(rank, f'echo "$MASTER_ADDR $MLGEN_NODE_RANK of $MLGEN_NODES" > met.{rank}')
    found.drive(0, WRITE)
    assert found.join() == {0: 0, 1: 0, 2: 0}
    record = found.pods[0].only_record()
    assert (record.state, record.values, record.exit_code) == (State.COMPLETE, {"rows": 7}, 0)
    assert (found.pods[2].folder / "met.2").read_text() == "127.0.0.1 2 of 3\n"


def test_nobody_begins_before_all_are_there(group: MakeGroup) -> None:
    found = group(2)
    found.drive(0, WRITE)
    until(lambda: 0 in found.board().look().ready, "rank 0 waits")
    time.sleep(1)
    assert not (found.pods[0].places.state / "staged").exists()
    found.drive(1, "true")
    assert found.join() == {0: 0, 1: 0}


@pytest.mark.parametrize(("script", "exit_code", "error"), [
    ("exit 7", 7, "the program ended with exit code 7"),
    ("kill -9 $$", -1, "the program was ended by a signal"),
])  # fmt: skip
def test_the_first_that_fails_ends_all(group: MakeGroup, script: str, exit_code: int, error: str) -> None:
    found = group()
    found.drive(0, "sleep 30")
    found.drive(1, "trap '' TERM; sleep 30")
    found.drive(2, f"sleep 0.5; {script}")
    codes = found.join()
    assert all(codes.values()), codes
    record = found.pods[0].only_record()
    assert (record.state, record.reason, record.exit_code) == (State.FAIL, "StepFailed", exit_code)
    assert record.error == f"node 2 of 3: {error}; the others were ended"
    assert f"error[node-failed]: node 2 of 3: {error}" in found.pods[0].programs[-1].text


def test_a_rank_that_fails_because_of_another_is_not_blamed(group: MakeGroup) -> None:
    found = group(3)
    flag = found.pods[0].folder.parent / "gone"
    found.drive(0, f"while [ ! -e {flag} ]; do sleep 0.01; done; exit 9")
    found.drive(1, "sleep 30")
    found.drive(2, f"sleep 0.5; (sleep 0.3; touch {flag}) & exit 3")
    assert all(found.join().values())
    record = found.pods[0].only_record()
    assert (record.exit_code, record.error) == (
        3,
        "node 2 of 3: the program ended with exit code 3; the others were ended",
    )


def test_rank_0_that_fails(group: MakeGroup) -> None:
    found = group(2)
    found.drive(0, "exit 5")
    found.drive(1, "sleep 30")
    assert found.join() == {0: 5, 1: 3}
    assert found.pods[0].only_record().error == "node 0 of 2: the program ended with exit code 5; the other was ended"
    assert "ended with the others" in found.pods[1].programs[-1].text


def test_success_is_that_rank_0_ends_well(group: MakeGroup) -> None:
    found = group(3)
    found.drive(0, WRITE)
    found.drive(1, "sleep 30")
    found.drive(2, "trap '' TERM; while :; do sleep 0.1; done")
    assert found.join() == {0: 0, 1: 0, 2: 0}
    assert found.pods[0].only_record().state is State.COMPLETE


def test_a_rank_that_ends_early_waits_for_the_end(group: MakeGroup) -> None:
    found = group(2)
    found.drive(1, "true")
    found.drive(0, f"sleep 2; {WRITE}")
    assert found.join() == {0: 0, 1: 0}
    failing = group(2)
    failing.drive(1, "true")
    failing.drive(0, "sleep 2; exit 4")
    assert failing.join() == {0: 4, 1: 3}


def test_a_rank_that_never_comes(group: MakeGroup) -> None:
    found = group(3, wait=2)
    found.drive(0, WRITE)
    found.drive(1, "true")
    assert found.join() == {0: 3, 1: 3}
    error = found.pods[0].only_record().error or ""
    assert error.startswith("node 2 of 3 was not there within 2 s: the cluster has no room for its pod"), error
    assert "kubectl get pods -l tekton.dev/pipelineRun=churn-x1" in error


def test_an_in_that_another_rank_cannot_read(group: MakeGroup) -> None:
    found = group(2)
    found.pods[1].code_digest = "sha256:" + "9" * 64
    found.drive(0, WRITE)
    found.drive(1, "true")
    assert found.join() == {0: 3, 1: 3}
    record = found.pods[0].only_record()
    assert (record.state, record.exit_code) == (State.FAIL, None)
    assert (record.error or "").startswith("node 1 of 2: "), record.error


def test_a_node_that_is_lost(group: MakeGroup) -> None:
    found = group(3)
    found.drive(0, "sleep 30")
    found.drive(1, "sleep 30")
    found.drive(2, "sleep 30")
    running(found)
    found.pods[2].end()
    found.threads.pop()
    codes = {rank: code for rank, code in found.join().items() if rank < 2}
    assert all(codes.values()), codes
    record = found.pods[0].only_record()
    assert (record.state, record.reason, record.exit_code) == (State.FAIL, "PodStopped", None)
    assert (record.error or "").startswith("node 2 of 3: its pod has not been heard of for 2 s"), record.error


def test_a_node_is_lost_also_where_no_beat_may_be_deleted(group: MakeGroup, least: Rights) -> None:
    found = group(2)
    found.drive(0, "sleep 30")
    found.drive(1, "sleep 30")
    running(found)
    until(lambda: found.board().look().beats.get(1, 0) > 2, "rank 1 was heard of more than once")
    found.pods[1].end()
    found.threads.pop()
    assert found.join()[0]
    error = found.pods[0].only_record().error or ""
    assert error.startswith("node 1 of 2: its pod has not been heard of for 2 s"), error
    assert "cannot be heard" not in found.pods[0].programs[0].text
    assert all("/beat-" in key for key in least.refused)
    assert least.refused


def running(found: Group) -> None:
    for pod in found.pods:
        until((pod.places.state / "staged").exists, f"rank {pod.rank} runs")


def test_rank_0_that_is_lost(group: MakeGroup) -> None:
    found = group(2)
    found.drive(1, "sleep 30")
    found.drive(0, "sleep 30")
    running(found)
    found.pods[0].end()
    found.threads.pop()
    assert found.join()[1] == 3
    assert "node 0 of 2: its pod has not been heard of for 2 s" in found.pods[1].programs[-1].text


@pytest.mark.parametrize("rank", [0, 1])
def test_a_pod_that_is_told_to_end(group: MakeGroup, rank: int) -> None:
    found = group(2)
    found.drive(0, "sleep 30")
    found.drive(1, "sleep 30")
    running(found)
    found.pods[rank].programs[0].kill(signal.SIGTERM)
    other = 1 - rank
    until(lambda: other in found.codes, f"rank {other} ends with rank {rank}")
    assert found.codes[other]
    record = found.pods[0].only_record()
    assert record.state is (State.ABORT if rank == 0 else State.FAIL)
    assert "the pod was told to end" in (record.error or "")


def test_all_go_again_together(group: MakeGroup) -> None:
    uid = str(uuid4())
    first = group(2, retries=1, run_uid=uid)
    first.drive(0, "sleep 30")
    first.drive(1, "sleep 0.5; exit 1")
    assert all(first.join().values())
    again = group(2, retries=1, run_uid=uid, attempt=1)
    again.drive(1, "true")
    again.drive(0, WRITE)
    assert again.join() == {0: 0, 1: 0}
    assert [(r.attempt, r.state) for r in sorted(again.pods[0].records, key=lambda r: r.attempt)] == [
        (0, State.FAIL), (1, State.COMPLETE),
    ]  # fmt: skip


def test_a_rank_that_goes_on_to_its_next_attempt_ends_the_one_before(group: MakeGroup) -> None:
    """Its pod went before it could say anything: as of an image that could not be pulled."""
    uid = str(uuid4())
    first = group(2, retries=1, run_uid=uid)
    first.drive(0, WRITE)
    until(lambda: 0 in first.board().look().ready, "rank 0 waits")
    again = group(2, retries=1, run_uid=uid, attempt=1)
    again.drive(1, "true")
    assert first.join() == {0: 3}
    assert "node 1 of 2: its pod was lost" in (first.pods[0].only_record().error or "")
    again.drive(0, WRITE)
    assert again.join() == {0: 0, 1: 0}


@pytest.mark.parametrize("rank", [0, 1])
def test_a_second_pod_of_a_rank_ends_the_attempt(group: MakeGroup, make: MakePod, rank: int) -> None:
    found = group(2)
    pods = found.pods
    found.board().claim(rank, str(uuid4()))
    found.drive(0, WRITE)
    found.drive(1, "true")
    assert all(found.join().values())
    assert "its pod was lost, and the cluster made another" in (pods[0].only_record().error or "")


def test_what_rank_0_left_is_not_kept_and_all_go_again(group: MakeGroup) -> None:
    uid = str(uuid4())
    found = group(2, retries=1, run_uid=uid)
    found.drive(0, 'echo 7 > "$rows"')  # no model
    found.drive(1, "true")
    assert found.join() == {0: 3, 1: 3}
    again = group(2, retries=1, run_uid=uid, attempt=1)
    again.drive(0, WRITE)
    again.drive(1, "true")
    assert again.join() == {0: 0, 1: 0}


def test_a_rank_that_comes_when_all_is_done_has_nothing_to_do(group: MakeGroup) -> None:
    uid = str(uuid4())
    found = group(2, retries=1, run_uid=uid)
    found.drive(0, WRITE)
    found.drive(1, "true")
    assert found.join() == {0: 0, 1: 0}
    again = group(2, retries=1, run_uid=uid, attempt=1)
    again.drive(1, "exit 9")
    assert again.join() == {1: 0}
    again.drive(0, WRITE)
    assert again.join()[0] == 3
    assert any("an attempt before had succeeded" in (r.error or "") for r in again.pods[0].records)


POINTS = [
    *(("results", point) for point in ("begun", "ready", "judged", "decided", "kept")),
    *(("stage-in", point) for point in ("begun", "here", "met")),
    *(("stage-out", point) for point in ("begun", "staged", "results", "decided")),
]


@pytest.mark.parametrize("rank", [0, 1])
@pytest.mark.parametrize("kill", POINTS, ids="-".join)
def test_whatever_is_killed_all_end_and_say_the_same(group: MakeGroup, rank: int, kill: tuple[str, str]) -> None:
    found = group(2, wait=4, retries=1)
    for one, script in enumerate((f"sleep 0.5; {WRITE}", "sleep 0.5")):
        found.drive(one, script, kill if one == rank else ("", ""))
    codes = found.join()
    records = found.pods[0].records
    assert len(records) <= 1, "rank 0 alone makes one"
    if codes[0] == 0:
        assert [record.state for record in records] == [State.COMPLETE]
    if codes[1] == 0:  # it will not come again
        assert found.board().kept() or (kill[0] == "results" and rank == 1)
    if records and records[0].state is State.COMPLETE and rank == 1:
        assert codes[0] == 0


@pytest.mark.parametrize(("key", "data"), [
    ("1/end.json", b"{" * 1000),
    ("1/end.json", b"\xff\x00"),
    ("1/end.json", b'{"version": 1, "well": true, "at": "x"}'),
    ("1/end.json", b"x" * (1 << 20)),
    ("0/ready.json", b'{"version": 1, "address": "$(reboot)"}'),
    ("0/ready.json", b"[]"),
])  # fmt: skip
def test_hostile_words_end_the_attempt_and_no_more(group: MakeGroup, key: str, data: bytes) -> None:
    found = group(2)
    on = found.board()
    on.store.put(f"{on.folder}/{key}", data)
    found.drive(1, "true")
    found.drive(0, WRITE)
    codes = found.join()
    assert codes[0] == 3
    record = found.pods[0].only_record()
    assert record.state is State.FAIL
    assert "cannot be read" in (record.error or "")


@pytest.mark.parametrize("key", ["7/end.json", "x/end.json", "1/../0/end.json", "99/beat-1", "1/beat-x", "2/kept.json"])
def test_keys_of_no_rank_are_passed_over(group: MakeGroup, key: str) -> None:
    found = group(2)
    on = found.board()
    path = Path(on.store.uri) / on.folder / key
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"{}")
    seen = on.look()
    assert not seen.kept
    assert seen.ended <= {0}


def test_an_end_survives_its_bytes() -> None:
    end = End(2, False, AT, 3, "StepFailed", "the program ended with exit code 3", "program")
    assert End.from_bytes(end.to_bytes(), 2) == end
    assert End.loads(end.to_bytes().decode()) == end
    newer = json.loads(end.to_bytes()) | {"version": 2}
    with pytest.raises(BadRecord, match="newer"):
        End.from_bytes(json.dumps(newer).encode(), 2)
