"""Every way in which an execution ends leaves one record, right results and no process."""

from __future__ import annotations

import json
import random
import signal
import time
from pathlib import Path

import pytest

from mlgen.ledger.records.task import State
from mlgen.runtime.pod import sidecar, verdict
from mlgen.runtime.protocol import Evaluation, In, Out
from mlgen.values import Type
from tests.runtime.pods import MODEL, ROWS, WRITE, MakePod, Pod, an_artifact


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(verdict, "ENTRYPOINT_SECONDS", 0.4)
    monkeypatch.setattr(verdict, "TOGETHER_SECONDS", 0.2)
    monkeypatch.setattr(verdict, "STAGE_OUT_SECONDS", 0.5)


def test_a_task_that_succeeds(make: MakePod, tmp_path: Path) -> None:
    text = an_artifact(tmp_path / "store", "churn/x/prepare.0/data", "rows")
    gate = Evaluation(1, "train.rows > 5", (("train.rows", Type.INTEGER),))
    pod = make(ins=(In("data", "out", Type.FILE),), outs=(MODEL, ROWS), evaluates=(gate,), given={"data": text})
    beside = pod.sidecar()
    assert pod.stage_in() == 0
    assert pod.main('cat "$data" > "$model"; echo 7 > "$rows"') == 0
    assert pod.stage_out() == 0
    assert beside.wait() == 0
    record = pod.only_record()
    assert (record.state, record.exit_code, record.reason, record.error) == (State.COMPLETE, 0, "Succeeded", None)
    assert record.values == {"rows": 7}
    (model,) = record.outputs
    assert Path(model.uri).read_text() == "rows"
    assert [i.uri for i in record.inputs] == [f"{tmp_path}/store/churn/x/prepare.0/data"]
    below = model.uri.removeprefix(f"{tmp_path}/store/")
    assert pod.results == {"model": f"{below}@{model.digest}", "rows": "7", "if-1": "true"}
    assert record.started_at <= record.ended_at


def test_results_that_cannot_be_written_fail_the_task(pod: Pod) -> None:
    beside = pod.sidecar()
    pod.stage_in()
    pod.main(WRITE)
    pod.places.results.rmdir()
    assert pod.stage_out() == 3
    assert beside.wait() == 0
    assert "error[not-kept]: the results cannot be written: " in pod.programs[-1].text
    record = pod.only_record()
    assert (record.state, record.exit_code) == (State.FAIL, 0)


@pytest.mark.parametrize("text", [None, "", "seven"])
def test_an_exit_code_that_cannot_be_read(pod: Pod, text: str | None) -> None:
    pod.sidecar()
    pod.stage_in()
    pod.main(WRITE)
    path = pod.folder / "steps" / "exitCode"
    path.unlink() if text is None else path.write_text(text)
    assert pod.stage_out() == 3
    assert "the exit code of the program cannot be read" in pod.programs[-1].text
    assert pod.only_record().state is State.FAIL


def test_dollars_and_optional_outs_travel_as_results(make: MakePod) -> None:
    note, gone = Out("note", Type.STRING, optional=True, max_bytes=64), Out("gone", Type.STRING, True, 64)
    pod = make(outs=(note, gone))
    pod.sidecar()
    pod.stage_in()
    pod.main("""printf '%s' 'costs $5 $(rows) a\r\n' > "$note" """)
    assert pod.stage_out() == 0
    assert pod.results == {"note": "+costs $$5 $(MLGEN_DOLLAR)(rows) a\r", "gone": ""}


@pytest.mark.parametrize(("script", "code", "exit_code", "reason"), [
    ("exit 7", 7, 7, "StepFailed"),
    ("kill -9 $$", 255, -1, "StepFailed"),
    ("exit 137", 137, 137, "StepFailed"),  # nobody ran out of memory
])  # fmt: skip
def test_a_program_that_fails(pod: Pod, script: str, code: int, exit_code: int, reason: str) -> None:
    beside = pod.sidecar()
    pod.stage_in()
    pod.main(f"{WRITE}; {script}")
    assert pod.stage_out() == code
    assert beside.wait() == 0
    record = pod.only_record()
    assert (record.state, record.exit_code, record.reason) == (State.FAIL, exit_code, reason)
    assert (record.outputs, pod.results) == ((), {})


