"""`mlgen runs`, `lineage` and `ledger fold` with --env: an environment whose ledger is a repository elsewhere."""

from __future__ import annotations

import json
import re
import subprocess
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from mlgen import git
from mlgen.cli.clock import SystemClock
from mlgen.cli.main import run as mlgen
from mlgen.git import mirror
from mlgen.ledger.folding.fold import fold
from mlgen.ledger.folding.spool import DEAD, Spool
from mlgen.ledger.folding.turns import Paced
from mlgen.ledger.records.run import TaskStatus
from mlgen.ledger.records.task import State
from mlgen.store import Folder, measure
from tests import git_host
from tests.cluster.scripted import Answer, Json, serving
from tests.cluster.scripted import status as api_status
from tests.git_host import GitHost, secret
from tests.ledger import records
from tests.ledger.test_fold import NOW

Capture = pytest.CaptureFixture[str]
CLUSTER = """\
version: 1
environments:
  local: {{artifacts: artifacts, ledger: {{url: "{url}/l.git"}}}}
  away:
    namespace: ml
    artifacts: s3://no-such-bucket/away
    s3: {{endpoint: "http://127.0.0.1:1", region: us-east-1, secret: s3}}
    runtime_image: ghcr.io/acme/runtime@{digest}
    ledger: {{url: "{url}/l.git", secret: ledger-token}}
"""


@pytest.fixture
def host(tmp_path: Path) -> Iterator[GitHost]:
    with git_host.serve(tmp_path / "host") as host:
        yield host


@pytest.fixture
def project(tmp_path: Path, host: GitHost, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project outside Git, a Secret as it is mounted in pods, and a cache of its own."""
    root = tmp_path / "project"
    root.mkdir()
    (root / "mlgen.yaml").write_text(CLUSTER.format(url=host.url, digest=records.DIGEST))
    monkeypatch.chdir(root)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("MLGEN_LEDGER_SECRET", str(secret(tmp_path / "secret")))
    return root


@pytest.fixture
def kubeconfig(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Named, and not there yet."""
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "kubeconfig"))


def land(host: GitHost, tmp_path: Path, *runs: str, env: str = "away", ended: bool = True, **about: Any) -> None:
    """Runs in the ledger, as a cluster's pods left them there. about: what is said in run.json."""
    spool = Spool(Folder(tmp_path / "spool", "spool"))
    for run in runs:
        made = records.artifact("model", f"s3://ml/{run}/model", kind="model")
        spool.put(records.task(run, env=env, outputs=(made,)))
        if ended:
            spool.put(records.run(run, env=env, **about))
    fold(spool, git.init_bare(host.root / "l.git"), "ledger", now=NOW)


def answer(capsys: Capture, *arguments: str, code: int = 0) -> Any:
    assert mlgen([*arguments, "--format", "json"]) == code
    return json.loads(capsys.readouterr().out)


def test_questions_are_answered_from_the_ledger_alone(
    project: Path, host: GitHost, tmp_path: Path, capsys: Capture
) -> None:
    """There is neither bucket nor cluster, and nothing is made in the project."""
    there = host.repository("l")
    land(host, tmp_path, "one", "two")
    listed = answer(capsys, "runs", "list", "--env", "away")
    assert {run["run"] for run in listed["runs"]} == {"one", "two"}
    tip = subprocess.run(["git", "-C", there, "rev-parse", "ledger"], capture_output=True, text=True, check=True)
    assert listed["ledger"] == tip.stdout.strip()
    land(host, tmp_path, "three")
    shown = answer(capsys, "runs", "show", "three", "--env", "away")
    assert [event["run"]["facets"]["mlgen_task"]["task"] for event in shown["records"]] == ["train"]
    graph = answer(capsys, "lineage", "three", "--env", "away")
    assert any(node.get("uri") == "s3://ml/three/model" for node in graph["nodes"])
    assert [path.name for path in project.iterdir()] == ["mlgen.yaml"]


