"""`mlgen ledger reconcile`, with a bucket, a Git host and an API server on this machine."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import uuid
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from mlgen.ledger.folding.spool import SPOOL, Spool
from mlgen.store import open_store
from tests import git_host, s3
from tests.cli import lab
from tests.cluster import apiserver
from tests.cluster.apiserver import Cluster
from tests.git_host import GitHost
from tests.s3 import S3

ROOT = Path(__file__).parents[2]


@dataclass
class World:
    root: Path
    bucket: S3
    host: GitHost
    cluster: Cluster

    def start(self, *arguments: str, verb: str = "reconcile") -> subprocess.Popen[str]:
        env = {
            "PATH": os.environ["PATH"],
            "HOME": str(self.root),
            "PYTHONPATH": str(ROOT / "generator"),
            "KUBECONFIG": str(self.root / "kubeconfig"),
            "AWS_ACCESS_KEY_ID": "key-id",
            "AWS_SECRET_ACCESS_KEY": "key-value",
            "MLGEN_LEDGER_SECRET": str(self.root / "secret"),
        }
        command = [sys.executable, "-m", "mlgen", "ledger", verb, "--env", "lab", *arguments]
        pipe = subprocess.PIPE
        return subprocess.Popen(command, cwd=self.root, env=env, stdout=pipe, stderr=pipe, text=True)

    def mlgen(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        with self.start(*arguments) as process:
            out, err = process.communicate(timeout=60)
        return subprocess.CompletedProcess(process.args, process.returncode, out, err)

    def status(self) -> dict[str, Any]:
        """What `mlgen ledger fold --status` says."""
        with self.start("--status", "--format", "json", verb="fold") as process:
            out, _ = process.communicate(timeout=60)
        found: dict[str, Any] = json.loads(out)
        return found

    def branch(self) -> list[str]:
        """The names of the files on the ledger's branch."""
        git = ["git", "--git-dir", str(self.host.root / "ledger.git")]
        done = subprocess.run(
            [*git, "ls-tree", "-r", "--name-only", "ledger"], capture_output=True, text=True, check=False
        )
        return [path.rpartition("/")[2].split(".")[0] for path in done.stdout.splitlines()]

    def logs(self) -> int:
        return sum("/_logs/" in f"/{key}" for key in self.bucket.objects)


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    monkeypatch.setattr(s3, "BUCKET", "ml-artifacts")
    with s3.serve() as bucket, git_host.serve(tmp_path / "git") as host, apiserver.running() as cluster:
        host.repository("ledger")
        git_host.secret(tmp_path / "secret")
        cluster.kubeconfig(tmp_path)
        lab.lay_down(tmp_path, s3=bucket.endpoint, ledger=f"{host.url}/ledger.git")
        yield World(tmp_path, bucket, host, cluster)


def test_what_it_did_is_told(world: World) -> None:
    world.cluster.add("image")
    done = world.mlgen("--format", "json")
    assert (done.returncode, done.stderr) == (0, "")
    answer = json.loads(done.stdout)
    assert [path.rpartition("/")[2].split(".")[0] for path in answer["records"]] == ["broken-0", "run"]
    assert sorted(answer["folded"]["landed"]) == sorted(answer["records"])
    assert (answer["runs"], len(answer["logs"]), answer["deleted"], answer["unfit"]) == (1, 1, [], [])
    assert world.branch() == ["broken-0", "run"]
    again = world.mlgen()
    assert (again.returncode, again.stderr) == (0, "")
    assert again.stdout == f"runs     none looked at\nnothing waited\nledger  {answer['folded']['ledger']}\n"


def test_while_git_is_down_logs_are_kept_and_then_all_is_made_good(world: World) -> None:
    world.cluster.add("image")
    world.host.fault = lambda _path: "drop"
    done = world.mlgen()
    assert done.returncode == 3
    assert "error[git-unreachable]" in done.stderr
    assert (world.logs(), world.branch()) == (1, [])
    world.host.fault = git_host.no_fault
    assert world.mlgen().returncode == 0
    assert world.branch() == ["broken-0", "run"]


