"""`mlgen gc tasks`, with an API server on this machine: what goes, what stays and why, and what may go wrong."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from mlgen.cli.main import run as mlgen
from mlgen.cluster.superseded import Collector, Fate
from tests.cli import lab
from tests.cluster import apiserver
from tests.cluster.apiserver import NAMESPACE, Cluster, Object

GENERATOR = Path(__file__).parents[2] / "generator"
NOW = datetime.now(UTC)
TASKS = "/apis/tekton.dev/v1/namespaces/cron-lab/tasks"
Capture = pytest.CaptureFixture[str]


def ago(hours: float) -> str:
    return f"{NOW - timedelta(hours=hours):%Y-%m-%dT%H:%M:%SZ}"


def about(name: str, *, hours: float = 99, **more: Any) -> Object:
    uid = f"uid-{name}"
    return {
        "name": name,
        "namespace": NAMESPACE,
        "uid": uid,
        "resourceVersion": "1",
        "creationTimestamp": ago(hours),
    } | more


def task(name: str, *, hours: float = 99, env: str = "lab", pipeline: str = "churn", part: str = "train") -> Object:
    labels = {"mlgen.dev/env": env, "mlgen.dev/pipeline": pipeline, "mlgen.dev/task": part}
    return {"metadata": about(name, hours=hours, labels=labels), "spec": {"steps": []}}


def pipeline(name: str, *tasks: str, changed: float = 99) -> Object:
    managed = [{"manager": "argocd-controller", "operation": "Apply", "time": ago(changed), "fieldsV1": {}}]
    entries = [{"name": f"t{n}", "taskRef": {"name": one}} for n, one in enumerate(tasks)]
    return {"metadata": about(name, managedFields=managed), "spec": {"tasks": entries[:1], "finally": entries[1:]}}


def pipeline_run(status: Object | None = None, **spec: Any) -> Object:
    return {"metadata": about("r"), "spec": {"pipelineRef": {"name": "churn"}, **spec}, "status": status or {}}


def task_run(status: Object | None = None) -> Object:
    return {"metadata": about("t"), "spec": {"taskRef": {"name": OLD}}, "status": status or {}}


def condition(status: str, **more: Any) -> Object:
    return {"conditions": [{"type": "Succeeded", "status": status}], **more}


def resolved(*tasks: str) -> Object:
    return {"pipelineSpec": {"tasks": [{"name": "t", "taskRef": {"name": one}} for one in tasks]}}


OLD, NEW, LONE = "churn-train-0123456789", "churn-train-abcdef0123", "churn-train-ffffffffff"


@pytest.fixture
def cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Cluster]:
    lab.lay_down(tmp_path, s3="http://127.0.0.1:9", ledger="http://127.0.0.1:9/ledger.git")
    with apiserver.running() as found:
        monkeypatch.chdir(tmp_path)
        monkeypatch.setenv("KUBECONFIG", str(found.kubeconfig(tmp_path)))
        found.tasks += [task(OLD), task(NEW)]
        found.pipelines.append(pipeline("churn", NEW))
        yield found


def gc(capsys: Capture, *arguments: str, code: int = 0) -> Any:
    """The answer, or what was said where there is none."""
    capsys.readouterr()
    assert mlgen(["gc", "tasks", "--env", "lab", *arguments, "--format", "json"]) == code
    told = capsys.readouterr()
    return told.err if code else json.loads(told.out)


def goes(capsys: Capture, *arguments: str) -> list[str]:
    return [one["name"] for one in gc(capsys, *arguments)["goes"]]


def names(cluster: Cluster) -> list[str]:
    return [one["metadata"]["name"] for one in cluster.tasks]


def test_what_nothing_uses_goes_when_it_is_asked_for(cluster: Cluster, capsys: Capture) -> None:
    found = gc(capsys)
    assert found == {
        "env": "lab", "namespace": NAMESPACE, "server": cluster.url, "deleted": False,
        "left": [], "used": 1, "young": 0, "foreign": [],
        "goes": [{"name": OLD, "pipeline": "churn", "task": "train", "createdAt": ago(99)}],
    }  # fmt: skip
    assert names(cluster) == [OLD, NEW]
    assert not [one for one in cluster.asked if one.startswith("DELETE")]
    assert gc(capsys, "--delete") == {**found, "deleted": True}
    assert names(cluster) == [NEW]
    assert gc(capsys, "--delete")["goes"] == []


def test_it_is_told_in_words(cluster: Cluster, capsys: Capture) -> None:
    cluster.tasks += [task("churn-train-mine"), task("churn-train-1111111111", hours=0)]
    assert mlgen(["gc", "tasks", "--env", "lab"]) == 0
    assert capsys.readouterr().out.splitlines() == [
        f"would go  1 Task in namespace {NAMESPACE} of {cluster.url}",
        f"            {OLD}  made {ago(99)}",
        "used      1 Task: a Pipeline or an unfinished run uses them",
        "young     1 Task: made, or their Pipeline changed, less than --older-than ago",
        "foreign   1 Task: our label, but a name that mlgen gives to none; they stay",
        "nothing was deleted: --delete does it",
    ]


def _resolver(kind: str) -> Object:
    params = [{"name": "kind", "value": "task"}, {"name": "name", "value": OLD}]
    return {"spec": {"tasks": [{"name": "t", "taskRef": {"resolver": kind, "params": params}}]}}


USERS: dict[str, tuple[str, Object]] = {
    "a Pipeline": ("pipelines", pipeline("other", OLD)),
    "a Pipeline, in finally": ("pipelines", pipeline("other", NEW, OLD)),
    "a Pipeline, by a resolver": ("pipelines", _resolver("cluster")),
    "a Pipeline inside another": ("pipelines", {"spec": {"tasks": [{"pipelineSpec": resolved(OLD)}]}}),
    "a run that goes on": ("pipelineruns", pipeline_run(condition("Unknown", **resolved(OLD)))),
    "a run with a spec of its own": ("pipelineruns", pipeline_run(pipelineRef=None, **resolved(OLD))),
    "a run that has not told yet": ("pipelineruns", pipeline_run()),
    "a run that waits to start": ("pipelineruns", {"spec": {**pipeline_run()["spec"], "status": "PipelineRunPending"}}),
    "a run whose Pipeline comes from elsewhere": ("pipelineruns", pipeline_run(pipelineRef={"resolver": "git"})),
    "a TaskRun of its own": ("taskruns", task_run()),
    "a TaskRun that is tried again": ("taskruns", task_run(condition("Unknown"))),
}  # fmt: skip


@pytest.mark.parametrize("who", USERS)
def test_what_is_used_stays(cluster: Cluster, capsys: Capture, who: str) -> None:
    kind, user = USERS[who]
    getattr(cluster, kind).append({"metadata": about("user"), **user})
    assert goes(capsys) == []


NO_USERS: dict[str, tuple[str, Object]] = {
    "a run that succeeded": ("pipelineruns", pipeline_run(condition("True", **resolved(OLD)))),
    "a run that failed": ("pipelineruns", pipeline_run(condition("False", **resolved(OLD)))),
    "a run of another pipeline": ("pipelineruns", pipeline_run(pipelineRef={"name": "other"})),
    "a run of the new version": ("pipelineruns", pipeline_run(condition("Unknown", **resolved(NEW)))),
    "a TaskRun that ended": ("taskruns", task_run(condition("False"))),
    "what is no Pipeline": ("pipelines", {"metadata": None, "spec": [1, None, {"a": [True]}]}),
}  # fmt: skip


@pytest.mark.parametrize("who", NO_USERS)
def test_what_is_not_used_goes(cluster: Cluster, capsys: Capture, who: str) -> None:
    kind, user = NO_USERS[who]
    getattr(cluster, kind).append(user)
    assert goes(capsys) == [OLD]


@pytest.mark.parametrize(
    "other",
    [
        task("churn-train-1234567890", env="other"),
        task("churn-train-latest"),
        task("mine", pipeline="mine", part=""),
        task("churn-train-0123456789a"),
        task("else-train-0123456789"),
    ],
)
def test_tasks_of_others_stay(cluster: Cluster, capsys: Capture, other: Object) -> None:
    cluster.tasks.append(other)
    assert goes(capsys, "--delete", "--older-than", "0") == [OLD]
    assert other in cluster.tasks


def test_a_task_whose_pipeline_comes_a_wave_later_stays(cluster: Cluster, capsys: Capture) -> None:
    cluster.tasks.append(task(LONE, hours=0.5))
    assert goes(capsys) == [OLD]
    assert goes(capsys, "--older-than", "15m") == [OLD, LONE]
    assert goes(capsys, "--older-than", "100h") == []


def test_what_a_pipeline_named_until_just_now_stays(cluster: Cluster, capsys: Capture) -> None:
    """A run may have begun with the older one that its controller had read a moment before."""
    cluster.pipelines[0] = pipeline("churn", NEW, changed=0.5)
    assert goes(capsys) == []
    assert goes(capsys, "--older-than", "15m") == [OLD]


@pytest.mark.parametrize("number", [1, 2])
def test_what_is_used_between_listing_and_deleting_stays(cluster: Cluster, capsys: Capture, number: int) -> None:
    """A rollback names the old Task again, or a run starts, while others are deleted."""
    cluster.tasks.append(task(LONE))

    def changes(method: str, path: str) -> int:
        if method == "DELETE" and path.endswith(OLD):
            if number == 1:
                cluster.pipelines[0] = pipeline("churn", LONE)
                cluster.pipelines[0]["metadata"]["resourceVersion"] = "2"
            else:
                cluster.pipelineruns.append(pipeline_run())
        return 0

    cluster.fault = changes
    found = gc(capsys, "--delete")
    assert [one["name"] for one in found["goes"]] == [OLD]
    assert [(one["name"], one["reason"]) for one in found["left"]] == [(LONE, "something uses it since")]
    assert names(cluster) == [NEW, LONE]


def test_a_user_that_ended_meanwhile_is_no_user(cluster: Cluster, capsys: Capture) -> None:
    """Its deletion must not be kept from a later pass by what was read before."""
    run = pipeline_run(condition("Unknown", **resolved(OLD)))
    cluster.pipelineruns.append(run)
    assert goes(capsys) == []
    run["status"] = condition("True", **resolved(OLD))
    assert goes(capsys, "--delete") == [OLD]


def test_a_look_that_takes_long_holds_for_as_long(cluster: Cluster, tmp_path: Path) -> None:
    """At ten thousand runs, to look before each of hundreds of deletions would be the whole API server's work."""
    seconds = [0.0]

    def slow(_method: str, _path: str) -> int:
        seconds[0] += 1.0
        return 0

    cluster.fault = slow
    api, grace = cluster.api(tmp_path), timedelta(hours=1)
    collector = Collector(api, NAMESPACE, "lab", NOW, grace, lambda: seconds[0])
    fates = collector.look()
    old = next(one for one in fates if one.name == OLD)
    asked = []
    for _ in range(5):
        cluster.asked.clear()
        assert collector.look_again(old) is Fate.GOES
        asked.append(len(cluster.asked))
        seconds[0] += 1.0
    assert asked == [3, 0, 0, 3, 0]


