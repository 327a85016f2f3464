"""A run is followed over watches that end, versions that are too old, and a server that is away."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mlgen.cli.clock import SystemClock
from mlgen.cluster import patience, watch
from mlgen.cluster.events import Ended, Event, Noted, Outcome, Printed
from mlgen.cluster.follow import CANCEL, Follower
from mlgen.diagnostic import CannotAnswer
from mlgen.ledger.records.run import TaskStatus
from mlgen.ledger.records.task import State
from tests.cluster.scripted import Answer, Asked, Json, Server, serving, status

Condition = tuple[str, str]
GOING, DONE = ("Unknown", "Running"), ("True", "Succeeded")


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watch, "FIRST_PAUSE_SECONDS", 0.01)
    monkeypatch.setattr(patience, "TELL_AFTER_SECONDS", 0.05)


def thing(name: str, condition: Condition, **more: Any) -> Json:
    found, reason = condition
    of_run = {"apiVersion": "tekton.dev/v1", "kind": "PipelineRun", "name": "demo-x", "uid": "uid-demo-x"}
    labels: Json = {"labels": {"tekton.dev/pipelineTask": name.removeprefix("demo-x-")}}
    labels = {} if name == "demo-x" else {**labels, "ownerReferences": [{**of_run, "controller": True}]}
    metadata = {"name": name, "namespace": "ml", "uid": f"uid-{name}", "creationTimestamp": "2026-01-01T00:00:00Z"}
    conditions = [{"type": "Succeeded", "status": found, "reason": reason, "message": ""}]
    times = {"startTime": "2026-01-01T00:00:00Z", "podName": f"{name}-pod"}
    return {
        "metadata": {**metadata, **labels, "resourceVersion": "5"},
        "spec": {},
        "status": {"conditions": conditions, **times, **more},
    }


def listed(*things: Json) -> Answer:
    return Answer(body={"items": list(things), "metadata": {"resourceVersion": "1"}})


def change(one: Json) -> Json:
    return {"type": "MODIFIED", "object": one}


class Cluster:
    """The run goes on until its watch was asked for so many times; what happens on the way is a test's."""

    def __init__(self, watches: int) -> None:
        self._watches = itertools.count(1)
        self._last = watches
        self.troubles: dict[int, Answer] = {}  # of the n-th watch of the run
        self.lists: list[Answer] = []  # of the run, before it is there
        self.done = threading.Event()

    def __call__(self, asked: Asked) -> Answer:
        if asked.path.endswith("/log"):
            return Answer(body="one\ntwo\n")
        if asked.path.endswith("/taskruns"):
            steps = [{"name": "main", "terminated": {"exitCode": 0}, "terminationReason": "Completed"}]
            return self._plain(asked, thing("demo-x-make", DONE, steps=steps, results=[{"name": "n", "value": "1"}]))
        if asked.path.endswith("/pods"):
            return self._plain(asked)
        if asked.method == "PATCH":
            return Answer(body=thing("demo-x", GOING))
        if not asked.watches:
            return self.lists.pop(0) if self.lists else listed(thing("demo-x", GOING))
        turn = next(self._watches)
        if turn in self.troubles:
            return self.troubles[turn]
        return Answer(lines=(change(thing("demo-x", DONE if turn >= self._last else GOING)),))

    def _plain(self, asked: Asked, *things: Json) -> Answer:
        return Answer(lines=()) if asked.watches else listed(*things)


def follow(
    folder: Path, cluster: Callable[[Asked], Answer], *, logs: bool = False
) -> tuple[Outcome, list[Event], Server]:
    events: list[Event] = []
    with serving(cluster) as server:
        follower = Follower(
            server.api(folder),
            thing("demo-x", GOING),
            tasks=["make"],
            finals=[],
            on_event=events.append,
            clock=SystemClock(),
            logs=lambda _task: logs,
        )
        return follower.follow(), events, server


def test_a_run_is_followed_over_watches_that_end(tmp_path: Path) -> None:
    outcome, events, server = follow(tmp_path, Cluster(watches=4))
    assert (outcome.state, outcome.ok) == (State.COMPLETE, True)
    assert outcome.tasks == {"make": TaskStatus("Succeeded", "Succeeded")}
    assert outcome.results == {"make": {"n": "1"}}
    assert [e for e in events if isinstance(e, Ended)] == [Ended("make", 0, State.COMPLETE, 0.0, False)]
    watches = [one for one in server.asked if one.watches and one.path.endswith("/pipelineruns")]
    # Only what belongs to this very run is asked for, from the version on that is known.
    assert {one.query["fieldSelector"] for one in watches} == {"metadata.name=demo-x"}
    assert [one.query["resourceVersion"] for one in watches] == ["1", "5", "5", "5"]
    pods = next(one for one in server.asked if one.path.endswith("/pods"))
    assert pods.query["labelSelector"] == "tekton.dev/pipelineRunUID=uid-demo-x"