@pytest.mark.parametrize(("script", "code", "exit_code", "reason"), [
    ("exit 137", 137, 137, "StepOOM"),
    ("kill -9 $$", 255, -1, "StepOOM"),
    ("exit 7", 7, 7, "StepFailed"),
])  # fmt: skip
def test_a_program_that_is_killed_while_memory_is_short(
    pod: Pod, script: str, code: int, exit_code: int, reason: str
) -> None:
    pod.sidecar()
    pod.stage_in()
    pod.main(script)
    pod.kernel_has_killed(4)
    assert pod.stage_out() == code
    record = pod.only_record()
    assert (record.state, record.exit_code, record.reason) == (State.FAIL, exit_code, reason)
    assert ("memory" in (record.error or "")) is (reason == "StepOOM")


def test_a_kernel_that_counts_nothing(pod: Pod) -> None:
    pod.places.kernel.unlink()
    pod.sidecar()
    pod.stage_in()
    pod.main("exit 137")
    assert pod.stage_out() == 137
    assert pod.only_record().reason == "StepOOM"


def test_an_out_that_is_not_written(pod: Pod) -> None:
    beside = pod.sidecar()
    pod.stage_in()
    pod.main('echo 7 > "$rows"')
    assert pod.stage_out() == 3
    assert beside.wait() == 0
    assert pod.programs[-1].text.startswith('mlgen-runtime: error[not-kept]: out "model" was not written')
    record = pod.only_record()
    assert (record.state, record.exit_code, record.values) == (State.FAIL, 0, {"rows": 7})
    assert pod.results == {}


def test_an_in_that_is_not_there(make: MakePod) -> None:
    pod = make(ins=(In("data", "out", Type.FILE),), given={"data": "churn/x/prepare.0/data@sha256:" + "1" * 64})
    beside = pod.sidecar()
    assert pod.stage_in() == 3
    assert beside.wait() == 0
    said = pod.programs[-1].text
    assert said.startswith('mlgen-runtime: error[not-staged]: in "data" cannot be read from churn/x/prepare.0/data')
    record = pod.only_record()
    assert (record.state, record.exit_code, record.reason) == (State.FAIL, None, "StepFailed")
    assert record.error is not None
    assert record.error in said


def test_several_ins_are_told_in_their_order(make: MakePod, tmp_path: Path) -> None:
    names = ("c", "a", "b")
    texts = {name: an_artifact(tmp_path / "store", f"churn/x/prepare.0/{name}", name * 9) for name in names}
    pod = make(ins=tuple(In(name, "out", Type.FILE) for name in names), given=texts)
    pod.sidecar()
    assert pod.stage_in() == 0
    pod.main('test "$(cat "$c" "$a" "$b")" = cccccccccaaaaaaaaabbbbbbbbb')
    assert pod.stage_out() == 0
    assert [i.name for i in pod.only_record().inputs] == ["c", "a", "b"]


def test_code_that_was_not_published(make: MakePod) -> None:
    pod = make(code_digest="sha256:" + "2" * 64)
    beside = pod.sidecar()
    assert pod.stage_in() == 3
    assert beside.wait() == 0
    assert "mlgen publish --env prod" in (pod.only_record().error or "")


def test_a_command_that_is_not_found(pod: Pod) -> None:
    beside = pod.sidecar()
    pod.stage_in()
    (pod.places.main_run / "out.err").touch()
    assert beside.wait() == 0
    record = pod.only_record()
    assert (record.state, record.exit_code, record.reason) == (State.FAIL, None, "StepFailed")
    assert record.error is not None
    assert "no such command" in record.error


def test_a_step_that_times_out(pod: Pod) -> None:
    beside = pod.sidecar()
    pod.stage_in()
    pod.main("kill -9 $$", tells=False)
    (pod.places.main_run / "out.err").touch()
    assert beside.wait() == 0
    record = pod.only_record()
    assert (record.state, record.exit_code, record.reason) == (State.FAIL, -1, "TaskRunTimeout")


@pytest.mark.parametrize(("killed", "reason"), [(3, "StepFailed"), (4, "StepOOM")])
def test_a_program_killed_with_its_step(pod: Pod, killed: int, reason: str) -> None:
    beside = pod.sidecar()
    pod.stage_in()
    pod.kernel_has_killed(killed)
    pod.main("kill -9 $$", tells=False)
    assert beside.wait() == 0
    record = pod.only_record()
    assert (record.state, record.exit_code, record.reason) == (State.FAIL, -1, reason)
    assert (pod.places.main_run / "out.err").exists()  # what releases stage-out


