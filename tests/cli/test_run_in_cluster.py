"""`mlgen run --env` and `mlgen logs --env`, against an API server that holds what was rendered."""

from __future__ import annotations

import json
import os
import pty
import re
import select
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from mlgen.cli.main import run as mlgen
from mlgen.cluster.follow import CANCEL
from tests.cluster.scripted import Answer, Asked, Json, serving, status
from tests.revisions import repository

ROOT = Path(__file__).parents[2]
CONFIG = """\
version: 1
repository: https://git.example/acme/ml
environments:
  prod:
    namespace: ml
    artifacts: s3://ml/prod
    ledger: {url: "http://127.0.0.1:9/ledger.git"}
    runtime_image: r@sha256:0000000000000000000000000000000000000000000000000000000000000000
"""
SPEC = """\
version: 1
name: demo
params: {n: 3, word: {type: string}}
defaults: {image: "busybox@sha256:0000000000000000000000000000000000000000000000000000000000000000"}
tasks:
  make: {run: 'echo "$word"', in: [params.n, params.word], out: {said: string}}
  big: {if: params.n > 5, run: echo, after: [make]}
finally:
  tell: {run: echo}
"""
RUN = ["run", "pipelines/demo.yaml", "--env", "prod", "-p", "word=a $x"]
STATES = {"Going": ("Unknown", "Running"), "Good": ("True", "Completed"), "Bad": ("False", "Failed")}


class Cluster:
    """Has what was rendered. The run that is created ends as `end` says; "Going": only when it is cancelled."""

    def __init__(self, rendered: list[Json], end: str) -> None:
        self._rendered = rendered
        self.end = end
        self.record: tuple[int, str] | None = None  # of the finally task `record`: its exit code, what it printed
        self.runs: list[Json] = []
        self.cancelled = threading.Event()

    def __call__(self, asked: Asked) -> Answer:
        kind = asked.path.split("/namespaces/ml/")[1]
        match (asked.method, kind):
            case ("GET", one) if one.startswith(("pipelines/", "tasks/")):
                return Answer(body=next(o for o in self._rendered if f"{o['kind']}s/{name(o)}".lower() == one))
            case ("GET", "tasks"):
                return listed([one for one in self._rendered if one["kind"] == "Task"])
            case ("POST", "pipelineruns"):
                self.runs.append(asked.body)
                asked.body["metadata"] |= {"uid": "11112222-u", "creationTimestamp": "2026-01-01T00:00:00Z"}
                return Answer(201, asked.body)
            case ("PATCH", _):
                assert asked.body == CANCEL
                self.cancelled.set()
                return Answer(body={})
            case ("GET", "pipelineruns" | "taskruns" | "pods") if asked.watches:
                self.cancelled.wait(0.2)
                return Answer(lines=tuple({"type": "MODIFIED", "object": one} for one in self._objects(kind)))
            case ("GET", "pipelineruns" | "taskruns" | "pods"):
                return listed(self._objects(kind))
            case ("GET", log) if log in self._logs:
                return Answer(body=self._logs[log].get(asked.query["container"], ""))
        return status(404, f"{kind} not found")

    @property
    def _logs(self) -> dict[str, dict[str, str]]:
        of_record = {"step-record": self.record[1]} if self.record else {}
        return {
            "pods/demo-one-make-pod/log": {"step-main": "first\nit broke\n"},
            "pods/demo-one-record-pod/log": of_record,
        }

    def _objects(self, kind: str) -> list[Json]:
        cancelled = self.cancelled.is_set()
        if kind == "pipelineruns":
            condition = ("False", "Cancelled") if cancelled else STATES[self.end]
            gate = {"name": "big", "reason": "When Expressions evaluated to false"}
            stopped = {"name": "big", "reason": "PipelineRun was stopping"}
            skipped = [gate if self.end == "Good" else stopped]
            more: Json = {"skippedTasks": skipped} if cancelled or self.end != "Going" else {}
            return [thing(self.runs[-1]["metadata"], condition, more)]
        if kind == "pods":
            make = meta("make-pod", "make", ("TaskRun", "99998888-p"))
            return [{"metadata": make, "spec": {"containers": [{"name": "step-main"}]}, "status": {}}]
        code = 7 if self.end == "Bad" else 0
        steps = [{"name": "main", "terminated": {"exitCode": code}, "terminationReason": "Continued" if code else ""}]
        condition = ("False", "TaskRunCancelled") if cancelled else STATES[self.end]
        results = [] if cancelled else [{"name": "said", "value": "a $$x"}]
        more = {"podName": "demo-one-make-pod", "startTime": "2026-01-01T00:00:00Z", "steps": steps, "results": results}
        of_run = ("PipelineRun", "11112222-u")
        found = [thing(meta("make", "make", of_run), condition, more)]
        if self.record is not None:
            state = STATES["Bad" if self.record[0] else "Good"]
            about = {**more, "podName": "demo-one-record-pod", "steps": [{"name": "record"}], "results": []}
            found.append(thing(meta("record", "record", of_run), state, about))
        return found