@pytest.mark.usefixtures("project")
def test_a_published_file_is_known_by_its_name_and_by_its_bytes(host: GitHost, tmp_path: Path, capsys: Capture) -> None:
    host.repository("l")
    Path("sales.csv").write_text("a,b\n")
    digest = measure(Path("sales.csv")).digest
    uri = f"s3://ml/away/_inputs/{digest.removeprefix('sha256:')}/sales.csv"
    read = replace(records.artifact("sales", uri), digest=digest)
    spool = Spool(Folder(tmp_path / "spool", "spool"))
    spool.put(records.task("one", env="away", inputs=(read,)))
    fold(spool, git.init_bare(host.root / "l.git"), "ledger", now=NOW)
    assert mlgen(["lineage", "sales.csv", "--env", "away"]) == 0
    assert f"  sales.csv, as published: {uri}\n" in capsys.readouterr().out
    assert mlgen(["runs", "show", "one", "--env", "away"]) == 0
    assert f"  sales.csv, as published: {uri}\n" in capsys.readouterr().out
    Path("sales.csv").write_text("a,c\n")
    assert mlgen(["lineage", "sales.csv", "--env", "away"]) == 2
    assert f"did you mean {uri}?" in capsys.readouterr().err


def test_what_a_mirror_threw_away_is_not_read_again(
    project: Path, host: GitHost, tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The mirror is packed anew each time, without what nothing leads to; the index is brought on from what it knew."""
    monkeypatch.setattr(mirror, "_PACKS", 0)
    host.repository("l")
    land(host, tmp_path, "one", "two")
    first = answer(capsys, "ledger", "index", "--env", "away")
    assert (first["read"], first["built"]) == (4, True)
    for run in ("three", "four"):
        land(host, tmp_path, run)
        again = answer(capsys, "ledger", "index", "--env", "away")
        assert (again["read"], again["built"], again["index"]) == (2, False, first["index"])
    assert len(answer(capsys, "runs", "list", "--env", "away")["runs"]) == 4


FAILED = {"train": TaskStatus("Failed", "StepFailed"), "card": TaskStatus("None", "")}
CANCELLED = {"train": TaskStatus("Failed", "TaskRunCancelled"), "card": TaskStatus("None", "")}
GATED = {"train": TaskStatus("Succeeded", "Succeeded"), "card": TaskStatus("None", "")}


@pytest.mark.parametrize(
    ("about", "words"),
    [
        ({"state": State.FAIL, "tasks": FAILED}, "not started: train failed; or its gate was false"),
        ({"state": State.ABORT, "tasks": CANCELLED}, "not started: the run was interrupted; or its gate was false"),
        ({"state": State.COMPLETE, "tasks": GATED}, "skipped: its gate was false, or that of a task before it"),
    ],
)
@pytest.mark.usefixtures("project")
def test_why_a_task_did_not_run_is_told_as_far_as_its_pods_knew(
    host: GitHost, tmp_path: Path, capsys: Capture, about: Json, words: str
) -> None:
    host.repository("l")
    land(host, tmp_path, "one", **about)
    assert mlgen(["runs", "show", "one", "--env", "away"]) == 0
    shown = capsys.readouterr().out
    assert f"\ncard  {words}\n" in shown
    assert "  log      mlgen logs one train --env away\n" in shown


@pytest.mark.parametrize(
    ("status", "said"),
    [
        ("Unknown", "one still runs: the ledger has all of it once it has ended"),
        ("False", "one has ended, and the ledger has not all of it yet"),
    ],
)
@pytest.mark.usefixtures("project", "kubeconfig")
def test_a_run_that_the_cluster_has_and_the_ledger_has_not(
    host: GitHost, tmp_path: Path, capsys: Capture, status: str, said: str
) -> None:
    host.repository("l")
    about = {"name": "one", "namespace": "ml", "uid": "u", "labels": {"mlgen.dev/env": "away"}}
    condition = {"type": "Succeeded", "status": status, "reason": "R", "message": ""}
    stored = {"metadata": about, "spec": {}, "status": {"conditions": [condition]}}
    path = "/apis/tekton.dev/v1/namespaces/ml/pipelineruns/one"
    assert mlgen(["runs", "show", "one", "--env", "away"]) == 2
    assert 'no run "one"' in capsys.readouterr().err
    with serving(lambda asked: Answer(body=stored) if asked.path == path else api_status(404, "none")) as server:
        server.api(tmp_path)
        assert mlgen(["runs", "show", "one", "--env", "away"]) == 2
        told = capsys.readouterr().err
        assert said in told
        assert "mlgen logs one --env away" in told
        assert mlgen(["runs", "show", "two", "--env", "away"]) == 2
        assert 'no run "two"' in capsys.readouterr().err
        land(host, tmp_path, "one", ended=False)
        assert mlgen(["runs", "show", "one", "--env", "away"]) == 0
        shown = capsys.readouterr()
        assert "one  (no end yet)" in shown.out
        assert said in shown.err


def test_a_host_that_is_away(project: Path, host: GitHost, tmp_path: Path, capsys: Capture) -> None:
    host.repository("l")
    host.fault = lambda _path: "drop"
    assert mlgen(["runs", "list", "--env", "away"]) == 3
    assert f"error[git-unreachable]: {host.url}/l.git" in capsys.readouterr().err
    host.fault = git_host.no_fault
    land(host, tmp_path, "one")
    assert mlgen(["runs", "list", "--env", "away"]) == 0
    capsys.readouterr()
    land(host, tmp_path, "two")
    host.fault = lambda _path: "drop"
    assert mlgen(["runs", "list", "--env", "away"]) == 0
    told = capsys.readouterr()
    assert "one" in told.out
    assert "two" not in told.out
    assert re.search(r"cannot be reached .*: this is the ledger as it was on \d{4}-\d\d-\d\d \d\d:\d\d UTC\n", told.err)


@pytest.mark.parametrize(
    "question", ["runs list", "runs show one", "runs compare one one", "lineage one", "ledger index"]
)
def test_a_program_is_told_that_an_answer_may_be_old(
    project: Path, host: GitHost, tmp_path: Path, capsys: Capture, question: str
) -> None:
    host.repository("l")
    land(host, tmp_path, "one")
    arguments = [*question.split(), "--env", "away", "--format", "json"]
    assert mlgen(arguments) == 0
    assert "asOf" not in json.loads(capsys.readouterr().out)
    host.fault = lambda _path: "drop"
    assert mlgen(arguments) == 0
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", json.loads(capsys.readouterr().out)["asOf"])
    if "compare" in question:  # a key more is no table more
        assert mlgen(arguments[:-2]) == 0


def test_who_may_not_read_is_told_whose_token_it_is(
    project: Path, host: GitHost, tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    host.repository("l")
    land(host, tmp_path, "one")
    assert mlgen(["runs", "list", "--env", "away"]) == 0
    secret(tmp_path / "secret", ("mlgen", "revoked"))
    assert mlgen(["runs", "list", "--env", "away"]) == 3
    told = capsys.readouterr()
    assert 'does not let the secret "ledger-token" read' in told.err
    assert "revoked" not in told.err
    monkeypatch.delenv("MLGEN_LEDGER_SECRET")
    assert mlgen(["runs", "list", "--env", "away"]) == 3
    assert f"`git ls-remote {host.url}/l.git` must work" in capsys.readouterr().err


def test_what_waits_here_lands_there(project: Path, host: GitHost, capsys: Capture) -> None:
    host.repository("l")
    spool = Spool(Folder(project / "artifacts", "artifacts"))
    spool.put(records.task(env="local"))
    status = answer(capsys, "ledger", "fold", "--status", "--env", "local")
    assert (status["waiting"], status["ledger"]) == (1, None)
    folded = answer(capsys, "ledger", "fold", "--env", "local")
    assert folded["landed"] == [records.task(env="local").path]
    assert answer(capsys, "ledger", "fold", "--status", "--env", "local")["ledger"] == folded["ledger"]
    assert answer(capsys, "runs", "list", "--env", "local")["ledger"] == folded["ledger"]
    assert spool.waiting() == []


def test_what_was_refused_is_tried_again(project: Path, host: GitHost, capsys: Capture) -> None:
    hook = host.repository("l") / "hooks" / "pre-receive"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text(f"#!/bin/sh\necho no {records.task().path} >&2\nexit 1\n")
    hook.chmod(0o755)
    Spool(Folder(project / "artifacts", "artifacts")).put(records.task())
    assert mlgen(["ledger", "fold"]) == 1
    alert = (
        "ledger-alert: env=local dead=1 git-push-refused=1; `mlgen ledger fold --dead --env local` tries them again\n"
    )
    assert capsys.readouterr().err.endswith(alert)
    status = answer(capsys, "ledger", "fold", "--status", "--env", "local")
    assert (status["waiting"], status["dead"]) == (0, 1)
    assert mlgen(["ledger", "fold", "--dead"]) == 1
    assert capsys.readouterr().err.endswith(alert), "refused again"
    hook.unlink()
    assert answer(capsys, "ledger", "fold")["refused"] == []
    assert answer(capsys, "ledger", "fold", "--dead")["landed"] == [records.task().path]
    assert answer(capsys, "ledger", "fold", "--status", "--env", "local")["dead"] == 0
    assert mlgen(["ledger", "fold", "--dead", "--status"]) == 2


def test_what_nobody_wants_is_thrown_away(project: Path, host: GitHost, capsys: Capture) -> None:
    """A forged copy of a record: it can never land, and must not be found for ever."""
    host.repository("l")
    spool = Spool(Folder(project / "artifacts", "artifacts"))
    spool.put(records.task())
    assert mlgen(["ledger", "fold"]) == 0
    name = spool.put(records.task(reason="Forged")).rpartition("/")[2]
    assert mlgen(["ledger", "fold"]) == 1
    key = f"{DEAD}/{name}"
    capsys.readouterr()
    (refused,) = answer(capsys, "ledger", "fold", "--status")["refused"]
    assert (refused["key"], refused["code"]) == (key, "ledger-conflict")
    assert mlgen(["ledger", "fold", "--status"]) == 0
    assert f"{key}\n           ledger-conflict  {records.task().path} is kept with" in capsys.readouterr().out
    assert mlgen(["ledger", "fold", "--forget", key, "--forget", "other"]) == 2
    assert "no refused record has the key _ledger/dead/other" in capsys.readouterr().err
    assert spool.dead() == [key]
    capsys.readouterr()
    assert answer(capsys, "ledger", "fold", "--forget", name) == {"forgotten": [key]}
    assert spool.store.keys(DEAD) == []


def test_where_nothing_waits_a_question_folds_nothing(project: Path, host: GitHost, capsys: Capture) -> None:
    """Nor says that something waits, while the host is away; and the host is waited for once."""
    host.repository("l")
    spool = Spool(Folder(project / "artifacts", "artifacts"))
    host.fault = lambda _path: "503"
    assert mlgen(["runs", "list"]) == 3
    assert "in the spool" not in capsys.readouterr().err
    asked = len(host.requests)
    spool.put(records.task())
    assert mlgen(["runs", "list"]) == 3
    assert "some records wait in the spool: " in capsys.readouterr().err
    assert len(host.requests) == 3 * asked


def test_a_backlog_is_told_while_the_host_is_away(project: Path, host: GitHost, capsys: Capture) -> None:
    host.repository("l")
    spool = Spool(Folder(project / "artifacts", "artifacts"))
    spool.put(records.task())
    spool.store.put(f"{DEAD}/x.json", b"{}")
    host.fault = lambda _path: "503"
    status = answer(capsys, "ledger", "fold", "--status", code=3)
    assert (status["waiting"], status["dead"], status["ledger"]) == (1, 1, None)
    assert status["refused"] == [{"key": f"{DEAD}/x.json", "code": "", "message": ""}]
    assert mlgen(["ledger", "fold", "--status"]) == 3
    told = capsys.readouterr()
    assert re.fullmatch(r"waiting  1, the oldest for \d+ s\nrefused  1; .*ledger  not known now\n", told.out, re.DOTALL)
    assert "error[git-unreachable]" in told.err


def test_a_fold_beside_another_names_the_ledger(
    project: Path, host: GitHost, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While it waits for its turn, another one lands all: it did nothing itself, and there is a ledger all the same."""
    there = git.init_bare(host.repository("l"))
    spool = Spool(Folder(project / "artifacts", "artifacts"))
    spool.put(records.task())
    turns = Paced(spool.store, f"{host.url}/l.git\nledger", 10, "x", SystemClock(), time.sleep, until=1e9, ahead=20)
    assert all([turns.take() for _ in range(20)]), "all that it might take are taken"
    monkeypatch.setattr("time.sleep", lambda _seconds: fold(spool, there, "ledger", now=NOW))
    assert mlgen(["ledger", "fold"]) == 0
    assert capsys.readouterr().out == f"another fold landed what waited\nledger  {there.tip('refs/heads/ledger')}\n"


def test_a_host_that_is_away_keeps_nothing_from_waiting(project: Path, host: GitHost, capsys: Capture) -> None:
    host.repository("l")
    spool = Spool(Folder(project / "artifacts", "artifacts"))
    key = spool.put(records.task(env="local"))
    host.fault = lambda path: "403" if path.endswith("/git-receive-pack") else ""
    assert mlgen(["ledger", "fold", "--env", "local"]) == 3
    assert "does not let" in capsys.readouterr().err
    assert spool.waiting() == [key]
