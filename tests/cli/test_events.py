"""`mlgen run --event`: an event's runs once each, however often it is told and whenever one is killed."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from tests.cli.pinned import Say

# A run waits while a file is there, and says by another that it has begun.
SPEC = """\
version: 1
name: told
params: {file: {type: string}, rows: {type: integer, default: 3, maximum: 10}, tree: {type: json, default: []}}
on:
  - {event: dev.x, concurrency: WORD, params: {file: {data: file}, rows: {data: rows}, tree: {data: tree}}}
  - webhook: github
    secret: hooks/key
    events: [push]
    where: {body.ref: refs/heads/main}
    params: {file: {body: after}}
  - {object: "s3://ml-data/in/*.csv", params: {file: {object: uri}}}
tasks:
  tell:
    run: touch BASE/begun; while test -e BASE/wait; do sleep 0.05; done; echo "$file $rows"; echo "$tree" > BASE/tree
    in: [params.file, params.rows, params.tree]
"""


@pytest.fixture(name="project")
def _project(bare: Path) -> Path:
    told(bare)
    return bare


def told(project: Path, concurrency: str = "allow") -> None:
    (project / "pipelines/told.yaml").write_text(SPEC.replace("WORD", concurrency).replace("BASE", str(project.parent)))


def event(project: Path, number: int = 1, **data: Any) -> str:
    file = project / f"event-{number}.json"
    found = {"specversion": "1.0", "id": str(number), "source": "/a", "type": "dev.x", "data": {"file": "x", **data}}
    file.write_text(json.dumps(found))
    return file.name


def begin(*more: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "mlgen", "run", "--format", "json", *more]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True)


def answer(process: subprocess.Popen[str]) -> list[dict[str, Any]]:
    out, err = process.communicate(timeout=120)
    assert out, err
    found: list[dict[str, Any]] = json.loads(out)["started"]
    return found


def wait_for(path: Path) -> None:
    deadline = time.monotonic() + 60
    while not path.exists():
        assert time.monotonic() < deadline, path
        time.sleep(0.02)


def test_an_event_told_twice_is_one_run(project: Path, say: Say) -> None:
    file = event(project, rows=4, file='it\'s $(x)\n"q"')
    code, out, err = say("run", "--event", file, "--dry-run")
    assert (code, "would be started" in out) == (0, True)
    assert "told: webhook github push" in err
    assert not (project / ".mlgen/events").exists()
    code, out, _ = say("run", "--event", file, "--format", "json")
    [first] = json.loads(out)["started"]
    assert (code, first["did"], first["state"], first["event"]) == (0, "started", "COMPLETE", "/a 1")
    code, out, _ = say("run", "--event", file, "--format", "json")
    [second] = json.loads(out)["started"]
    assert (code, second["did"], second["run"]) == (0, "known", first["run"])
    _, out, _ = say("runs", "show", first["run"], "--format", "json")
    assert json.loads(out)["params"] == {"file": 'it\'s $(x)\n"q"', "rows": 4, "tree": []}


def test_two_at_once_start_it_once(project: Path) -> None:
    both = [answer(one) for one in [begin("--event", event(project)), begin("--event", "event-1.json")]]
    assert sorted(row["did"] for [row] in both) == ["known", "started"]


def test_a_run_of_one_that_was_killed_is_not_started_beside_it(project: Path) -> None:
    wait = project.parent / "wait"
    wait.touch()
    process = begin("--event", event(project))
    wait_for(project.parent / "begun")
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()
    [row] = answer(begin("--event", "event-1.json"))
    assert row["did"] == "known"
    wait.unlink()
    deadline = time.monotonic() + 60
    while (row := answer(begin("--event", "event-1.json"))[0])["why"] != "COMPLETE":
        assert time.monotonic() < deadline, row


def test_what_goes_on_is_heeded(project: Path) -> None:
    told(project, "forbid")
    wait = project.parent / "wait"
    wait.touch()
    process = begin("--event", event(project))
    wait_for(project.parent / "begun")
    [row] = answer(begin("--event", event(project, 2)))
    assert row["did"] == "left-out"
    wait.unlink()
    assert answer(process)[0]["state"] == "COMPLETE"


def test_a_json_param_takes_a_text(project: Path, say: Say) -> None:
    code, _, err = say("run", "--event", event(project, tree="5"))
    assert code == 0, err
    assert (project.parent / "tree").read_text() == '"5"\n'


def test_a_webhook_and_a_bucket(project: Path, say: Say, monkeypatch: pytest.MonkeyPatch) -> None:
    push = {
        "headers": {"X-GitHub-Event": "push", "X-GitHub-Delivery": "d1"},
        "body": {"ref": "refs/heads/main", "after": "c0ffee"},
    }
    record = {
        "eventName": "ObjectCreated:Put",
        "s3": {"bucket": {"name": "ml-data"}, "object": {"key": "in/a.csv", "eTag": "e"}},
    }
    found = []
    for data in (push, {"Records": [record, record]}):
        stdin = io.TextIOWrapper(io.BytesIO(json.dumps(data).encode()))
        monkeypatch.setattr("sys.stdin", stdin)
        code, out, _ = say("run", "--event", "-", "--format", "json")
        assert code == 0
        [row] = json.loads(out)["started"]
        found.append(row["event"])
    assert found == ["d1", "ml-data in/a.csv e"]
    (project / "other.json").write_text(json.dumps(push | {"body": {"ref": "refs/heads/other", "after": "x"}}))
    code, out, _ = say("run", "--event", "other.json")
    assert (code, out) == (0, "no trigger is meant\n")


TOLD = '{"specversion": "1.0", "source": "/a", "type": "dev.x", "id": %s, "data": %s}'


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "is no event"),
        ("[]", "it is no JSON map"),
        ("{}", "neither `specversion`, nor `Records`"),
        ('{"specversion": "1.0", "id": "1", "source": "/a", "type": "dev.x", "data": {"file": "x", "rows": 11}}',
         "rows: 11 is above the maximum 10"),
        ('{"specversion": "1.0", "id": "1", "source": "/a", "type": "dev.x", "data": {"file": ["x"]}}',
         "file: it is a list, no string"),
        ('{"a": ' + "[" * 100_000 + "]" * 100_000 + "}", "nested too deep"),
        ('{"a": NaN}', "NaN is no number"),
        ('{"a": 1' + "0" * 350 + "}", "is too large for a number"),
        (TOLD % ('"1"', '{"file": "' + "x" * 200_000 + '"}'), "the params have more than 32,768 bytes"),
        (TOLD % (r'"\ud800"', '{"file": "x"}'), "what tells the event from others holds half of a character"),
        (TOLD % ('"1"', r'{"file": "x", "tree": ["\ud800"]}'), "tree: the JSON holds half of a character"),
    ],
)  # fmt: skip
def test_what_is_none_starts_nothing(project: Path, say: Say, text: str, said: str) -> None:
    (project / "event.json").write_text(text)
    code, out, err = say("run", "--event", "event.json")
    assert (code, out) == (2, "")
    assert "error[bad-event]" in err
    assert said in err


@pytest.mark.parametrize(
    "more", [["--name", "a"], ["-p", "file=x"], ["--since", "2026-10-31"], ["--due"], ["--resume", "a"]]
)
def test_other_options_are_not_for_it(project: Path, say: Say, more: list[str]) -> None:
    code, _, err = say("run", "--event", event(project), *more)
    assert code == 2
    assert "error[bad-option]" in err