def name(rendered: Json) -> str:
    return str(rendered["metadata"]["name"])


def meta(name: str, task: str, owner: tuple[str, str]) -> Json:
    kind, uid = owner
    about = {"name": f"demo-one-{name}", "namespace": "ml", "uid": "99998888-p", "resourceVersion": "1"}
    owners = [{"apiVersion": "tekton.dev/v1", "kind": kind, "name": "demo-one", "uid": uid, "controller": True}]
    labels = {"tekton.dev/pipelineTask": task}
    return {**about, "creationTimestamp": "2026-01-01T00:00:00Z", "labels": labels, "ownerReferences": owners}


def thing(metadata: Json, condition: tuple[str, str], more: Json) -> Json:
    conditions = [{"type": "Succeeded", "status": condition[0], "reason": condition[1], "message": ""}]
    return {"metadata": {**metadata, "resourceVersion": "1"}, "spec": {}, "status": {"conditions": conditions, **more}}


def listed(items: list[Json]) -> Answer:
    return Answer(body={"items": items, "metadata": {"resourceVersion": "1"}})


@pytest.fixture(name="rendered")
def _rendered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Json]:
    """A project, and what it renders to, as the cluster has it."""
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("NO_COLOR", "1")
    (tmp_path / "pipelines").mkdir()
    (tmp_path / "mlgen.yaml").write_text(CONFIG)
    (tmp_path / "pipelines" / "demo.yaml").write_text(SPEC)
    monkeypatch.chdir(tmp_path)
    assert mlgen(["render", "--env", "prod"]) == 0
    return [yaml.safe_load(file.read_text()) for file in sorted((tmp_path / "tekton/prod/manifests").glob("*.yaml"))]


@pytest.fixture(name="cluster")
def _cluster(rendered: list[Json], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Cluster]:
    cluster = Cluster(rendered, "Good")
    with serving(cluster) as server:
        server.api(tmp_path)
        monkeypatch.setenv("KUBECONFIG", str(tmp_path / "kubeconfig"))
        yield cluster


Capture = pytest.CaptureFixture[str]


def test_a_run_is_created_as_rendered_and_as_asked(cluster: Cluster, capsys: Capture) -> None:
    capsys.readouterr()
    assert mlgen([*RUN, "--name", "demo-one"]) == 0
    out, err = capsys.readouterr()
    [run] = cluster.runs
    assert run["spec"]["params"] == [{"name": "n", "value": "3"}, {"name": "word", "value": "a $$x"}]
    assert run["spec"]["timeouts"]
    assert run["metadata"]["annotations"]["mlgen.dev/repository"] == "https://git.example/acme/ml"
    assert "mlgen.dev/commit" not in run["metadata"]["annotations"]
    assert "generateName" not in run["metadata"]
    assert out.splitlines() == [
        "demo-one  COMPLETE",
        "  make  succeeded",
        "          said = a $x",
        "  big   skipped: its gate was false: params.n > 5",
        "  tell  did not run",
        "logs    mlgen logs demo-one --env prod",
        "commit  none: outside Git",
        "ledger  cannot be read from here: http://127.0.0.1:9/ledger.git cannot be reached",
        "        fix  check ledger.url and the way to that host; what could not be done now can be done again",
        "        not written: the finally task `record` did not run",
        "        fix  the CronJob tells how each task ended, once it can; or `mlgen ledger reconcile --env prod`",
        "             (of one that could keep no record: not what it measured or made)",
    ]
    assert re.search(r"^make +succeeded", err, re.MULTILINE)


