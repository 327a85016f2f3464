"""What an attempt in a pod finds of the one before: its end, its checkpoint, that its program began."""

from __future__ import annotations

import signal
import time
from pathlib import Path
from typing import Any

import pytest

from mlgen.ledger.records.task import State
from mlgen.runtime.attempts import following, notes
from mlgen.runtime.attempts.retrying import Cause, Policy, delay_seconds, delays_seconds, refusal
from mlgen.runtime.nodes.board import Board
from mlgen.runtime.pod.invocation import TaskPod, read_invocation
from mlgen.runtime.protocol import CheckpointDocument, In
from mlgen.store import Folder
from mlgen.values import Type
from tests.runtime.pods import MODEL, ROWS, WRITE, MakePod, Pod, until

POLICY = Policy(3, infrastructure=True, codes=(75,))
STATE = CheckpointDocument("state", 1)
TRAIN = """
n=$(cat "$state/step" 2>/dev/null || echo 0)
while [ "$n" -lt 6 ]; do
  n=$((n + 1)); echo "$n" > "$state/step.tmp"; mv "$state/step.tmp" "$state/step"; echo "$n" >> "$steps"
  if [ "$n" = "$die_at" ] && mkdir "$steps.died"; then %s; fi
done
""" + WRITE  # fmt: skip


@pytest.fixture(autouse=True)
def _a_lost_attempt_is_not_waited_for_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(following, "SAVING_SECONDS", 1)
    monkeypatch.setattr(following, "TELLING_SECONDS", 1)


def again(make: MakePod, before: Pod, **options: Any) -> Pod:
    """The pod of the next attempt of the same TaskRun."""
    return make(run_uid=before.run_uid, attempt=before.attempt + 1, retry=before.retry, outs=before.outs, **options)


def end(pod: Pod, script: str) -> int:
    """A whole pod, whatever comes of it; the exit code of the step that says so."""
    sidecar = pod.sidecar()
    code = pod.stage_in()
    if not code:
        pod.main(script)
        code = pod.stage_out()
    assert sidecar.wait() == 0, sidecar.text
    return code


def record(pod: Pod):  # type: ignore[no-untyped-def]  # of this pod alone
    (found,) = [r for r in pod.records if (r.tekton or {})["podUid"] == pod.pod_uid]
    return found


def test_a_failure_of_the_programs_own_is_not_tried_again(make: MakePod) -> None:
    first = make(outs=(MODEL,), retry=POLICY)
    assert end(first, "exit 2") == 2
    assert record(first).error == (
        "the program ended with exit code 2; not tried again: `on` lists only exit code 75 and infrastructure"
    )
    second = again(make, first)
    assert end(second, WRITE) == 2
    told = record(second)
    assert (told.state, told.reason, told.exit_code, told.cause) == (State.FAIL, "StepFailed", 2, "program")
    assert told.error == record(first).error
    third = again(make, second)
    assert end(third, WRITE) == 2
    assert record(third).error == record(first).error


@pytest.mark.parametrize(("script", "code"), [("exit 75", 75), ("kill -9 $$", 255), ("exit 137", 137)])
def test_a_failure_that_is_listed_is_tried_again(make: MakePod, script: str, code: int) -> None:
    first = make(outs=(MODEL, ROWS), retry=POLICY)
    assert end(first, script) == code
    assert record(first).cause == ("program" if code == 75 else "infrastructure")
    assert end(again(make, first), WRITE) == 0


def test_an_attempt_waits_for_the_rest_of_its_backoff(make: MakePod) -> None:
    first = make(outs=(MODEL, ROWS), retry=Policy(3, backoff_seconds=2))
    assert end(first, "exit 1") == 1
    ended = time.time()
    second = again(make, first)
    assert end(second, f'date +%s.%N > "{first.folder}/began"; {WRITE}') == 0
    assert float((first.folder / "began").read_text()) - ended > 1.5


def test_what_is_not_idempotent_runs_once(make: MakePod) -> None:
    """Also where Tekton makes a pod again for one that vanished: the same TaskRun and attempt, another pod."""
    once = Policy(2, idempotent=False)
    first = make(outs=(MODEL, ROWS), retry=once)
    first.sidecar()
    assert first.stage_in() == 0
    for program in first.programs:
        program.kill()
    same = make(run_uid=first.run_uid, retry=once, outs=first.outs)
    assert end(same, WRITE) == 3
    assert "not idempotent" in record(same).error
    assert end(again(make, same), WRITE) == 3