def test_stage_in_killed_with_its_step(pod: Pod) -> None:
    beside = pod.sidecar()
    assert pod.begin("stage-in", kill_at="begun").wait() == -9
    assert beside.wait() == 0
    assert pod.only_record().error == "stage-in was killed before it was done"
    assert (pod.places.stage_in_run / "out.err").exists()  # what releases main, and by it stage-out


def test_a_step_of_ours_that_dies_is_seen_at_once(pod: Pod, monkeypatch: pytest.MonkeyPatch) -> None:
    """However seldom the sidecar looks: soon after, Tekton tells it to end, and it must know which came first."""
    monkeypatch.setattr(sidecar, "FAST_SECONDS", 60)
    monkeypatch.setattr(sidecar, "SLOW_SECONDS", 60)
    beside = pod.sidecar()
    pod.stage_in()
    pod.main(WRITE)
    stuck = pod.begin("stage-out", stop_at="staged")
    stuck.kill()
    time.sleep(3)  # more than TOGETHER_SECONDS here, also on a busy machine; far less than 60
    beside.kill(signal.SIGTERM)
    assert beside.wait() == 0
    assert pod.only_record().state is State.FAIL


@pytest.mark.parametrize("point", ["begun", "staged", "results"])
def test_stage_out_killed_before_the_record_is_decided(pod: Pod, point: str) -> None:
    beside = pod.sidecar()
    pod.stage_in()
    pod.main(WRITE)
    assert pod.stage_out(kill_at=point) == -9
    assert beside.wait() == 0
    record = pod.only_record()
    assert (record.state, record.exit_code, record.outputs) == (State.FAIL, 0, ())


def test_stage_out_killed_after_the_record_is_decided(pod: Pod) -> None:
    beside = pod.sidecar()
    pod.stage_in()
    pod.main(WRITE)
    assert pod.stage_out(kill_at="decided") == -9
    assert beside.wait() == 0
    assert pod.only_record().state is State.COMPLETE


@pytest.mark.parametrize(("point", "state", "code"), [
    ("begun", State.FAIL, 3),
    ("ready", State.FAIL, 3),
    ("decided", State.COMPLETE, 0),
    ("kept", State.COMPLETE, 0),
])  # fmt: skip
def test_the_sidecar_killed(pod: Pod, point: str, state: State, code: int) -> None:
    beside = pod.sidecar(kill_at=point)
    pod.stage_in()
    pod.main(WRITE)
    assert pod.stage_out() == code
    assert beside.wait() == -9
    record = pod.only_record()
    assert record.state is state
    if state is State.FAIL:
        assert record.reason == "SidecarFailed"


def test_a_sidecar_that_is_started_again_goes_on(pod: Pod) -> None:
    """As the kubelet does with a native one."""
    assert pod.sidecar(kill_at="ready").wait() == -9
    again = pod.sidecar()
    pod.stage_in()
    pod.main(WRITE)
    assert pod.stage_out() == 0
    assert again.wait() == 0
    assert pod.only_record().state is State.COMPLETE
    assert pod.sidecar().wait() == 0
    assert len(pod.records) == 1


def test_the_sidecar_told_to_end_while_main_runs(pod: Pod) -> None:
    beside = pod.sidecar()
    pod.stage_in()
    beside.kill(signal.SIGTERM)
    assert beside.wait() == 0
    record = pod.only_record()
    assert (record.state, record.exit_code, record.reason) == (State.ABORT, None, "PodStopped")


def test_the_sidecar_told_to_end_before_any_step_leaves_it_to_reconcile(pod: Pod) -> None:
    beside = pod.sidecar()
    beside.kill(signal.SIGTERM)
    assert beside.wait() == 0
    assert pod.records == []