def _vanish(cluster: Cluster) -> None:
    cluster.tasks[:] = [one for one in cluster.tasks if one["metadata"]["name"] != OLD]


def _touch(cluster: Cluster) -> None:
    cluster.tasks[0]["metadata"]["resourceVersion"] = "2"


def _replace(cluster: Cluster) -> None:
    cluster.tasks[0]["metadata"]["uid"] = "another"


@pytest.mark.parametrize("change", [_vanish, _touch, _replace])
def test_two_at_once_and_a_task_made_anew(cluster: Cluster, capsys: Capture, change: Callable[[Cluster], None]) -> None:
    def changes(method: str, _path: str) -> int:
        if method == "DELETE":
            change(cluster)
        return 0

    cluster.fault = changes
    found = gc(capsys, "--delete")
    assert found["goes"] == []
    assert [one["reason"] for one in found["left"]] == ["somebody else deleted or changed it"]


def failing(status: int, method: str, end: str, times: int = 1000) -> Callable[[str, str], int]:
    left = [times]

    def fault(asked: str, path: str) -> int:
        if asked == method and path.endswith(end) and left[0]:
            left[0] -= 1
            return status
        return 0

    return fault


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        (failing(403, "GET", "/tasks"), ["cluster-forbidden", f"list tasks in namespace {NAMESPACE}", "Argo CD"]),
        (failing(403, "GET", "/pipelineruns"), ["cluster-forbidden", "you may not list pipelineruns"]),
        (failing(403, "DELETE", OLD), ["cluster-forbidden", f"you may not delete tasks {OLD}", "Argo CD"]),
        (failing(401, "GET", "/taskruns"), ["cluster-unauthorized"]),
        (failing(503, "DELETE", OLD), ["cluster-unreachable"]),
        (failing(410, "GET", "/pipelines"), ["cluster-refused", "410"]),
    ],
)
def test_what_the_server_does_not_do(
    cluster: Cluster, capsys: Capture, fault: Callable[[str, str], int], said: list[str]
) -> None:
    cluster.fault = fault
    told = gc(capsys, "--delete", code=3)
    assert [word for word in said if word not in told] == []
    assert names(cluster) == [OLD, NEW]