def test_what_waits_is_folded_while_the_cluster_does_not_answer(world: World) -> None:
    world.cluster.add("image")
    world.host.fault = lambda path: "drop" if "receive-pack" in path else ""
    assert world.mlgen().returncode == 3
    world.host.fault = git_host.no_fault
    spool = Spool(open_store("s3://ml-artifacts/lab", options=world.bucket.options, base=world.root))
    spool.store.put(f"{SPOOL}/{uuid.UUID(int=1)}.{0:016x}.json", b"{}")
    (world.root / "kubeconfig").write_text(
        (world.root / "kubeconfig").read_text().replace(world.cluster.url, "http://127.0.0.1:9")
    )
    done = world.mlgen()
    assert done.returncode == 3
    assert "error[cluster-unreachable]" in done.stderr
    assert "ledger-alert: env=lab dead=1 bad-record=1" in done.stderr, "it is told by this pass, or never"
    assert world.branch() == ["broken-0", "run"]


def test_when_a_pass_last_ended_well_is_told(world: World) -> None:
    world.host.fault = lambda _path: "drop"
    assert world.mlgen().returncode == 3
    world.host.fault = git_host.no_fault
    assert world.status()["reconciledSeconds"] is None, "a pass that could not reach the ledger is none"
    for _ in range(2):
        assert world.mlgen().returncode == 0
    assert len([key for key in world.bucket.objects if "_ledger/passes/lab/" in key]) == 1
    assert 0 <= world.status()["reconciledSeconds"] < 120


def test_what_cannot_be_told_is_named(world: World) -> None:
    found = world.cluster.add("image")
    found["run"]["metadata"]["annotations"].clear()
    done = world.mlgen()
    assert done.returncode == 0
    assert "image cannot be told of: its annotation mlgen.dev/spec-digest is missing" in done.stderr
    assert "image-broken cannot be told of: its annotation mlgen.dev/plan-digest is not its run's" in done.stderr


def test_one_object_that_anybody_may_make_keeps_nothing_from_being_told(world: World) -> None:
    """A TaskRun with the run's labels and a document nested too deep; one whose fields are of other types."""
    found = world.cluster.add("image")
    [broken] = [t for t in found["taskRuns"] if t["metadata"]["name"] == "image-broken"]
    for name, kept in (("deep", broken["status"]), ("odd", {"conditions": "x", "retriesStatus": 7})):
        about = {**broken["metadata"], "name": name, "uid": f"11111111-2222-3333-4444-{name:x<12}"}
        del about["ownerReferences"]
        variable = {"name": "MLGEN_TASK", "value": "[" * 3000}
        status = {**kept, "taskSpec": {"steps": [{"env": [variable]}]}}
        world.cluster.taskruns.insert(0, {**broken, "metadata": about, "status": status})
    done = world.mlgen()
    assert done.returncode == 0
    assert "deep cannot be told of: it names the run image, which does not control it" in done.stderr
    assert "odd cannot be told of: status.conditions is no list" in done.stderr
    assert set(world.branch()) == {"broken-0", "run"}


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--grace", "soon"], "error[bad-option]: --grace:"),
        (["--env", "local"], 'error[bad-option]: "local" has no pods'),
        (["--env", "labb"], "error[unknown-environment]"),
    ],
)
def test_what_is_asked_wrongly(world: World, arguments: list[str], said: str) -> None:
    done = world.mlgen(*arguments)
    assert done.returncode == 2
    assert said in done.stderr
    assert world.cluster.asked == []


def _commands() -> list[str]:
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            found.append((process / "cmdline").read_bytes().decode(errors="replace"))
    return found


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_while_a_git_host_is_silent_a_signal_ends_all(world: World, number: signal.Signals) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        project = world.root / "mlgen.yaml"
        project.write_text(project.read_text().replace(world.host.url, url))
        silent.settimeout(30)
        with world.start() as process:
            connection, _ = silent.accept()
            process.send_signal(number)
            _, err = process.communicate(timeout=10)
        connection.close()
    assert (process.returncode, err) == (130, "")
    assert not [command for command in _commands() if url in command]
