"""What became of runs on a real cluster, told from what the API has of them."""

from __future__ import annotations

import copy
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from mlgen.cluster.belonging import Gathered, gather
from mlgen.cluster.outside import Outside, outside
from mlgen.cluster.shape import read
from mlgen.ledger.records.entry import from_bytes, to_bytes
from mlgen.ledger.records.run import RunRecord
from mlgen.ledger.records.task import TaskRecord, pod_run_id, reconciled_run_id
from tests.cluster.apiserver import DATA, recorded

LATER = datetime(2026, 12, 1, tzinfo=UTC)


def gathered(found: dict[str, Any]) -> Gathered:
    return gather(read(found["run"]), found["taskRuns"], found["pods"])


def told(found: dict[str, Any], before: datetime = LATER) -> Outside:
    return outside(gathered(found), "lab", ended_before=before)


def tasks(result: Outside) -> dict[tuple[str, int], TaskRecord]:
    return {(e.task, e.attempt): e for e in result.entries if isinstance(e, TaskRecord)}


def run_of(result: Outside) -> RunRecord | None:
    return next((e for e in result.entries if isinstance(e, RunRecord)), None)


DONE, CANCELLED = ("COMPLETE", "Succeeded", 0), ("ABORT", "TaskRunCancelled", None)
TIMED_OUT = ("FAIL", "TaskRunTimeout", None)
# (task, attempt): (state, reason, exit code)
FATES: dict[str, dict[tuple[str, int], tuple[str, str, int | None]]] = {
    "ok": {("second", 0): DONE, ("tell", 0): DONE},
    "fail": {("second", 0): ("FAIL", "StepFailed", 7), ("second", 1): ("FAIL", "StepFailed", 7)},
    "oom": {("second", 0): ("FAIL", "StepOOM", 137), ("second", 1): ("FAIL", "StepOOM", 137)},
    "timeout": {("second", 0): TIMED_OUT, ("second", 1): ("ABORT", "PodEvicted", -1)},
    "image": {("broken", 0): ("FAIL", "TaskRunImagePullFailed", None)},
    "secret": {("broken", 0): ("FAIL", "CreateContainerConfigError", None)},
    "cancelled": {("first", 0): DONE, ("second", 0): CANCELLED},
    "cancelled-early": {("first", 0): CANCELLED},
    "cancelled-finally": {("second", 0): CANCELLED, ("tell", 0): DONE},
    "stopped": {("second", 1): TIMED_OUT},
    "tasks-timeout": {("second", 0): CANCELLED, ("tell", 0): CANCELLED},
    "pipeline-timeout": {("second", 1): CANCELLED},
    "evicted": {("second", 1): ("ABORT", "PodEvicted", -1)},
    "pod-deleted": {("second", 0): ("FAIL", "StepFailed", -1), ("second", 1): TIMED_OUT},
    "no-pipeline": {},
}  # fmt: skip
RUNS = {
    "ok": "COMPLETE", "fail": "FAIL", "oom": "FAIL", "timeout": "FAIL", "image": "FAIL", "secret": "FAIL",
    "cancelled": "ABORT", "cancelled-early": "ABORT", "cancelled-finally": "ABORT", "stopped": "FAIL",
    "tasks-timeout": "ABORT", "pipeline-timeout": "ABORT", "evicted": "FAIL", "pod-deleted": "FAIL",
    "no-pipeline": "FAIL",
}  # fmt: skip


def test_every_recorded_run_is_expected() -> None:
    assert {file.stem for file in DATA.glob("*.json") if "taskRuns" in file.read_text()} == set(FATES) == set(RUNS)


@pytest.mark.parametrize("name", FATES)
def test_what_became_of_a_run(name: str) -> None:
    found_by = gathered(recorded(name))
    assert (found_by.odd, found_by.foreign) == ((), ())
    result = told(recorded(name))
    assert (result.unfit, result.complete) == ((), True)
    found = tasks(result)
    assert {key: (str(found[key].state), found[key].reason, found[key].exit_code) for key in FATES[name]} == FATES[name]
    assert not {task for task, _ in found} & {"record", "third"}, "neither has a record"
    run = run_of(result)
    assert run is not None
    assert str(run.state) == RUNS[name]
    for entry in result.entries:
        assert entry.reconciled
        assert from_bytes(to_bytes(entry)) == entry
        assert (getattr(entry, "error", None) is None) == (entry.state == "COMPLETE") or isinstance(entry, RunRecord)