def test_a_run_of_a_pinned_environment_is_that_of_its_commit(cluster: Cluster, capsys: Capture, tmp_path: Path) -> None:
    (tmp_path / ".gitignore").write_text("home/\nkubeconfig\n.mlgen/\n")
    first = repository(tmp_path, {})
    Path("mlgen.yaml").write_text(CONFIG.replace("  prod:", f'  prod:\n    pin: "{first}"'))
    Path("pipelines/demo.yaml").write_text(SPEC.replace("echo", "echo changed"))
    capsys.readouterr()
    assert mlgen([*RUN, "--name", "demo-one"]) == 0
    [run] = cluster.runs
    assert run["metadata"]["annotations"]["mlgen.dev/commit"] == first
    assert f"commit  {first}\n" in capsys.readouterr().out
    Path("pipelines/demo.yaml").unlink()  # it is at the pin
    assert mlgen([*RUN, "--name", "demo-two"]) == 0


def test_json_has_the_keys_of_a_run_here(cluster: Cluster, capsys: Capture) -> None:
    capsys.readouterr()
    cluster.end = "Bad"
    assert mlgen([*RUN, "--name", "demo-one", "--format", "json"]) == 1
    out, err = capsys.readouterr()
    assert json.loads(out) == {
        "run": "demo-one",
        "uid": "11112222-u",
        "state": "FAIL",
        "tasks": {
            "make": {"status": "Failed", "reason": "Failed"},
            "big": {"status": "None", "reason": "PipelineRun was stopping"},
        },
        "ledger": None,
    }
    assert "make  failed, exit code 7" in err
    assert "      | it broke\n" in err
    assert "      its log: mlgen logs demo-one make --env prod" in err


KEYS = """\
mlgen-runtime: error[store-credentials]: s3://ml refuses the credentials of the secret "keys"
   fix  put the right AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY into the secret "keys"
"""


@pytest.mark.parametrize(
    ("record", "code", "told"),
    [
        (
            (0, "mlgen-runtime: the records wait in the spool: there is no Git repository at u (make it)\n"),
            0,
            "not written yet: the records wait in the bucket, for its pods could not write: "
            "there is no Git repository at u (make it)",
        ),
        (
            (3, KEYS),
            1,
            "not written: the finally task `record` could not keep what became of the run\n"
            '        why  s3://ml refuses the credentials of the secret "keys"',
        ),
        (
            (0, ""),
            0,
            "        fix  check ledger.url and the way to that host; what could not be done now can be done again\n",
        ),
    ],
)
def test_what_the_ledger_lacks_is_told_with_why(
    cluster: Cluster, capsys: Capture, record: tuple[int, str], code: int, told: str
) -> None:
    capsys.readouterr()
    cluster.record = record
    assert mlgen([*RUN, "--name", "demo-one"]) == code
    out, err = capsys.readouterr()
    assert told in out
    assert "error[" not in out + err
    assert mlgen([*RUN, "--name", "demo-two", "--format", "json"]) == code
    out, err = capsys.readouterr()
    assert json.loads(out)["ledger"] is None
    assert f"ledger  {told.splitlines()[0].removeprefix('        ')}\n" in err


def test_detached_only_its_name_is_told(cluster: Cluster, capsys: Capture) -> None:
    capsys.readouterr()
    assert mlgen([*RUN, "--detach"]) == 0
    out, err = capsys.readouterr()
    assert re.fullmatch(r"demo-[a-z0-9]{5}\n", out)
    assert f"`mlgen logs {out.strip()} --env prod -f`" in err
    assert f"kubectl -n ml patch pipelinerun {out.strip()} --type merge -p '{json.dumps(CANCEL)}'" in err
    assert len(cluster.runs) == 1


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["-p", "word=$(date)"], "cannot hold $(date) in a cluster"),
        (["-p", "n=x", "-p", "word=a"], 'param "n"'),
        (["-p", "word=a", "-p", "m=1"], '"m" is neither'),
        ([], '"word" (string) is required'),
        (["-p", "word=a", "--name", "A"], "no name for a run"),
        (["-p", "word=a", "--detach", "--logs"], "exclude each other"),
        (["-p", "word=dapi" + "01ab45ef" * 4], "looks like a Databricks token"),
    ],
)
def test_what_is_asked_wrongly_creates_nothing(
    cluster: Cluster, capsys: Capture, arguments: list[str], said: str
) -> None:
    assert mlgen([*RUN[:4], *arguments]) == 2
    assert said in capsys.readouterr().err
    assert cluster.runs == []


