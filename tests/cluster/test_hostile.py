"""Objects of the API server are anybody's who may write into the namespace: no pass raises, and no record is forged."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mlgen.cluster import view
from mlgen.cluster.api import PIPELINE_RUNS, PODS, TASK_RUNS, Object, Unreadable
from mlgen.cluster.belonging import readable
from mlgen.cluster.events import Failure
from mlgen.cluster.failure import explain
from mlgen.cluster.known import Known
from mlgen.cluster.logs import logs_of
from mlgen.cluster.shape import Odd, name_of
from mlgen.cluster.telling import Teller
from mlgen.cluster.view import Attempt
from mlgen.cluster.watch import Changed, Listed
from mlgen.diagnostic import CannotAnswer
from mlgen.ledger.records.entry import from_bytes, to_bytes
from mlgen.ledger.records.task import TaskRecord
from tests.cluster.apiserver import DATA, recorded, running
from tests.cluster.scripted import Answer, serving
from tests.cluster.test_outside import LATER, gathered, tasks, told
from tests.cluster.test_reconcile import Place, holding_on

RUNS = sorted(file.stem for file in DATA.glob("*.json"))
DEEP = "[" * 3000


def nested(levels: int) -> Any:
    found: Any = "x"
    for _ in range(levels):
        found = [found]
    return found


WORDS = ["", "..", "a/b", "\x1b[31m", "x" * 5000, "x" * 300_000, DEEP, "2026-99-99T00:00:00Z", "0001-01-01T00:00:00Z"]
NUMBERS = [True, -1, 0, 1 << 70, 1.5]
ODD: list[Any] = [None, *NUMBERS, *WORDS, "\ud800", [], [None], ["x"] * 20_000, {}, {"x": None}, nested(200)]


def places(value: Any) -> Iterator[tuple[Any, Any]]:
    """(container, key) of every field, however deep."""
    items: Any = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in list(items):
        yield value, key
        yield from places(inner)


@st.composite
def mutated(draw: st.DrawFn) -> dict[str, Any]:
    """A recorded run with its objects, of which a few fields are dropped, retyped, deepened, lengthened or swapped."""
    found = recorded(draw(st.sampled_from(RUNS)))
    for _ in range(draw(st.integers(1, 4))):
        container, key = draw(st.sampled_from([at for part in found.values() for at in places(part)]))
        if (isinstance(container, list) and key >= len(container)) or (
            isinstance(container, dict) and key not in container
        ):
            continue  # it went with another mutation
        match draw(st.sampled_from(["drop", "odd", "wrap", "twice", "other"])):
            case "drop":
                del container[key]
            case "odd":
                container[key] = copy.deepcopy(draw(st.sampled_from(ODD)))
            case "wrap":
                container[key] = draw(st.sampled_from([[container[key]], {"x": container[key]}]))
            case "twice" if isinstance(container[key], str):
                container[key] *= 2
            case _ if isinstance(container, list):
                container.append(copy.deepcopy(container[key]))
            case _:
                container[key] = draw(st.sampled_from([container[one] for one in container]))
    return found


WIDE = settings(deadline=None, max_examples=60, suppress_health_check=list(HealthCheck))


@WIDE
@given(found=mutated())
def test_every_record_of_mutated_objects_is_one_that_its_run_stands_for(found: dict[str, Any]) -> None:
    try:
        own = {one["metadata"]["uid"]: one for one in gathered(found).objects.task_runs}
    except Odd:  # of the run itself: nothing is told
        return
    for entry in told(found).entries:
        assert from_bytes(to_bytes(entry)) == entry
        if isinstance(entry, TaskRecord):
            assert entry.tekton is not None
            task_run = own[str(entry.tekton["taskRunUid"])]
            owners = [o["uid"] for o in task_run["metadata"]["ownerReferences"] if o.get("controller")]
            assert owners[0] == entry.run_uid == found["run"]["metadata"]["uid"]
            assert entry.plan_digest == found["run"]["metadata"]["annotations"]["mlgen.dev/plan-digest"]


@settings(WIDE, max_examples=6)
@given(found=mutated())
def test_a_pass_over_mutated_objects_keeps_to_its_end(found: dict[str, Any]) -> None:
    """And tells all of another run."""
    with TemporaryDirectory() as folder, running() as cluster:
        cluster.pipelineruns.append(found["run"])
        cluster.taskruns += found["taskRuns"] if isinstance(found["taskRuns"], list) else []
        cluster.pods += found["pods"] if isinstance(found["pods"], list) else []
        place = Place(cluster, Path(folder))
        place.cluster.add("image" if name_of(found["run"]) != "image" else "secret")
        done = place.reconcile()
        assert {"broken-0", "run"} <= set(place.names(done))
        for key in place.spool.waiting():
            from_bytes(place.spool.store.get(key))
        place.reconcile()


@WIDE
@given(found=mutated())
def test_a_run_of_mutated_objects_can_be_followed_and_its_logs_found(found: dict[str, Any]) -> None:
    things = {TASK_RUNS: found["taskRuns"], PODS: found["pods"]}
    try:
        known, teller = Known(found["run"]), Teller(because)
    except CannotAnswer:
        return
    for resource, listed in things.items():
        for thing in listed:
            known.take(Changed(resource, thing, deleted=False))
            list(teller.news(known.objects))
    known.take(Listed(PIPELINE_RUNS, (found["run"],)))
    list(teller.news(known.objects))
    objects = known.objects
    names = [view.task_of(one) for one in objects.task_runs]
    view.state_of(objects.run, list(view.settled(objects, names).values()))
    [view.results(one) for one in objects.task_runs]
    logs_of(readable(found["pods"], []), [])


def because(attempt: Attempt) -> tuple[Failure, tuple[str, ...]]:
    return explain(attempt, lambda _container: ()), ()


def forged(found: dict[str, Any], name: str = "fail-second") -> Object:
    """A copy of a TaskRun as somebody else makes it, all labels and annotations included."""
    one: Object = copy.deepcopy(next(t for t in found["taskRuns"] if t["metadata"]["name"] == name))
    one["metadata"].update(name="forged", uid="11111111-2222-3333-4444-555555555555")
    one["status"]["conditions"] = [{**one["status"]["conditions"][0], "status": "True", "reason": "Succeeded"}]
    found["taskRuns"].insert(0, one)
    return one


def not_controlled(one: Object) -> None:
    del one["metadata"]["ownerReferences"]


def of_another_run(one: Object) -> None:
    one["metadata"]["ownerReferences"][0]["uid"] = "99999999-2222-3333-4444-555555555555"


def unknown_to_its_run(_: Object) -> None:
    pass


def with_steps_of_its_own(one: Object) -> None:
    one["metadata"]["name"] = "fail-third"
    one["metadata"]["labels"]["tekton.dev/pipelineTask"] = "third"
    del one["spec"]["taskRef"]
    one["spec"]["taskSpec"] = {"steps": []}


def of_another_plan(one: Object) -> None:
    one["metadata"]["name"] = "fail-second"
    one["metadata"]["annotations"]["mlgen.dev/plan-digest"] = f"sha256:{'0' * 64}"


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (not_controlled, "it names the run fail, which does not control it"),
        (of_another_run, "it names the run fail, which does not control it"),
        (unknown_to_its_run, 'its run knows no such TaskRun of a task "second"'),
        (with_steps_of_its_own, 'it does not execute the Task that its run\'s pipeline has for "third"'),
        (of_another_plan, "its annotation mlgen.dev/plan-digest is not its run's"),
    ],
)
def test_a_forged_task_run_is_told_of_by_name_alone(change: Callable[[Object], None], why: str) -> None:
    found = recorded("fail")
    before = told(found)
    one = forged(found)
    change(one)
    children = found["run"]["status"]["childReferences"]
    children.append({"name": "fail-third", "pipelineTaskName": "third"})  # as if it had been taken for its own
    result = gathered(found)
    assert [(o.name, o.reason) for o in result.foreign] == [(one["metadata"]["name"], why)]
    assert told(found).entries == before.entries


def test_a_document_that_is_nested_too_deep_costs_its_own_record_alone() -> None:
    found = recorded("fail")
    second = next(t for t in found["taskRuns"] if t["metadata"]["name"] == "fail-second")
    second["status"]["taskSpec"]["steps"][0]["env"][0]["value"] = DEEP
    result = told(found)
    assert [one.name for one in result.unfit] == ["fail-second, attempt 1"]
    assert ("second", 0) in tasks(result)
    assert result.complete


def test_an_answer_that_is_nested_too_deep_costs_its_own_run_alone(tmp_path: Path) -> None:
    """An embedded Pipeline may hold JSON of any depth."""
    with serving(lambda _asked: Answer(body=DEEP)) as server, pytest.raises(Unreadable, match="nested too deep"):
        list(server.api(tmp_path).items(PIPELINE_RUNS, "ml"))


def test_what_is_odd_is_told_at_each_pass_and_how_its_run_went_is_not(tmp_path: Path) -> None:
    with running() as cluster:
        found = cluster.add("fail")
        cluster.add("ok")
        found["taskRuns"][0]["status"]["conditions"][0]["lastTransitionTime"] = 7
        place = Place(cluster, tmp_path)
        for records in (7, 0):
            done = place.reconcile()
            assert [(one.name, one.reason) for one in done.unfit] == [
                (found["taskRuns"][0]["metadata"]["name"], "status.conditions[0].lastTransitionTime is no text")
            ]
            assert len(done.records) == records
        assert place.reconcile(LATER).runs == 1


def test_a_pod_that_only_looks_like_a_task_s_is_left_alone(tmp_path: Path) -> None:
    """A colleague's copy for debugging keeps the labels."""
    with running() as cluster:
        found = cluster.add("fail")
        holding_on(found, "fail-second-pod")
        [real] = [p for p in found["pods"] if p["metadata"]["name"] == "fail-second-pod"]
        for number, change in enumerate((not_controlled, of_another_run, named_otherwise, not_made_by_tekton)):
            pod = copy.deepcopy(real)
            pod["metadata"]["uid"] = f"0000000{number}-2222-3333-4444-555555555555"
            change(pod)
            cluster.pods.append(pod)
        place = Place(cluster, tmp_path)
        done = place.reconcile(LATER)
        assert done.pods == ["fail-second-pod"]
        assert real not in cluster.pods
        assert len(cluster.pods) == len(found["pods"]) - 1 + 4
        assert len(done.logs) == len(found["pods"]), "nor is its log kept"


def named_otherwise(pod: Object) -> None:
    pod["metadata"]["name"] = "fail-second-pod-debug"


def not_made_by_tekton(pod: Object) -> None:
    del pod["metadata"]["labels"]["app.kubernetes.io/managed-by"]
