"""`mlgen ledger import`: events of other producers, all of them or none, and as often as one likes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from mlgen import git
from mlgen.cli.main import run as mlgen
from mlgen.ledger.stream import stream_imported
from tests import git_host, s3
from tests.cli import lab
from tests.git_host import secret
from tests.ledger.test_imported import RUN, event

ROOT = Path(__file__).parents[2]
Capture = pytest.CaptureFixture[str]


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project in no repository: its ledger is `.mlgen/ledger.git`."""
    (tmp_path / "pipelines").mkdir()
    (tmp_path / "mlgen.yaml").write_text("version: 1\n")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def answer(capsys: Capture, *arguments: str, code: int = 0) -> Any:
    assert mlgen(["ledger", *arguments, "--format", "json"]) == code
    return json.loads(capsys.readouterr().out)


def lines(*events: dict[str, Any]) -> str:
    return "".join(json.dumps(one) + "\n" for one in events)


def test_twice_is_once(project: Path, capsys: Capture) -> None:
    (project / "a.ndjson").write_text(lines(event(eventType="START"), event()))
    (project / "b.json").write_text(json.dumps([event()]))
    first = answer(capsys, "import", "a.ndjson", "b.json")
    assert first["events"] == 3
    assert len(first["landed"]) == 2
    assert all(path.startswith(f"imported/2026/11/29/{RUN}.") for path in first["landed"])
    second = answer(capsys, "import", "a.ndjson")
    assert second["landed"] == []
    assert second["ledger"] == first["ledger"]


def test_they_come_out_as_they_went_in(project: Path, capsys: Capture) -> None:
    (project / "a.ndjson").write_text(lines(event()))
    answer(capsys, "import", "a.ndjson")
    assert mlgen(["ledger", "export", "openlineage"]) == 0
    told = capsys.readouterr()
    assert json.loads(told.out) == event()
    assert told.err.startswith("0 records, 1 event of other producers; of the ledger at ")


def test_what_a_standard_client_sends_is_taken(project: Path, capsys: Capture) -> None:
    from openlineage.client import event_v2
    from openlineage.client.serde import Serde

    sent = event_v2.RunEvent(
        eventTime="2026-11-28T10:00:00+00:00",
        eventType=event_v2.RunState.COMPLETE,
        run=event_v2.Run(runId=RUN),
        job=event_v2.Job(namespace="airflow", name="load.orders"),
        producer="https://example.com/producer",
        inputs=[event_v2.InputDataset(namespace="postgres://db:5432", name="shop.public.orders")],
    )
    (project / "a.ndjson").write_text(Serde.to_json(sent) + "\n")
    assert len(answer(capsys, "import", "a.ndjson")["landed"]) == 1


def test_of_a_job_alone_there_is_nothing_to_keep(project: Path, capsys: Capture) -> None:
    about = {key: value for key, value in event().items() if key != "run"}
    (project / "a.ndjson").write_text(lines(about | {"schemaURL": "https://openlineage.io/x#/$defs/JobEvent"}))
    assert mlgen(["ledger", "import", "a.ndjson"]) == 0
    assert "left out 1 event of jobs or datasets alone" in capsys.readouterr().out


def test_one_fault_and_nothing_is_taken(project: Path, capsys: Capture) -> None:
    (project / "good.ndjson").write_text(lines(event()))
    (project / "bad.ndjson").write_text(lines(event(), event(eventTime="yesterday")))
    assert mlgen(["ledger", "import", "good.ndjson", "bad.ndjson"]) == 2
    err = capsys.readouterr().err
    assert "error[not-openlineage]: bad.ndjson:2:1: is no RunEvent: eventTime is 'yesterday'" in err
    assert not (project / ".mlgen" / "ledger.git").exists()
    assert not list(project.rglob("_ledger/spool/*"))


def test_a_file_that_is_not_there(project: Path, capsys: Capture) -> None:
    assert mlgen(["ledger", "import", "none.json"]) == 2
    assert "no-such-file" in capsys.readouterr().err


def test_from_stdin(project: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    (project / "a.ndjson").write_text(lines(event()))
    with (project / "a.ndjson").open() as file:
        monkeypatch.setattr("sys.stdin", file)
        assert len(answer(capsys, "import", "-")["landed"]) == 1


def test_what_looks_secret_is_told_without_it(project: Path, capsys: Capture) -> None:
    token = "ghp_" + "aB3dE5gH7jK9mN1pQ3sT5vX7zA9cE1gI3kM5"
    (project / "a.ndjson").write_text(lines(event(job={"namespace": "spark", "name": token})))
    assert mlgen(["ledger", "import", "a.ndjson"]) == 0
    told = capsys.readouterr()
    assert "a.ndjson:1:1: job.name looks like" in told.err
    assert token not in told.err + told.out
    assert mlgen(["ledger", "export", "openlineage"]) == 0
    assert json.loads(capsys.readouterr().out)["job"]["name"] == "***"


def test_of_a_cluster_they_wait_in_the_bucket_for_whoever_may_fold(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    (tmp_path / "a.ndjson").write_text(lines(event(eventType="START"), event()))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(s3, "BUCKET", "ml-artifacts")
    for name, value in {
        "AWS_ACCESS_KEY_ID": "key-id",
        "AWS_SECRET_ACCESS_KEY": "key-value",
        "XDG_CACHE_HOME": str(tmp_path / "cache"),
        "MLGEN_LEDGER_SECRET": str(secret(tmp_path / "secret")),
    }.items():
        monkeypatch.setenv(name, value)
    with s3.serve() as bucket, git_host.serve(tmp_path / "git") as host:
        host.repository("ledger")
        lab.lay_down(tmp_path, s3=bucket.endpoint, ledger=f"{host.url}/ledger.git")
        imported = answer(capsys, "import", "a.ndjson", "--env", "lab")
        assert imported == {"events": 2, "leftOut": 0, "masked": 0, "waiting": 2}
        assert len([key for key in bucket.objects if f"_ledger/spool/{RUN}." in key]) == 2
        assert len(answer(capsys, "fold", "--env", "lab")["landed"]) == 2
        assert mlgen(["ledger", "export", "openlineage", "--env", "lab"]) == 0
        types = {json.loads(line)["eventType"] for line in capsys.readouterr().out.splitlines()}
        assert types == {"START", "COMPLETE"}


def test_a_kill_at_any_point_loses_nothing_and_doubles_nothing(project: Path, capsys: Capture) -> None:
    """The same import, killed a little later each time until it comes through."""
    events = [event(eventTime=f"2026-11-28T10:{n // 60:02}:{n % 60:02}Z") for n in range(100)]
    (project / "a.ndjson").write_text(lines(*events))
    command = [sys.executable, "-m", "mlgen", "ledger", "import", "a.ndjson"]
    environ = {**os.environ, "PYTHONPATH": str(ROOT / "generator")}
    kills, seconds = 0, 0.2
    while True:
        with subprocess.Popen(command, env=environ, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
            time.sleep(seconds)
            if process.poll() is not None:
                break
            process.kill()
            kills, seconds = kills + 1, seconds * 1.4
    assert kills
    assert answer(capsys, "import", "a.ndjson")["landed"] == []
    repository = git.init_bare(project / ".mlgen" / "ledger.git")
    commit = repository.tip("refs/heads/ledger")
    assert commit is not None
    found = {stored.imported().event_time for stored in stream_imported(repository, commit)}
    assert found == {one["eventTime"] for one in events}
    assert not list(project.rglob("_ledger/spool/*.json"))
    repository.run("fsck", "--strict")
