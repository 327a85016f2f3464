"""`mlgen run --due`: each time once, however many ask at once and whenever one is killed; what goes on is heeded."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from mlgen.cli.due import due
from mlgen.schedules.model import Schedule
from tests.cli.pinned import Say

# Fires a minute each; a run waits while a file is there, and says by another that it has begun.
SPEC = """\
version: 1
name: beat
params: {at: {type: string}}
schedule: {cron: "* * * * *", concurrency: WORD, catch_up: 3m, params: {at: {scheduled: time}}}
tasks:
  tell: {run: 'touch BASE/begun; while test -e BASE/wait; do sleep 0.05; done; echo "$at"', in: [params.at]}
"""
YEARLY = """\
version: 1
name: yearly
params: {since: {type: string}}
schedule: {cron: "0 3 * * *", params: {since: {scheduled: date}}}
tasks:
  tell: {run: 'test "$since" != BAD', in: [params.since]}
"""


@pytest.fixture(name="project")
def _project(bare: Path) -> Path:
    return bare


def beat(project: Path, concurrency: str = "forbid") -> None:
    text = SPEC.replace("WORD", concurrency).replace("BASE", str(project.parent))
    (project / "pipelines/beat.yaml").write_text(text)


def since(minutes: int) -> str:
    return f"{datetime.now(UTC) - timedelta(minutes=minutes):%Y-%m-%dT%H:%M:%SZ}"


def begin(*more: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "mlgen", "run", "--due", "--format", "json", *more]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True)


def answer(process: subprocess.Popen[str]) -> list[dict[str, Any]]:
    out, err = process.communicate(timeout=120)
    assert out, err
    found: list[dict[str, Any]] = json.loads(out)["due"]
    return found


def wait_for(path: Path) -> None:
    until = time.monotonic() + 60
    while not path.exists():
        assert time.monotonic() < until, f"{path} did not come"
        time.sleep(0.02)


def runs(project: Path) -> list[str]:
    return sorted(path.name.partition(".")[0] for path in (project / ".mlgen/runs").iterdir())


def test_two_at_once_start_a_time_once(project: Path) -> None:
    beat(project, "allow")
    span = since(1)
    found = [answer(process) for process in [begin("--since", span) for _ in range(3)]]
    assert len(runs(project)) == len(set(runs(project)))
    started = [one["run"] for rows in found for one in rows if one["did"] == "started"]
    assert sorted(started) == runs(project)
    assert {one["did"] for one in answer(begin("--since", span))} <= {"known", "started"}


def test_who_is_killed_leaves_its_run_and_no_other(project: Path) -> None:
    beat(project)
    (project.parent / "wait").touch()
    first = begin()
    wait_for(project.parent / "begun")
    os.killpg(first.pid, signal.SIGKILL)
    first.communicate()
    [run] = runs(project)
    again = {one["run"]: one["did"] for one in answer(begin("--since", since(2)))}
    assert again[run] == "known"
    assert set(again.values()) - {"known"} <= {"left-out"}  # the run goes on without who started it
    (project.parent / "wait").unlink()


def test_a_claim_that_a_kill_left_is_no_run(project: Path, say: Say) -> None:
    beat(project)
    code, out, _ = say("run", "--due", "--dry-run", "--format", "json")
    [one] = json.loads(out)["due"]
    assert (code, one["did"]) == (0, "would-start")
    assert not (project / ".mlgen/due").exists()
    (project / ".mlgen/due").mkdir(parents=True)
    (project / ".mlgen/due" / f"beat.{one['run']}").write_text("1234")
    assert [row["did"] for row in answer(begin())] == ["started"]


def test_what_goes_on_is_replaced(project: Path) -> None:
    beat(project, "replace")
    (project.parent / "wait").touch()
    first = begin()
    wait_for(project.parent / "begun")
    [old] = runs(project)
    (project.parent / "wait").unlink(missing_ok=True)
    (project.parent / "wait2").touch()
    spec = project / "pipelines/beat.yaml"
    # Another literal is another run of the same minute.
    spec.write_text(
        spec.read_text()
        .replace("params: {at: {scheduled", "params: {n: 2, at: {scheduled")
        .replace("params: {at: {type", "params: {n: 1, at: {type")
        .replace("/wait;", "/never;")
        .replace("in: [params.at]", "in: [params.at, params.n]")
    )
    assert [one["did"] for one in answer(begin())] == ["started"]
    ended = answer(first)
    assert [one["run"] for one in ended] == [old]
    assert len(runs(project)) == 2


def test_days_that_were_missed_are_the_runs_of_a_backfill(project: Path, say: Say) -> None:
    today = datetime.now(UTC).date()
    days = [str(today - timedelta(days=back)) for back in (3, 2, 1)]
    (project / "pipelines/yearly.yaml").write_text(YEARLY.replace("BAD", days[1]))
    assert say("run", "pipelines/yearly.yaml", "--backfill", f"since={days[0]}..{days[0]}")[0] == 0
    span = f"{days[0]}T00:00:00Z"
    code, out, _ = say("run", "--due", "--since", span, "--format", "json")
    found = {one["run"]: (one["did"], one["state"]) for one in json.loads(out)["due"]}
    assert code == 1  # one of them failed
    assert found[f"yearly-{days[0]}"] == ("known", None)
    assert found[f"yearly-{days[1]}"] == ("started", "FAIL")
    assert found[f"yearly-{days[2]}"] == ("started", "COMPLETE")
    code, out, _ = say("run", "--due", "--since", span)
    assert (code, "failed" in out, "COMPLETE" in out) == (0, True, True)  # once is once: --resume is for what failed


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--due", "-p", "at=x"), "other options exclude --due"),
        (("--due", "--resume", "x"), "other options exclude --due"),
        (("--due", "--since", "yesterday"), "is no time"),
        (("--due", "--since", "1999-01-01"), "more than 366 days ago"),
        (("--due", "--since", "2999-01-01"), "in the future"),
        (("--since", "2026-01-01", "pipelines/beat.yaml"), "are for --due"),
        ((), "no spec is named"),
    ],
)
def test_what_is_asked_wrongly(project: Path, say: Say, arguments: tuple[str, ...], said: str) -> None:
    beat(project)
    code, out, err = say("run", *arguments)
    assert (code, out) == (2, "")
    assert said in err


def test_of_a_year_of_minutes_no_more_are_made_than_tell_that_there_are_too_many(
    project: Path, say: Say, monkeypatch: pytest.MonkeyPatch
) -> None:
    beat(project)
    made = list[datetime]()
    name = Schedule.run_name

    def noted(one: Schedule, pipeline: str, time: datetime) -> str:
        made.append(time)
        return name(one, pipeline, time)

    monkeypatch.setattr(Schedule, "run_name", noted)
    code, out, err = say("run", "--due", "--since", f"{datetime.now(UTC) - timedelta(days=365):%Y-%m-%d}")
    assert (code, out) == (2, "")
    assert "more than 1,000 times have come since then" in err
    assert len(made) == 1001


def test_nothing_is_due(project: Path, say: Say) -> None:
    (project / "pipelines/plain.yaml").write_text("version: 1\nname: plain\ntasks: {a: {run: echo}}\n")
    assert say("run", "--due") == (0, "nothing is due\n", "")


def test_a_spec_with_an_error_keeps_no_other_from_starting(project: Path, say: Say) -> None:
    beat(project)
    (project / "pipelines/broken.yaml").write_text("version: 1\nname: broken\nschedule: x\ntasks: {}\n")
    process = begin()
    out, err = process.communicate(timeout=120)
    assert [one["did"] for one in json.loads(out)["due"]] == ["started"]
    assert "pipelines/broken.yaml has errors, and starts nothing: mlgen check pipelines/broken.yaml" in err
    assert process.returncode == 1, "so that a crontab's owner gets a mail"
    code, _, err = say("run", "--due", "pipelines/broken.yaml")
    assert (code, "bad-cron" in err) == (1, True)


def test_one_command_starts_so_many_and_the_same_goes_on(
    project: Path, say: Say, monkeypatch: pytest.MonkeyPatch
) -> None:
    (project / "pipelines/yearly.yaml").write_text(YEARLY)
    span = f"{datetime.now(UTC) - timedelta(days=4):%Y-%m-%dT%H:%M:%SZ}"
    asked = ("run", "--due", "--since", span)
    assert say(*asked, "--dry-run")[1].endswith("\n4 would be started\n")
    monkeypatch.setattr(due, "MOST_STARTED", 3)
    code, out, _ = say(*asked, "--dry-run")
    assert out.endswith("\n3 would be started\n1 more is due: one command starts 3; say the same again for the rest\n")
    assert out.count("would be started\n") == 4
    code, out, _ = say(*asked, "--format", "json")
    assert (code, [one["did"] for one in json.loads(out)["due"]]) == (0, ["started"] * 3 + ["later"])
    code, out, _ = say(*asked)
    assert out.endswith("\n1 started, 3 there already\n")


def test_a_command_starts_a_hundred_at_most(project: Path, say: Say) -> None:
    text = SPEC.replace("WORD", "allow").replace("* * * * *", "*/3 * * * *")
    (project / "pipelines/beat.yaml").write_text(text.replace("BASE", str(project.parent)))
    out = say("run", "--due", "--dry-run", "--since", since(600))[1]
    assert out.count(" would be started\n") == 101
    assert re.search(r"^100 would be started\n(100|101) more are due: ", out, re.MULTILINE)