def test_of_two_pods_at_once_one_begins(make: MakePod, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also in a bucket that lets every put succeed."""
    first = make()
    store, put = Folder(first.store, "a"), Folder.put

    def put_over(self: Folder, key: str, data: bytes) -> None:
        (self.root / key).unlink(missing_ok=True)
        put(self, key, data)

    monkeypatch.setattr(Folder, "put", put_over)
    executions = [read_invocation(["stage-in"], pod.environ()) for pod in (first, make(run_uid=first.run_uid))]
    one, two = (pod.execution for pod in executions if isinstance(pod, TaskPod))
    assert notes.begin(store, first.document, one) is None
    refused = notes.begin(store, first.document, two)
    assert refused is not None
    assert f"its program had begun (execution {one.run_id})" in refused.error
    assert notes.begin(store, first.document, one) is None, "asked again by the same"
    board = Board(store, "nodes/0", 2)
    assert [board.claim(1, pod) for pod in ("a", "b", "a")] == [True, False, True]


def test_what_is_not_idempotent_is_tried_again_before_its_program_began(make: MakePod) -> None:
    once = Policy(2, idempotent=False)
    first = make(outs=(MODEL, ROWS), retry=once, code_digest="sha256:" + "0" * 64)
    assert end(first, WRITE) == 3
    assert record(first).cause == "infrastructure"
    assert end(again(make, first), WRITE) == 0


def train(pod: Pod, died: str, die_at: int = 3) -> tuple[Pod, str]:
    steps = pod.store.parent / "steps"
    return pod, f"steps={steps}; die_at={die_at}; {TRAIN % died}"


def steps(pod: Pod) -> list[str]:
    return (pod.store.parent / "steps").read_text().split()


@pytest.mark.parametrize("died", ["kill -9 $$", "exit 75"])
def test_a_training_that_died_continues(make: MakePod, died: str) -> None:
    first = make(outs=(MODEL, ROWS), retry=POLICY, checkpoint=STATE)
    assert end(*train(first, died)) != 0
    second = again(make, first, checkpoint=STATE)
    assert end(*train(second, died)) == 0
    assert steps(first) == ["1", "2", "3", "4", "5", "6"]
    assert not [path for path in first.store.rglob("_attempts/*/*/*/0/**/*") if path.is_file()]


def test_a_pod_that_is_told_to_end_saves_what_its_program_has(make: MakePod) -> None:
    """Preempted between two saves: the program writes its last when it is told to end."""
    first = make(outs=(MODEL, ROWS), retry=POLICY, checkpoint=CheckpointDocument("state", 600))
    sidecar = first.sidecar()
    assert first.stage_in() == 0
    sidecar.kill(signal.SIGTERM)
    time.sleep(0.3)
    pod, script = train(first, "kill -9 $$")
    pod.main(script, tells=False)
    assert sidecar.wait() == 0
    assert record(first).state is State.ABORT
    second = again(make, first, checkpoint=STATE)
    assert end(*train(second, "exit 9")) == 0
    assert steps(first) == ["1", "2", "3", "4", "5", "6"]


@pytest.mark.parametrize("point", ["decided", "kept", "told", "saved"])
def test_a_sidecar_killed_at_any_point_leaves_what_was_saved(make: MakePod, point: str) -> None:
    first = make(outs=(MODEL, ROWS), retry=POLICY, checkpoint=STATE)
    sidecar = first.sidecar(kill_at=point)
    assert first.stage_in() == 0
    pod, script = train(first, "sleep 1.3; kill -9 $$")
    pod.main(script)
    first.begin("stage-out")
    assert sidecar.wait() == -signal.SIGKILL
    second = again(make, first, checkpoint=STATE)
    assert end(*train(second, "exit 9")) == 0
    assert steps(first) == ["1", "2", "3", "4", "5", "6"]


@pytest.mark.parametrize("point", ["begun", "waited", "restored"])
def test_stage_in_killed_while_it_prepares(make: MakePod, point: str) -> None:
    first = make(outs=(MODEL, ROWS), retry=POLICY, checkpoint=STATE)
    assert end(*train(first, "exit 75")) == 75
    second = again(make, first, checkpoint=STATE)
    second.sidecar()
    assert second.begin("stage-in", kill_at=point).wait() == -signal.SIGKILL
    until((second.folder / "run-0" / "out.err").exists, "its steps are let go")
    third = again(make, second, checkpoint=STATE)
    assert end(*train(third, "exit 9")) == 0
    assert steps(first) == ["1", "2", "3", "4", "5", "6"]


def test_delays() -> None:
    policy = Policy(9, backoff_seconds=30)
    assert [delay_seconds(policy, n) for n in range(1, 7)] == [30, 60, 120, 240, 480, 600]
    assert delays_seconds(Policy(2, backoff_seconds=3600)) == 7200
    assert delays_seconds(Policy(0)) == 0


def test_refusals() -> None:
    anything = Policy(3, backoff_seconds=1)
    assert refusal(anything, Cause.PROGRAM, 2, began=True) is None
    assert refusal(POLICY, Cause.INFRASTRUCTURE, 137, began=True) is None
    assert refusal(POLICY, Cause.PROGRAM, 0, began=True) == (
        "the failure is the program's own, and `on` lists only exit code 75 and infrastructure"
    )
    # 75 is the program's own, too: what keeps 3 from being tried again is the list.
    assert refusal(Policy(1, codes=(75,)), Cause.PROGRAM, 3, began=True) == "`on` lists only exit code 75"
    assert refusal(Policy(1, codes=(75, 76)), Cause.PROGRAM, 3, began=True) == "`on` lists only exit codes 75, 76"
    assert refusal(Policy(1, codes=(), infrastructure=True), Cause.PROGRAM, 3, began=True) == (
        "`on` lists only infrastructure"
    )
    assert "does not list" in (
        refusal(Policy(1, codes=(3,), infrastructure=False), Cause.INFRASTRUCTURE, None, began=False) or ""
    )


def test_a_store_of_another_run_holds_no_checkpoint_of_this(make: MakePod, tmp_path: Path) -> None:
    first = make(outs=(MODEL, ROWS), retry=POLICY, checkpoint=STATE)
    assert end(*train(first, "exit 75")) == 75
    other = make(outs=(MODEL, ROWS), retry=POLICY, checkpoint=STATE)
    assert end(other, f'ls -A "$state" > {tmp_path}/found; {WRITE}') == 0
    assert (tmp_path / "found").read_text() == ""


OF_A_TASK = CheckpointDocument("state", 1, (("code", ""), ("run", "sha256:" + "1" * 64)))


@pytest.mark.parametrize(
    ("changed", "resumes", "goes_on"),
    [
        (OF_A_TASK, True, True),
        (CheckpointDocument("state", 600, OF_A_TASK.parts), True, True),
        (CheckpointDocument("state", 1, (("code", ""), ("run", "sha256:" + "2" * 64))), True, False),
        (STATE, True, False),
        (OF_A_TASK, False, False),
    ],
)
def test_a_run_that_takes_up_another_goes_on_from_its_last_save(
    make: MakePod, tmp_path: Path, changed: CheckpointDocument, *, resumes: bool, goes_on: bool
) -> None:
    """Only where it computes from the same, and only from the run that it names."""
    first = make(outs=(MODEL, ROWS), checkpoint=OF_A_TASK)
    assert end(*train(first, "exit 75")) == 75
    other = make(outs=(MODEL, ROWS), checkpoint=changed)
    other.resumes = first.run_uid if resumes else ""
    assert end(other, f'find "$state" -type f -exec cat {{}} + > {tmp_path}/found; {WRITE}') == 0
    assert (tmp_path / "found").read_text() == ("3\n" if goes_on else "")
    assert [path.read_text() for path in first.store.rglob(f"_attempts/*/{first.run_uid}/**/*-0")] == ["3\n"]


def test_a_save_is_found_behind_runs_that_never_came_to_it(make: MakePod, tmp_path: Path) -> None:
    first = make(outs=(MODEL, ROWS), checkpoint=OF_A_TASK)
    assert end(*train(first, "exit 75")) == 75
    other = make(outs=(MODEL, ROWS), checkpoint=OF_A_TASK)
    other.resumes = f"{make().run_uid},{first.run_uid}"
    assert end(other, f'find "$state" -type f -exec cat {{}} + > {tmp_path}/found; {WRITE}') == 0
    assert (tmp_path / "found").read_text() == "3\n"


def test_what_the_program_reads_must_be_the_same_too(make: MakePod, tmp_path: Path) -> None:
    value = In("rate", "value", Type.NUMBER)
    first = make(ins=(value,), outs=(MODEL, ROWS), checkpoint=OF_A_TASK, given={"rate": "0.1"})
    assert end(*train(first, "exit 75")) == 75
    for rate, found in (("0.2", ""), ("0.1", "3\n")):
        other = make(ins=(value,), outs=(MODEL, ROWS), checkpoint=OF_A_TASK, given={"rate": rate})
        other.resumes = first.run_uid
        assert end(other, f'find "$state" -type f -exec cat {{}} + > {tmp_path}/found; exit 1') == 1
        assert (tmp_path / "found").read_text() == found


def test_a_uid_that_is_none_is_no_place(make: MakePod) -> None:
    pod = make(outs=(MODEL, ROWS), checkpoint=OF_A_TASK)
    pod.resumes = "../other"
    assert end(pod, WRITE) == 0
