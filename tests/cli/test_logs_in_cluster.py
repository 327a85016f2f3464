"""`mlgen logs --env`: what tasks printed, from pods and bucket; of each that printed nothing, why."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from mlgen.cli.cluster.logs import Hearing
from mlgen.cli.main import run as mlgen
from mlgen.cluster.events import Ended, Event, Failure, Moved, Printed, Waits
from mlgen.ledger.records.task import State
from tests import git_host, s3
from tests.cli import lab
from tests.cluster import apiserver
from tests.cluster.apiserver import Cluster

Capture = pytest.CaptureFixture[str]
PULL = "it failed: its image cannot be pulled: "
SECRET = "it failed: its container cannot be made: "


@dataclass
class Said:
    code: int
    out: str
    err: str


@dataclass
class World:
    cluster: Cluster
    capsys: Capture

    def logs(self, *arguments: str) -> Said:
        self.capsys.readouterr()
        code = mlgen(["logs", *arguments, "--env", "lab"])
        return Said(code, *self.capsys.readouterr())

    def reconcile_and_prune(self) -> None:
        """Tell all, and let the cluster forget it."""
        assert mlgen(["ledger", "reconcile", "--env", "lab"]) == 0
        for things in (self.cluster.pipelineruns, self.cluster.taskruns, self.cluster.pods):
            things.clear()


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture) -> Iterator[World]:
    monkeypatch.setattr(s3, "BUCKET", "ml-artifacts")
    with s3.serve() as bucket, git_host.serve(tmp_path / "git") as host, apiserver.running() as cluster:
        host.repository("ledger")
        variables = {
            "HOME": str(tmp_path),
            "XDG_CACHE_HOME": str(tmp_path / "cache"),
            "KUBECONFIG": str(cluster.kubeconfig(tmp_path)),
            "AWS_ACCESS_KEY_ID": "key-id",
            "AWS_SECRET_ACCESS_KEY": "key-value",
            "MLGEN_LEDGER_SECRET": str(git_host.secret(tmp_path / "secret")),
        }
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        lab.lay_down(tmp_path, s3=bucket.endpoint, ledger=f"{host.url}/ledger.git")
        monkeypatch.chdir(tmp_path)
        yield World(cluster, capsys)


@pytest.mark.parametrize(
    ("run", "what", "why"), [("image", "left no log", PULL), ("secret", "printed nothing", SECRET)]
)
def test_a_task_that_never_began_says_why(world: World, run: str, what: str, why: str) -> None:
    """Whether a pod is left of it or not, and also when the cluster has forgotten all."""
    world.cluster.add(run)
    for arguments in ([run], [run, "broken"]):
        said = world.logs(*arguments)
        assert (said.code, said.out) == (0, "")
        assert said.err.startswith(f"broken {what}: {why}")
        assert len(said.err.splitlines()) == 1
    world.reconcile_and_prune()
    said = world.logs(run, "broken")
    assert (said.code, said.out) == (0, "")
    assert said.err.startswith(f"broken {what}: {why}")


def test_what_was_printed_has_its_title_and_what_was_not_its_reason(world: World) -> None:
    world.cluster.add("fail")
    world.cluster.logs["fail-first-pod", "step-main"] = b"one\n"
    world.cluster.logs["fail-second-pod-retry1", "step-main"] = b"two\n"
    said = world.logs("fail")
    assert (said.code, said.out) == (0, "== first, attempt 1 ==\none\n\n== second, attempt 2 ==\ntwo\n")
    assert said.err.splitlines() == [
        "second printed nothing: it failed, exit code 7",
        "tell printed nothing: it succeeded",
    ]


@pytest.mark.parametrize(
    ("run", "why"),
    [
        ("fail", "not started: second failed"),
        ("cancelled-finally", "not started: the run was interrupted"),
        ("ok", "skipped: its gate was false"),
    ],
)
def test_a_task_that_was_not_started_has_no_log(world: World, run: str, why: str) -> None:
    world.cluster.add(run)
    said = world.logs(run, "third")
    assert (said.code, said.out) == (2, "")
    assert f'error[no-log]: "third" has no log in {run}: {why}\n' in said.err
    world.reconcile_and_prune()
    assert why.partition(":")[0] in world.logs(run, "third").err


def test_a_log_that_went_with_its_pod_is_said_to_be_lost(world: World) -> None:
    world.cluster.add("cancelled-finally")
    lost = "second left no log: it aborted: it was cancelled: "
    for _ in range(2):
        said = world.logs("cancelled-finally", "second")
        assert (said.code, said.out) == (0, "")
        assert said.err.startswith(lost)
        assert said.err.endswith("(Tekton deletes its pod then, and what it had printed)\n")
        world.reconcile_and_prune()


@pytest.mark.parametrize(
    ("task", "fix"), [("frst", "did you mean first?"), ("x", "its tasks: first, second, tell, third")]
)
def test_a_task_that_is_not_there(world: World, task: str, fix: str) -> None:
    world.cluster.add("ok")
    said = world.logs("ok", task)
    assert (said.code, said.out) == (2, "")
    assert f'ok has no task "{task}"' in said.err
    assert fix in said.err


def test_followed_a_task_that_prints_nothing_says_once_why(capsys: Capture) -> None:
    hear = Hearing("train")
    events: list[Event] = [
        Moved("train", "waits for its pod"),
        Waits("train", "no node has room: 0/1 nodes are available", "let the cluster grow"),
        Moved("train", "stages in"),
        Moved("other", "waits for its pod"),
        Moved("train", "runs"),
        Printed("train", "tick"),
        Ended("train", 0, State.FAIL, 2.0, True, Failure("the program was out of memory", log="main")),
        Moved("train", "waits for its pod"),
        Ended("train", 1, State.FAIL, 2.0, False, Failure("its image cannot be pulled", "not found", "name another")),
    ]
    for event in events:
        hear(event)
    out, err = capsys.readouterr()
    assert out == "tick\n"
    assert err.splitlines() == [
        "train waits for its pod",
        "train waits: no node has room: 0/1 nodes are available",
        "   fix  let the cluster grow",
        "train stages in",
        "train failed: its image cannot be pulled",
        "   why  not found",
        "   fix  name another",
    ]