def test_a_record_has_all_that_the_api_knows() -> None:
    found = recorded("fail")
    record = tasks(told(found))["second", 1]
    about = next(t["metadata"] for t in found["taskRuns"] if t["metadata"]["name"] == "fail-second")
    pod = next(p["metadata"] for p in found["pods"] if p["metadata"]["name"] == "fail-second-pod-retry1")
    assert record.run_id == reconciled_run_id(about["uid"], 1) != pod_run_id(about["uid"], pod["uid"])
    assert record.params == {"epochs": 20, "mode": "fail", "note": "a$b", "rate": 0.5}
    assert (record.started_at, record.ended_at) == ("2026-11-28T20:46:18Z", "2026-11-28T20:46:24Z")
    assert record.image == "registry.example/busybox:1"
    assert record.error == "the program ended with exit code 7"
    assert record.source is not None
    assert (record.source.commit, record.source.path) == ("ab" * 20, "pipelines/lab.yaml")
    assert record.tekton == {
        "namespace": "cron-lab",
        "pipelineRun": "fail",
        "pipelineRunUid": found["run"]["metadata"]["uid"],
        "taskRun": "fail-second",
        "taskRunUid": about["uid"],
        "pod": "fail-second-pod-retry1",
        "podUid": pod["uid"],
    }


def test_a_run_tells_of_its_tasks_and_not_of_gates_and_finally_tasks() -> None:
    found = recorded("fail")
    found["run"]["status"]["pipelineSpec"]["tasks"].append(
        {"name": "if-third", "params": [{"name": "mlgen-values", "value": []}]}
    )
    run = run_of(told(found))
    assert run is not None
    assert {name: (t.status, t.reason) for name, t in run.tasks.items()} == {
        "first": ("Succeeded", "Succeeded"),
        "second": ("Failed", "StepFailed"),
        "third": ("None", "PipelineRun was stopping"),
    }
    assert (run.started_at, run.ended_at) == ("2026-11-28T20:46:05Z", "2026-11-28T20:46:24Z")
    assert run.params == {"epochs": 20, "mode": "fail", "note": "a$b", "rate": 0.5}
    assert run.path == f"runs/2026/11/28/lab/fail.{run.uid[:8]}/run.reconciled.json"


def test_nothing_is_told_that_goes_on_or_has_just_ended() -> None:
    found = recorded("fail")
    ended = datetime.fromisoformat("2026-11-28T20:46:24Z")
    result = told(found, ended - timedelta(seconds=1))
    assert set(tasks(result)) == {("first", 0), ("second", 0)}
    assert (run_of(result), result.complete) == (None, False)
    found["run"]["status"]["conditions"][0]["status"] = "Unknown"
    result = told(found)
    assert (run_of(result), result.complete) == (None, False)
    assert ("second", 1) in tasks(result)


def test_the_same_objects_give_the_same_bytes_whether_pods_are_there_or_not() -> None:
    found = recorded("oom")
    first = [to_bytes(entry) for entry in told(found).entries]
    assert first == [to_bytes(entry) for entry in told(copy.deepcopy(found)).entries]


def test_a_run_that_mlgen_did_not_start_is_named_and_nothing_told_of_it() -> None:
    found = recorded("ok")
    del found["run"]["metadata"]["annotations"]["mlgen.dev/plan-digest"]
    result = told(found)
    assert [(one.name, one.reason) for one in result.unfit] == [
        ("ok", "its annotation mlgen.dev/plan-digest is missing")
    ]
    assert (result.entries, result.complete) == ((), True)


@pytest.mark.parametrize("value", ["..", "A b", "x" * 300, "\x1b[31m"])
def test_hostile_labels_become_no_path(value: str) -> None:
    found = recorded("ok")
    for task_run in found["taskRuns"]:
        task_run["metadata"]["labels"]["tekton.dev/pipelineTask"] = value
    assert len(gathered(found).odd) == len(found["taskRuns"])
    assert not [e for e in told(found).entries if isinstance(e, TaskRecord)]


def test_a_task_document_of_another_version_is_told_of_in_part() -> None:
    found = recorded("image")
    for task_run in found["taskRuns"]:
        [variable] = task_run["status"]["taskSpec"]["steps"][0]["env"]
        variable["value"] = '{"version":99,"image":"x:$$1"}'
    record = tasks(told(found))["broken", 0]
    assert (record.image, record.code_digest) == ("x:$1", None)


@pytest.mark.parametrize(("note", "labels"), [
    ('{"cost-center":"cc-4411"}', {"cost-center": "cc-4411"}), (None, {}), ("", {}), ("{", {}), ("[1]", {}),
])  # fmt: skip
def test_labels_are_those_of_the_runs_annotation(note: str | None, labels: dict[str, str]) -> None:
    found = recorded("ok")
    about = found["run"]["metadata"]
    about["labels"]["mlgen.dev/owner"] = "risk-team"
    if note is not None:
        about["annotations"]["mlgen.dev/labels"] = note
    run = run_of(told(found))
    assert run is not None
    assert (run.labels, run.owner) == (labels, "risk-team")