def test_another_version_on_the_cluster_is_told(cluster: Cluster, capsys: Capture) -> None:
    spec = Path("pipelines/demo.yaml")
    spec.write_text(spec.read_text().replace("run: 'echo \"$word\"'", "run: 'echo \"$word!\"'"))
    apply = "kubectl apply --server-side -f tekton/prod/manifests/"
    assert mlgen(RUN) == 3
    stale = capsys.readouterr().err
    assert 'another version of the Pipeline "demo"' in stale
    assert "why  not the same: script of make\n" in stale
    assert "fix  `mlgen render --env prod`: tekton/prod/manifests/ is not what the spec says now" in stale
    assert apply in stale
    assert mlgen(["render", "--env", "prod"]) == 0
    assert mlgen(RUN) == 3
    rendered = capsys.readouterr().err
    assert "fix  merge tekton/prod/manifests/" in rendered
    assert "mlgen render" not in rendered
    assert apply in rendered
    project = Path("mlgen.yaml")
    project.write_text("argocd: {}\n" + project.read_text())
    assert mlgen(RUN) == 3
    synced = capsys.readouterr().err
    assert "fix  merge tekton/prod/manifests/" in synced
    assert "kubectl apply" not in synced, "Argo CD puts it back"
    assert "or, to try it: an environment of your own" in synced
    assert cluster.runs == []


def environ() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(ROOT / "generator"), "TERM": "dumb"}


COMMAND = [sys.executable, "-m", "mlgen", *RUN, "--name", "demo-one"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_without_a_terminal_an_interrupt_cancels(cluster: Cluster, number: signal.Signals) -> None:
    cluster.end = "Going"
    process = subprocess.Popen(COMMAND, env=environ(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    assert process.stderr.readline() == "make  started\n"
    process.send_signal(number)
    out, err = process.communicate(timeout=60)
    assert (process.returncode, cluster.cancelled.is_set()) == (130, True), err
    assert out.startswith(
        "demo-one  ABORT\n  make  aborted: it was cancelled\n  big   not started: the run was interrupted"
    )


@pytest.mark.parametrize(("answer", "cancels"), [(b"y\n", True), (b"\n", False), (b"\x03", False)])
def test_on_a_terminal_an_interrupt_asks(cluster: Cluster, answer: bytes, cancels: bool) -> None:
    cluster.end = "Going"
    shown = on_a_terminal(COMMAND, [(b"make  started", b"\x03"), (b"[y/N] ", answer)])
    assert cluster.cancelled.is_set() == cancels
    assert ("demo-one  ABORT" if cancels else "demo-one goes on: `mlgen logs demo-one --env prod -f`") in shown
    assert shown.endswith("exit 130")


def on_a_terminal(command: list[str], script: list[tuple[bytes, bytes]]) -> str:
    """What a command shows on a terminal where, at each sight, something is typed."""
    pid, terminal = pty.fork()
    if pid == 0:
        os.execve(command[0], command, environ())
    shown = b""
    left: list[tuple[bytes, bytes]] = list(script)
    while select.select([terminal], [], [], 60)[0]:
        try:
            data: Any = os.read(terminal, 1 << 16)
        except OSError:  # on Linux, how the end of a terminal's last process is told
            break
        if not data:
            break
        shown += data
        if left and left[0][0] in shown:
            os.write(terminal, left.pop(0)[1])
    _, ended = os.waitpid(pid, 0)
    os.close(terminal)
    return f"{shown.decode()}exit {os.waitstatus_to_exitcode(ended)}"