@pytest.mark.parametrize(
    "trouble",
    [
        status(410, "too old resource version"),
        Answer(lines=({"type": "ERROR", "object": {"code": 410, "message": "too old resource version"}},)),
        Answer(),
        status(503, "starting"),
        status(429, "slowly"),
    ],
    ids=["410", "410 in the stream", "broken", "503", "429"],
)
def test_a_watch_that_is_lost_begins_again_with_a_list(tmp_path: Path, trouble: Answer) -> None:
    cluster = Cluster(watches=3)
    cluster.troubles[2] = trouble
    outcome, events, _ = follow(tmp_path, cluster)
    assert outcome.ok
    assert len([e for e in events if isinstance(e, Ended)]) == 1


def test_a_server_that_is_away_is_told_once_and_waited_for(tmp_path: Path) -> None:
    cluster = Cluster(watches=1)
    cluster.lists = [status(503, "starting")] * 8
    outcome, events, server = follow(tmp_path, cluster)
    assert outcome.ok
    assert [e.text for e in events if isinstance(e, Noted)] == [
        f"{server.url} does not answer (it answered 503 starting); the run goes on, and it is asked again",
        f"{server.url} answers again",
    ]


def test_a_server_that_does_not_come_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patience, "GIVE_UP_SECONDS", 0.2)
    cluster = Cluster(watches=1)
    cluster.lists = [status(503, "starting")] * 1000
    with pytest.raises(CannotAnswer, match="does not answer"):
        follow(tmp_path, cluster)


ODD = {
    "html": ("<html>log in</html>", "what is no JSON"),
    "null": ("null", "what is no object"),
    "no list": ({}, "what are no pipelineruns"),
    "no objects": ({"items": [7], "metadata": {"resourceVersion": "1"}}, "what are no pipelineruns"),
    "no version": ({"items": [], "metadata": None}, "what are no pipelineruns"),
}


@pytest.mark.parametrize("body", ODD)
def test_a_list_that_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, body: str) -> None:
    monkeypatch.setattr(patience, "GIVE_UP_SECONDS", 0.2)
    cluster = Cluster(watches=1)
    answer, said = ODD[body]
    cluster.lists = [Answer(body=answer)] * 1000
    with pytest.raises(CannotAnswer, match="does not answer") as error:
        follow(tmp_path, cluster)
    assert said in error.value.why


@pytest.mark.parametrize(
    "trouble",
    [
        Answer(body="<html>log in</html>"),
        Answer(body="null"),
        Answer(body="{}"),
        Answer(lines=({"type": "MODIFIED", "object": None},)),
        Answer(lines=({"type": "ERROR", "object": None},)),
        Answer(lines=({"object": {"metadata": []}},)),
    ],
)
def test_a_watch_of_what_is_none_begins_again_with_a_list(tmp_path: Path, trouble: Answer) -> None:
    cluster = Cluster(watches=3)
    cluster.troubles[2] = trouble
    assert follow(tmp_path, cluster)[0].ok


def test_what_nobody_foresaw_in_a_watch_is_raised_where_it_is_followed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watch.Watch, "_follow", lambda *_: 1 // 0)
    with pytest.raises(ZeroDivisionError):
        follow(tmp_path, Cluster(watches=3))


def test_a_user_whose_login_expired(tmp_path: Path) -> None:
    cluster = Cluster(watches=3)
    cluster.troubles[2] = status(401, "Unauthorized")
    with pytest.raises(CannotAnswer, match="does not know who you are"):
        follow(tmp_path, cluster)


def test_one_who_may_not_see_pods_follows_all_the_same(tmp_path: Path) -> None:
    cluster = Cluster(watches=3)

    def answer(asked: Asked) -> Answer:
        return status(403, "pods is forbidden") if asked.path.endswith("/pods") else cluster(asked)

    outcome, events, _ = follow(tmp_path, answer)
    assert outcome.ok
    notes = [e.text for e in events if isinstance(e, Noted)]
    assert notes in ([], ["what its pods wait for is not told: pods is forbidden"])  # the run may end before


def test_a_run_that_is_gone_when_it_is_listed_again(tmp_path: Path) -> None:
    cluster = Cluster(watches=3)
    cluster.lists = [listed(thing("demo-x", GOING)), listed()]
    cluster.troubles[1] = status(410, "too old")
    with pytest.raises(CannotAnswer, match="somebody deleted demo-x"):
        follow(tmp_path, cluster)


def test_what_tasks_print_is_told_also_of_one_that_ended_at_once(tmp_path: Path) -> None:
    _, events, _ = follow(tmp_path, Cluster(watches=2), logs=True)
    assert [e for e in events if isinstance(e, Printed)] == [Printed("make", "one"), Printed("make", "two")]


def test_to_cancel_is_to_ask_for_the_finally_tasks(tmp_path: Path) -> None:
    with serving(Cluster(watches=1)) as server:
        Follower(
            server.api(tmp_path),
            thing("demo-x", GOING),
            tasks=[],
            finals=[],
            on_event=lambda _event: None,
            clock=SystemClock(),
        ).cancel()
    assert [(one.method, one.path, one.body) for one in server.asked] == [
        ("PATCH", "/apis/tekton.dev/v1/namespaces/ml/pipelineruns/demo-x", CANCEL)
    ]
