"""What is told of a run, from what an API server said of real ones (Tekton 1.15), change by change."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from mlgen.cluster import view
from mlgen.cluster.api import PIPELINE_RUNS, PODS, TASK_RUNS, Object
from mlgen.cluster.events import Ended, Event, Failure, Moved, Noted, Skipped, Started, Waits
from mlgen.cluster.failure import explain
from mlgen.cluster.known import Known
from mlgen.cluster.telling import Teller
from mlgen.cluster.view import Attempt
from mlgen.cluster.watch import Changed
from mlgen.diagnostic import CannotAnswer
from mlgen.ledger.records.task import State

SEQUENCES = Path(__file__).parent / "sequences"
RESOURCES = {resource.plural: resource for resource in (PIPELINE_RUNS, TASK_RUNS, PODS)}
STAGE_IN = """\
mlgen-runtime: error[not-staged]: in "raw" cannot be read from s3://ml-data/missing.csv
   why  the bucket keeps no such thing
   fix  upload it
"""
LOGS = {("demo-missing-make-pod", "step-stage-in"): STAGE_IN}


def changes(name: str) -> list[Changed]:
    lines = (SEQUENCES / f"{name}.jsonl").read_text().splitlines()
    events = [json.loads(line) for line in lines]
    return [Changed(RESOURCES[e["plural"]], e["object"], e["type"] == "DELETED") for e in events]


def because(attempt: Attempt) -> tuple[Failure, tuple[str, ...]]:
    return explain(attempt, lambda container: LOGS.get((attempt.pod, container), "").splitlines()), ()


def told(name: str, every: int = 1) -> tuple[list[Event], Known]:
    """The events of a sequence, where only each such change, and the last, is looked at: others come too quickly."""
    found = changes(name)
    run = next(one.object for one in found if one.resource is PIPELINE_RUNS)
    known, teller = Known(run), Teller(because)
    events: list[Event] = []
    for at, change in enumerate(found):
        known.take(change)
        if at % every == 0 or change is found[-1]:
            events += teller.news(known.objects)
    return events, known


def of(events: list[Event], task: str) -> list[Event]:
    return [e for e in events if not isinstance(e, Moved) and getattr(e, "task", None) == task]


def ended(events: list[Event], task: str) -> list[Ended]:
    return [e for e in of(events, task) if isinstance(e, Ended)]


def test_a_run_that_goes_well() -> None:
    events, known = told("ok")
    assert of(events, "make") == [Started("make", 0), Ended("make", 0, State.COMPLETE, 16.0, False)]
    assert of(events, "big") == [Skipped("big", "When Expressions evaluated to false")]
    phases = [e.phase for e in events if isinstance(e, Moved) and e.task == "make"]
    assert phases == ["waits for its pod", "stages in", "stages out"]
    tasks = view.settled(known.objects, ["make", "big", "next"])
    assert {name: one.status for name, one in tasks.items()} == {
        "make": "Succeeded",
        "big": "None",
        "next": "Succeeded",
    }
    assert view.state_of(known.run, list(tasks.values())) is State.COMPLETE
    assert {view.task_of(t): view.results(t) for t in known.objects.task_runs}["make"]["said"] == "hi"


def test_an_error_of_ours_is_told_in_its_own_words() -> None:
    events, known = told("missing")
    [end] = ended(events, "make")
    message = 'in "raw" cannot be read from s3://ml-data/missing.csv'
    assert end.failure == Failure(message, "the bucket keeps no such thing", "upload it", "not-staged")
    assert view.state_of(known.run, list(view.settled(known.objects, ["make", "big", "next"]).values())) is State.FAIL


def test_a_cancelled_run() -> None:
    events, known = told("cancelled")
    [end] = ended(events, "make")
    assert (end.state, end.failure) == (State.ABORT, Failure("it was cancelled", ANY_WHY))
    # While it is being cancelled, Tekton has another word for it.
    assert [e for e in events if isinstance(e, Skipped)] == [
        Skipped("big", view.STOPPING),
        Skipped("next", view.STOPPING),
    ]
    tasks = view.settled(known.objects, ["make", "big", "next"])
    assert {name: one.reason for name, one in tasks.items()} == {
        "make": "TaskRunCancelled",
        "big": view.STOPPING,
        "next": view.STOPPING,
    }
    assert view.state_of(known.run, list(tasks.values())) is State.ABORT
    assert of(events, "record")[-1] == Ended("record", 0, State.COMPLETE, 8.0, False)


ANY_WHY = (
    'TaskRun "demo-cancelled-make" was cancelled. '
    "TaskRun cancelled as the PipelineRun it belongs to has been cancelled."
)


def test_a_retry_shows_both_attempts_and_nothing_of_the_first_in_the_second() -> None:
    events, _ = told("trouble")
    first, second = ended(events, "again")
    assert (first.attempt, first.retried, first.failure) == (0, True, second.failure)
    assert (second.attempt, second.retried) == (1, False)
    assert second.failure == Failure("the program ended with exit code 3", exit_code=3, log="main")
    assert [e for e in of(events, "again") if isinstance(e, Started)] == [Started("again", 0), Started("again", 1)]


@pytest.mark.parametrize(
    ("task", "message", "why"),
    [
        ("nocommand", "the program could not be started", ""),
        ("nosecret", "its container cannot be made", 'secret "nothing" not found'),
        ("noimage", "its image cannot be pulled", "registry.example/no-such:1: not found"),
        ("oom", "the program was out of memory", ""),
        ("slow", "the program ran longer than its timeout", ""),
    ],
)
def test_what_is_wrong_is_told(task: str, message: str, why: str) -> None:
    [end] = ended(told("trouble")[0], task)
    assert end.failure is not None
    assert end.failure.message == message
    assert end.failure.why.endswith(why)


def test_a_pod_that_waits_is_told_once() -> None:
    events, _ = told("trouble")
    [waits] = [e for e in of(events, "gpu") if isinstance(e, Waits)]
    assert waits.why == "no node has room: 0/1 nodes are available: 1 Insufficient nvidia.com/gpu."
    [waits] = [e for e in of(events, "noimage") if isinstance(e, Waits)]
    assert waits.why == 'its image "registry.example/no-such:1" cannot be pulled: not found'
    assert not [e for e in of(events, "gpu") if isinstance(e, Ended | Started)]


@pytest.mark.parametrize("name", ["ok", "missing", "cancelled", "trouble"])
@pytest.mark.parametrize("every", [2, 7, 23, 10_000])
def test_whatever_is_missed_each_end_is_told_once_and_the_same(name: str, every: int) -> None:
    def outcomes(events: list[Event]) -> list[Event]:
        return sorted((e for e in events if isinstance(e, Ended | Skipped)), key=repr)

    assert outcomes(told(name, every)[0]) == outcomes(told(name)[0])


def test_a_pod_that_was_deleted_and_made_anew_is_told() -> None:
    found = changes("ok")
    run = found[0].object
    known, teller = Known(run), Teller(because)
    pod = next(one.object for one in found if one.resource is PODS)
    anew: Object = {**pod, "metadata": {**pod["metadata"], "uid": "another"}}
    notes: list[str] = []
    known.take(next(one for one in found if one.resource is TASK_RUNS))
    for change in (Changed(PODS, pod, False), Changed(PODS, pod, True), Changed(PODS, anew, False)):
        known.take(change)
        notes += [str(event) for event in teller.news(known.objects) if isinstance(event, Noted)]
    assert notes == ["Noted(text='make: its pod was deleted, and Tekton starts it anew')"]


def test_a_run_that_is_no_more_is_told() -> None:
    run = changes("ok")[0].object
    with pytest.raises(CannotAnswer, match="somebody deleted demo-ok"):
        Known(run).take(Changed(PIPELINE_RUNS, run, True))


def test_a_run_that_has_the_name_of_another_is_not_it() -> None:
    run = changes("ok")[0].object
    other: Object = {**run, "metadata": {**run["metadata"], "uid": "another"}}
    with pytest.raises(CannotAnswer, match="somebody deleted demo-ok"):
        Known(run).take(Changed(PIPELINE_RUNS, other, False))


def attempts_over_time(name: str, task: str) -> Iterator[list[Attempt]]:
    for change in changes(name):
        if change.resource is TASK_RUNS and view.task_of(change.object) == task:
            yield view.attempts(change.object)


def test_attempts_only_grow() -> None:
    counts = [len(found) for found in attempts_over_time("trouble", "again")]
    assert counts == sorted(counts)
    assert counts[-1] == 2