def test_main_dies_first_when_a_pod_is_stopped(pod: Pod, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(verdict, "TOGETHER_SECONDS", 5)
    monkeypatch.setattr(verdict, "ENTRYPOINT_SECONDS", 5)
    beside = pod.sidecar()
    pod.stage_in()
    pod.main("kill -TERM $$", tells=False)
    beside.kill(signal.SIGTERM)
    assert beside.wait() == 0
    assert pod.only_record().state is State.ABORT


def test_stage_out_comes_too_late(pod: Pod) -> None:
    """The pod is stopped while stage-out keeps its outs: what the sidecar decided is what counts."""
    beside = pod.sidecar()
    pod.stage_in()
    pod.main(WRITE)
    late = pod.begin("stage-out", stop_at="results")
    assert pod.results
    beside.kill(signal.SIGTERM)
    assert beside.wait() == 0
    late.kill(signal.SIGCONT)
    assert late.wait() == 3
    assert "error[not-recorded]" in late.text
    assert pod.only_record().state is State.ABORT
    assert pod.results == {}


def test_a_spool_that_cannot_be_reached(make: MakePod, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sidecar, "REACH_SECONDS", 0.3)
    monkeypatch.setattr(sidecar, "KEEP_UNREACHED_SECONDS", 0.3)
    (tmp_path / "store").write_text("a file, where the folder of artifacts should be")
    pod = make()
    beside = pod.sidecar()
    assert pod.stage_in() == 3
    assert "error[not-staged]: the records of this run cannot be kept: " in pod.programs[-1].text
    assert beside.wait() == 0


@pytest.mark.parametrize("seed", range(8))
def test_whoever_is_killed_whenever_one_record_is_left(pod: Pod, seed: int) -> None:
    chance = random.Random(seed)
    beside = pod.sidecar()
    pod.stage_in()
    pod.main(WRITE)
    last = pod.begin("stage-out")
    victim = chance.choice([beside, last])
    time.sleep(chance.uniform(0, 0.03))
    victim.kill(chance.choice([signal.SIGKILL, signal.SIGTERM]))
    code = last.wait()
    assert beside.wait() in (0, -9)
    record = pod.only_record()
    if code == 0:
        assert record.state is State.COMPLETE
        assert set(pod.results) == {"model", "rows"}
    if record.state is State.COMPLETE:
        assert [a.name for a in record.outputs] == ["model"]
    else:
        assert code != 0


def test_a_run_is_recorded_once_however_often_it_is_told(make: MakePod) -> None:
    pod = make()
    beside = pod.sidecar()
    pod.stage_in()
    pod.main("true")
    pod.stage_out()
    beside.wait()
    told = {
        "MLGEN_RUN_STATUS": "Failed",
        "MLGEN_TASKS": '{"train": {"status": "Succeeded", "reason": "Succeeded"}, '
        '"later": {"status": "Failed", "reason": "StepFailed"}}',
    }
    assert pod.begin("record", **told).wait() == 0
    assert pod.begin("record", **told).wait() == 0
    (run,) = pod.runs
    assert run.state is State.FAIL
    assert run.started_at == pod.only_record().started_at
    assert run.tasks["later"].reason == "StepFailed"


def test_a_gate_writes_its_results_and_no_record(make: MakePod) -> None:
    gate = Evaluation(1, "params.floor > 1", (("params.floor", Type.NUMBER),))
    pod = make(evaluates=(gate,), values=("params.floor:number=0.5",))
    document = pod.document.to_json() | {"image": None}
    assert pod.begin("stage-out", MLGEN_TASK=json.dumps(document)).wait() == 0
    assert pod.results == {"if-1": "false"}
    assert pod.records == []


@pytest.mark.parametrize(
    "given",
    [
        {"MLGEN_SPEC_DIGEST": ""},
        {"MLGEN_PLAN_DIGEST": "sha256:none"},
        {"MLGEN_RUN": "Run_1"},
        {"MLGEN_COMMIT": "a" * 40, "MLGEN_SOURCE": "p" * 70_000},
    ],
    ids="-".join,
)
def test_what_could_never_be_recorded_does_not_begin(given: dict[str, str], pod: Pod) -> None:
    sidecar = pod.sidecar(**given)
    assert sidecar.wait() == 3
    assert not (pod.places.state / "ready").exists()
    assert sidecar.text.startswith("mlgen-runtime: error[bad-invocation]: no ledger would take a record")


def test_stage_in_waits_for_the_sidecar(pod: Pod) -> None:
    stage_in = pod.begin("stage-in")
    time.sleep(0.3)
    assert stage_in.alive
    assert not (pod.places.state / "stage-in.lock").exists()
    pod.sidecar()
    assert stage_in.wait() == 0
    (pod.folder / "run-0" / "out").touch()
    pod.main(WRITE)
    assert pod.stage_out() == 0
    assert pod.only_record().state is State.COMPLETE


def test_without_its_sidecar_nothing_is_staged(pod: Pod) -> None:
    assert pod.sidecar(MLGEN_SPEC_DIGEST="").wait() == 3
    stage_in = pod.begin("stage-in")
    assert stage_in.wait() == 3
    assert stage_in.text.startswith("mlgen-runtime: error[no-sidecar]: the results sidecar was not ready")