def test_a_list_that_took_too_long_is_read_again(cluster: Cluster, capsys: Capture) -> None:
    cluster.fault = failing(410, "GET", "/pipelineruns", times=2)
    assert goes(capsys) == [OLD]


def test_what_was_deleted_before_a_fault_is_told(cluster: Cluster, capsys: Capture) -> None:
    cluster.tasks.append(task(LONE))
    cluster.fault = failing(503, "DELETE", LONE)
    assert "1 Tasks were deleted before this; the same command does the rest" in gc(capsys, "--delete", code=3)
    cluster.fault = failing(0, "", "")
    assert goes(capsys, "--delete") == [LONE]


def test_killed_in_the_middle_the_next_one_does_the_rest(cluster: Cluster, capsys: Capture, tmp_path: Path) -> None:
    cluster.tasks += [task(f"churn-train-{n:010x}") for n in range(20)]
    command = [sys.executable, "-m", "mlgen", "gc", "tasks", "--env", "lab", "--delete"]
    started: list[subprocess.Popen[bytes]] = []

    def kill(method: str, path: str) -> int:
        if method == "DELETE" and path.endswith(f"{7:010x}"):
            started[0].kill()
        return 0

    cluster.fault = kill
    env = {**os.environ, "PYTHONPATH": str(GENERATOR)}
    started.append(
        subprocess.Popen(command, cwd=tmp_path, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    )
    assert started[0].wait(60) == -9
    assert 2 < len(names(cluster)) < 22
    gc(capsys, "--delete")
    assert names(cluster) == [NEW]


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["--older-than", "soon"], "bad-option"),
        (["--env", "local"], "bad-option"),
        (["--env", "labb"], "unknown-environment"),
    ],
)
def test_what_is_asked_wrongly(cluster: Cluster, capsys: Capture, arguments: list[str], code: str) -> None:
    assert f"error[{code}]" in gc(capsys, *arguments, code=2)
    assert cluster.asked == []


def test_many_runs_are_read_page_by_page_and_once(cluster: Cluster, capsys: Capture) -> None:
    cluster.pipelineruns += [
        {**pipeline_run(condition("True", **resolved(OLD))), "metadata": about(f"r{n}")} for n in range(120)
    ]
    assert goes(capsys, "--delete") == [OLD]
    assert sum(one.endswith("/pipelineruns") for one in cluster.asked) == 3 + 1, "pages of 50; then metadata alone"
    assert not [one for one in cluster.asked if "/pipelineruns/" in one], "none has changed"
