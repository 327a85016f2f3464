from __future__ import annotations

import json
from pathlib import Path

import pytest

from mlgen.ledger.records.run import TaskStatus
from mlgen.ledger.records.task import State
from mlgen.runtime.fans.gathering import put_count
from mlgen.runtime.fans.model import Count
from mlgen.runtime.fans.outcomes import Outcome, key, to_bytes
from mlgen.runtime.pod.final import run_record
from mlgen.runtime.pod.invocation import RecordPod
from mlgen.runtime.pod.memory import grew, oom_kills
from mlgen.runtime.pod.milestone import Milestone, note, noted
from mlgen.runtime.protocol import Statuses, TaskDocument
from mlgen.store import Folder
from tests.runtime.pods import MakePod

START, END = "2026-11-28T10:00:00.000Z", "2026-11-28T10:00:09.000Z"
UID = "6c84fb90-12c4-11e1-840d-7b25c5ee775a"
DOCUMENT = TaskDocument("churn", "prod", "record", (), (), (), "s3://b/p", None, None, None, 600)
FAILED, CANCELLED = TaskStatus("Failed", "StepFailed"), TaskStatus("Failed", "TaskRunCancelled")
WELL, SKIPPED = TaskStatus("Succeeded", "Succeeded"), TaskStatus("None", "None")


@pytest.mark.parametrize(("status", "tasks", "state"), [
    ("Succeeded", [WELL], State.COMPLETE),
    ("Completed", [WELL, SKIPPED], State.COMPLETE),
    ("Failed", [WELL, FAILED, SKIPPED], State.FAIL),
    ("Failed", [FAILED, CANCELLED], State.ABORT),
    ("None", [SKIPPED], State.ABORT),
])  # fmt: skip
def test_the_state_of_a_run(status: str, tasks: list[TaskStatus], state: State) -> None:
    by_name = {f"t{index}": task for index, task in enumerate(tasks)}
    pod = RecordPod(DOCUMENT, "churn-x1", UID, {"floor": 0.5}, "sha256:" + "5" * 64, None, status, by_name)
    run = run_record(pod, START, END)
    assert (run.state, run.started_at, run.ended_at, run.tasks) == (state, START, END, by_name)


def test_whoever_notes_first_is_believed(tmp_path: Path) -> None:
    store = Folder(tmp_path, "artifacts")
    run = {"pipeline": "churn", "run": "churn-x1", "run_uid": UID}
    assert noted(store, Milestone.STARTED, **run) is None
    assert note(store, Milestone.STARTED, **run, time=START) == START
    assert note(store, Milestone.STARTED, **run, time=END) == START
    assert noted(store, Milestone.STARTED, **run) == START
    assert noted(store, Milestone.ENDED, **run) is None


@pytest.mark.parametrize("data", [b"", b"[]", b"{}", b'{"time": 3}', b'{"time": "soon"}', b"\xff"])
def test_a_note_that_no_pod_wrote_is_none(tmp_path: Path, data: bytes) -> None:
    store = Folder(tmp_path, "artifacts")
    store.put(f"churn/churn-x1/started.{UID[:8]}.json", data)
    run = {"pipeline": "churn", "run": "churn-x1", "run_uid": UID}
    assert noted(store, Milestone.STARTED, **run) is None
    assert note(store, Milestone.STARTED, **run, time=START) == START


@pytest.mark.parametrize(("text", "count"), [
    ("pgfault 1\noom_kill 12\n", 12), ("pgfault 1\n", None), ("oom_kill many\n", None), ("", None),
    ("a line of three words\n", None),
])  # fmt: skip
def test_the_kernel_counts(tmp_path: Path, text: str, count: int | None) -> None:
    (tmp_path / "vmstat").write_text(text)
    assert oom_kills(tmp_path / "vmstat") == count
    assert oom_kills(tmp_path / "none") is None


def test_a_count_that_is_not_known_has_not_grown() -> None:
    assert grew("3", 4) is True
    assert grew("3", 3) is False
    assert [grew(None, 4), grew("", 4), grew("3", None)] == [None, None, None]


def status(word: str, *chunks: str) -> dict[str, object]:
    found: dict[str, object] = {"status": word, "reason": word}
    return found | ({"chunks": [{"status": one, "reason": one} for one in chunks]} if chunks else {})


def test_a_finally_task_is_told_how_fans_ended_as_a_whole(make: MakePod) -> None:
    """Tekton tells of the first of a fan's pieces, of one without items that it was skipped, and of a hit as well."""
    counts = (Count(0, "each", 16, True, ()), Count(1, "none", 16, True, ()))
    pod = make(statuses=Statuses(counts, ("fit", "miss")))
    told = {
        "make": status("Succeeded"),
        "train": status("Succeeded", "Succeeded", "Failed", "None"),
        "each": status("Succeeded", "Succeeded", "None"),
        "none": status("None", "None", "None"),
        "fit": status("None"),
        "miss": status("None"),
    }
    pod.tasks = json.dumps(told)
    store = Folder(pod.store, str(pod.store))
    put_count(store, "churn", pod.run_uid, "each", 16)
    put_count(store, "churn", pod.run_uid, "none", 0)
    hit = Outcome(0, 0, UID, State.COMPLETE, {}, {}, {})
    store.put(key("churn", pod.run_uid, "fit", hit), to_bytes(hit))
    pod.sidecar()
    assert pod.stage_in() == 0
    found = json.loads((pod.places.root / "in" / "MLGEN_TASKS").read_text())
    assert {name: one["status"] for name, one in found.items()} == {
        "make": "Succeeded",
        "train": "Failed",
        "each": "Succeeded",
        "none": "Succeeded",
        "fit": "Succeeded",
        "miss": "None",
    }
    assert found["fit"]["reason"] == "Cached"
    assert all(one.keys() == {"status", "reason"} for one in found.values())
