"""A ledger against a cluster: recorded runs of a real one, the records that tell of them, and forged ones."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path

import pytest

from mlgen.cluster.against import Against, Compared
from mlgen.cluster.outside import outside
from mlgen.ledger.records.entry import Entry
from mlgen.ledger.records.task import State, TaskRecord
from mlgen.ledger.told import missing
from mlgen.ledger.verify.finding import Found
from tests.cluster.apiserver import DATA, NAMESPACE, recorded, running
from tests.cluster.test_outside import gathered
from tests.cluster.test_reconcile import NOW, Place
from tests.ledger import records

GRACE = timedelta(minutes=15)
RECORDED = sorted(path.stem for path in DATA.glob("*.json"))


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    """Two runs, of which the ledger has all."""
    with running() as cluster:
        place = Place(cluster, tmp_path)
        for name in ("ok", "fail"):
            cluster.add(name)
        place.reconcile()
        place.fold()
        yield place


def compared(place: Place, now: datetime = NOW) -> tuple[Compared, list[tuple[str, str]]]:
    found = Found()
    asked = partial(missing, spool=place.spool, repository=place.repository, branch="ledger")
    against = Against(place.cluster.api(place.folder), NAMESPACE, "lab", asked, now, GRACE, found)
    tip = place.repository.tip("refs/heads/ledger")
    assert tip is not None
    done = against.compare(place.repository, tip)
    return done, [(one.code, one.message) for one in found.kept]


def told(run: str, task: str, attempt: int = 0) -> TaskRecord:
    """What a pod would have told of an execution of a recorded run."""
    entries = outside(gathered(recorded(run)), "lab", ended_before=NOW).entries
    found = next(e for e in entries if isinstance(e, TaskRecord) and (e.task, e.attempt) == (task, attempt))
    return replace(found, reconciled=False, run_id=records.uid(f"{run}/{task}/{attempt}"))


def land(place: Place, *entries: Entry) -> list[str]:
    for entry in entries:
        place.spool.put(entry)
    landed = place.fold()
    assert len(landed) == len(entries)
    return landed


def test_what_the_cluster_itself_told_is_right(place: Place) -> None:
    done, found = compared(place)
    assert (found, done.unfit) == ([], [])
    assert (done.runs, done.executions, done.gone) == (2, 7, 0)


def test_what_pods_told_is_right(place: Place) -> None:
    late = replace(told("ok", "first"), ended_at="2026-11-28T20:46:35.5Z")  # by the clock of its node
    killed = replace(told("fail", "second"), exit_code=-1, reason="StepOOM", error="another word for the same")
    land(place, late, killed, told("fail", "second", 1))
    assert compared(place)[1] == []


@pytest.mark.parametrize("name", RECORDED)
def test_no_run_of_any_fate_is_called_wrong(tmp_path: Path, name: str) -> None:
    with running() as cluster:
        place = Place(cluster, tmp_path)
        cluster.add(name)
        place.reconcile()
        place.fold()
        assert compared(place)[1] == []


def test_what_nobody_told(place: Place) -> None:
    place.cluster.add("cancelled")
    found = compared(place)[1]
    assert [code for code, _ in found] == ["untold-execution"] * 3
    assert found[0][1].startswith("task first of cancelled, attempt 0: it ended at ")
    place.reconcile()  # it waits in the spool: that is enough
    assert compared(place)[1] == []


def test_what_has_just_ended_may_still_be_told(place: Place) -> None:
    place.cluster.add("cancelled")  # which ended at 20:49:50
    ended = NOW.replace(hour=20, minute=50)
    assert compared(place, ended + GRACE - timedelta(minutes=1))[1] == []
    assert len(compared(place, ended + GRACE)[1]) == 3


FORGED: dict[str, tuple[str, Callable[[TaskRecord], TaskRecord]]] = {
    "an exit code": ("exit code 0, in the cluster 7", lambda r: replace(r, exit_code=0, state=State.COMPLETE)),
    "a spec": ("spec digest sha256:", lambda r: replace(r, spec_digest=records.DIGEST)),
    "a plan": ("plan digest sha256:", lambda r: replace(r, plan_digest=records.DIGEST)),
    "a task": ("task first, in the cluster second", lambda r: replace(r, task="first")),
    "a run": ("run other, in the cluster fail", lambda r: replace(r, run="other")),
    "a time": ("ended at 2026-11-28T23:", lambda r: replace(r, ended_at="2026-11-28T23:00:00Z")),
    "a day": ("started at 2026-11-27T", lambda r: replace(r, started_at="2026-11-27T20:00:00Z")),
    "a pod": ("podUid 1", lambda r: replace(r, tekton={**(r.tekton or {}), "podUid": "1"})),
}


@pytest.mark.parametrize("what", FORGED)
def test_a_record_that_says_otherwise(place: Place, what: str) -> None:
    said, forge = FORGED[what]
    land(place, forge(told("fail", "second")))
    [(code, message)] = compared(place)[1]
    assert code == "other-outcome"
    assert said in message


def test_a_record_of_what_never_was(place: Place) -> None:
    one = told("fail", "second")
    assert one.tekton is not None
    forged = replace(one, tekton={**one.tekton, "taskRunUid": records.uid("x")}, metrics={"auc": 1})
    again = replace(one, attempt=2, run_id=records.uid("z"))
    local = replace(one, tekton=None, engine="local", run_id=records.uid("y"), attempt=3)
    paths = land(place, forged, again, local)
    found = compared(place)[1]
    assert [code for code, _ in found] == ["unknown-execution"] * 3
    assert len(paths) == 3


def test_runs_that_the_cluster_has_no_more(place: Place) -> None:
    one = told("cancelled", "first")
    old = replace(
        one, run_id=records.uid("1"), run="old", run_uid=records.uid("old"), started_at="2026-11-01T10:00:00Z"
    )
    new = replace(
        one, run_id=records.uid("2"), run="new", run_uid=records.uid("new"), started_at="2026-11-28T21:50:00Z"
    )
    other = replace(new, run_id=records.uid("3"), env="other", run_uid=records.uid("other"))
    land(place, old, new, other)
    done, found = compared(place)
    assert found == []  # they may have been pruned
    assert done.gone == 1


def test_objects_that_cannot_be_read_are_named(place: Place) -> None:
    place.cluster.taskruns[0]["metadata"]["creationTimestamp"] = "yesterday"
    done, found = compared(place)
    assert [one.name for one in done.unfit] == [place.cluster.taskruns[0]["metadata"]["name"]]
    assert found == []  # nobody can say then what its run has
