"""`mlgen run --backfill`: which dates, how many at once, and the same command again."""

from __future__ import annotations

import itertools
import json
import os
import re
import signal
import subprocess
import sys
import time
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlgen.cli.backfilling.dates import MOST, read
from mlgen.cli.backfilling.known import Turn
from mlgen.cli.backfilling.pool import Pool
from mlgen.diagnostic import Misuse
from tests.cli.pinned import Say

SPEC = """\
version: 1
name: daily
params: {since: {type: string}, n: 1, day: {choices: ["2026-10-01"], default: "2026-10-01"}}
tasks:
  make: {run: 'echo "$since" > "$rows"', in: [params.since], out: {rows: file}}
  use: {run: 'cat "$rows"; if grep -q "$(cat ../../../../../broken)" "$rows"; then exit 7; fi; SLEEP', in: [make.rows]}
"""
RUN = ("run", "pipelines/daily.yaml", "--backfill")


def dates(text: str, step: str = "1d") -> list[str]:
    return [one.isoformat() for one in read(f"since={text}", step).dates]


@pytest.mark.parametrize(
    ("text", "step", "found"),
    [
        ("2026-10-01..2026-10-03", "1d", ["2026-10-01", "2026-10-02", "2026-10-03"]),
        ("2026-10-03..2026-10-02", "1d", ["2026-10-03", "2026-10-02"]),
        ("2026-10-01..2026-10-01", "1y", ["2026-10-01"]),
        ("2028-02-28..2028-03-01", "1d", ["2028-02-28", "2028-02-29", "2028-03-01"]),
        ("2026-03-28..2026-03-30", "1d", ["2026-03-28", "2026-03-29", "2026-03-30"]),  # clocks change, days do not
        ("2026-01-31..2026-04-30", "1mo", ["2026-01-31", "2026-02-28", "2026-03-31", "2026-04-30"]),
        ("2026-03-31..2026-01-01", "1mo", ["2026-03-31", "2026-02-28", "2026-01-31"]),
        ("2028-02-29..2032-02-29", "2y", ["2028-02-29", "2030-02-28", "2032-02-29"]),
        ("2026-12-20..2027-01-05", "1w", ["2026-12-20", "2026-12-27", "2027-01-03"]),
        ("9999-12-30..9999-12-31", "1d", ["9999-12-30", "9999-12-31"]),
        ("0001-01-02..0001-01-01", "1d", ["0001-01-02", "0001-01-01"]),
    ],
)
def test_dates_are_those_of_the_calendar(text: str, step: str, found: list[str]) -> None:
    assert dates(text, step) == found


@given(st.dates(), st.integers(-400, 400), st.integers(1, 40))
def test_days_are_all_there_in_order_and_end_where_they_are_to(first: date, days: int, step: int) -> None:
    try:
        last = first + timedelta(days=days)
    except OverflowError:
        return
    found = read(f"since={first}..{last}", f"{step}d").dates
    assert found[0] == first
    assert len(found) == abs(days) // step + 1
    assert {abs((b - a).days) for a, b in itertools.pairwise(found)} <= {step}
    assert abs((last - found[-1]).days) < step


@pytest.mark.parametrize(
    ("text", "step"),
    [
        ("since", "1d"),
        ("since=2026-10-01", "1d"),
        ("since=2026-02-29..2026-03-01", "1d"),
        ("since=20261001..20261002", "1d"),
        ("since=2026-W01-1..2026-W02-1", "1d"),
        ("since=2026-10-01..", "1d"),
        ("since=2026-10-01..2026-10-02", "0d"),
        ("since=2026-10-01..2026-10-02", "1h"),
        ("since=1026-10-01..2026-10-02", "1d"),
    ],
)
def test_what_is_no_range_is_refused(text: str, step: str) -> None:
    with pytest.raises(Misuse) as refused:
        read(text, step)
    assert refused.value.fix
    assert len(read(f"since=2020-01-01..{date(2020, 1, 1) + timedelta(days=MOST - 1)}", "1d").dates) == MOST


@pytest.fixture(name="project")
def _project(bare: Path) -> Path:
    (bare / "broken").write_text("none\n")
    (bare / "pipelines/daily.yaml").write_text(SPEC.replace("SLEEP", "true"))
    return bare


def test_the_same_command_again_does_only_what_is_left(project: Path, say: Say) -> None:
    command = (*RUN, "since=2026-10-01..2026-10-03", "--parallel", "2", "--format", "json")
    (project / "broken").write_text("10-02\n")
    code, out, err = say(*command)
    assert code == 1, err
    runs = {one["value"]: one for one in json.loads(out)["runs"]}
    assert {value: (one["run"], one["state"]) for value, one in runs.items()} == {
        "2026-10-01": ("daily-2026-10-01", "COMPLETE"),
        "2026-10-02": ("daily-2026-10-02", "FAIL"),
        "2026-10-03": ("daily-2026-10-03", "COMPLETE"),
    }
    assert "2026-10-02  | " in err  # what it said
    (project / "broken").write_text("none\n")
    code, out, err = say(*command)
    answer = json.loads(out)
    assert (code, answer["complete"], answer["failed"]) == (0, 3, 0), err
    [mended] = [one for one in answer["runs"] if not one["before"]]
    assert (mended["run"], mended["resumes"]) == ("daily-2026-10-02-r2", runs["2026-10-02"]["uid"])
    shown = json.loads(say("runs", "show", "daily-2026-10-02-r2", "--format", "json")[1])
    assert shown["tasks"]["make"] == {"status": "Succeeded", "reason": "Reused"}
    began = time.monotonic()
    code, out, _ = say(*command[:-2])
    assert (code, "3 of 3 complete" in out, out.count("before")) == (0, True, 3)
    assert time.monotonic() - began < 30


def test_a_default_that_was_mended_is_that_of_the_dates_that_are_left(project: Path, say: Say) -> None:
    spec = project / "pipelines/daily.yaml"
    text = spec.read_text().replace("in: [make.rows]", "in: [make.rows, params.n]")
    spec.write_text(text.replace("; true'", '; test "$n" = 2\''))
    command = (*RUN, "since=2026-10-01..2026-10-01", "--format", "json")
    assert say(*command)[0] == 1
    spec.write_text(spec.read_text().replace("n: 1,", "n: 2,"))
    code, out, err = say(*command)
    assert (code, json.loads(out)["complete"]) == (0, 1), err
    shown = json.loads(say("runs", "show", "daily-2026-10-01-r2", "--format", "json")[1])
    assert shown["params"]["n"] == 2


def test_a_finally_that_failed_keeps_its_date_from_being_complete(project: Path, say: Say) -> None:
    spec = project / "pipelines/daily.yaml"
    tell = "finally: {tell: {run: 'test -e ../../../../../told'}}\n"
    spec.write_text(spec.read_text() + tell)
    command = (*RUN, "since=2026-10-01..2026-10-02")
    for before in (0, 2):
        code, out, _ = say(*command)
        assert (code, out.count("COMPLETE, its finally failed"), out.count("before")) == (1, 2, before)
        assert "0 of 2 complete" in out
    (project / "told").touch()
    for mend in re.findall(r"mlgen (run .*)", out):
        assert say(*mend.split())[0] == 0
    code, out, _ = say(*command, "--format", "json")
    runs = [one["run"] for one in json.loads(out)["runs"]]
    assert (code, runs) == (0, ["daily-2026-10-01-r2", "daily-2026-10-02-r2"])


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("other=2026-10-01..2026-10-02",), "is no param of daily"),
        (("n=2026-10-01..2026-10-02",), "is of type integer"),
        (("day=2026-10-01..2026-10-02", "-p", "since=x"), "2026-10-01"),
        (("since=2026-10-01..2026-10-02", "-p", "since=2026-10-01"), "by -p and by --backfill"),
        (("since=2026-10-01..2026-10-02", "-p", "n=x"), "n"),
        (("since=2026-10-01..2026-10-02", "--resume", "x"), "for a single run"),
        (("since=2026-10-01..2026-10-02", "--name", "x" * 60), "too long"),
    ],
)
def test_what_cannot_be_meant_is_refused_before_any_run(project: Path, say: Say, arguments: Any, says: str) -> None:
    code, _, err = say(*RUN, *arguments)
    assert (code, says in err) == (2, True), err
    assert not Path(".mlgen/runs").exists()
    code, _, err = say("run", "pipelines/daily.yaml", "--parallel", "2")
    assert (code, "for --backfill" in err) == (2, True)


def test_an_interrupt_ends_those_that_run_and_starts_no_more(project: Path, say: Say) -> None:
    (project / "pipelines/daily.yaml").write_text(SPEC.replace("SLEEP", "sleep 60"))
    command = [sys.executable, "-m", "mlgen", *RUN, "since=2026-10-01..2026-10-09", "--parallel", "2"]
    running = subprocess.Popen(command, env=dict(os.environ), stdout=subprocess.PIPE, text=True)
    until = time.monotonic() + 120
    while len(list(Path(".mlgen/runs").glob("*/use-0/log"))) < 2:
        assert time.monotonic() < until
        time.sleep(0.05)
    running.send_signal(signal.SIGINT)
    out, _ = running.communicate(timeout=120)
    assert running.returncode == 130
    assert (out.count("ABORT"), out.count("not run"), "0 of 9 complete" in out) == (2, 7, True)
    listed = json.loads(say("runs", "list", "--format", "json")[1])["runs"]
    assert {one["state"] for one in listed} == {"ABORT"}


def test_a_kill_of_the_command_ends_no_run_and_starts_none_twice(project: Path, say: Say) -> None:
    (project / "pipelines/daily.yaml").write_text(SPEC.replace("SLEEP", "sleep 3"))
    command = [sys.executable, "-m", "mlgen", *RUN, "since=2026-10-01..2026-10-01"]
    nowhere = subprocess.DEVNULL
    running = subprocess.Popen(command, env=dict(os.environ), stdout=nowhere, stderr=nowhere)
    until = time.monotonic() + 120
    while not list(Path(".mlgen/runs").glob("*/use-0/log")):
        assert time.monotonic() < until
        time.sleep(0.05)
    running.kill()
    running.wait()
    code, out, _ = say(*RUN, "since=2026-10-01..2026-10-01")
    assert (code, "still runs" in out) == (1, True)
    while list(Path(".mlgen/runs").glob("*/run.lock")):
        assert time.monotonic() < until
        time.sleep(0.05)
    code, out, _ = say(*RUN, "since=2026-10-01..2026-10-01")
    assert (code, "1 of 1 complete" in out) == (0, True)
    assert len(list(Path(".mlgen/runs").iterdir())) == 1


def test_two_commands_at_once_start_no_date_twice_and_tell_the_others_as_running(project: Path, say: Say) -> None:
    (project / "pipelines/daily.yaml").write_text(SPEC.replace("SLEEP", "sleep 1"))
    span = "since=2026-10-01..2026-10-04"
    command = [sys.executable, "-m", "mlgen", *RUN, span, "--format", "json"]
    both = [subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for _ in range(2)]
    told = [(process.communicate(timeout=300), process.returncode) for process in both]
    assert not any("run-exists" in err for (_, err), _ in told)
    assert {code for _, code in told} <= {0, 1}
    rows = [row for (out, _), _ in told for row in json.loads(out)["runs"]]
    assert sorted({row["run"] for row in rows}) == [f"daily-{day}" for day in dates("2026-10-01..2026-10-04")]
    assert all(row["state"] == "COMPLETE" for row in rows if not row["before"])
    assert sum(not row["before"] for row in rows) == 4, "each date was run by one of them"
    assert any("by another command" in err for (_, err), _ in told)
    assert say(*RUN, span)[0] == 0
    assert len(list(Path(".mlgen/runs").iterdir())) == 4


def test_a_date_that_was_taken_since_it_was_looked_at(project: Path, say: Say, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each date is run by another command just before this one starts it, the second one badly."""
    (project / "broken").write_text("10-02\n")
    began, start = list[str](), Pool._start

    def late(pool: Pool, turn: Turn) -> None:
        began.append(turn.run)
        if not turn.resumes:
            assert say("run", "pipelines/daily.yaml", "--name", turn.run, "-p", f"since={turn.value}")[0] < 2
        (project / "broken").write_text("none\n")
        start(pool, turn)

    monkeypatch.setattr(Pool, "_start", late)
    code, out, err = say(*RUN, "since=2026-10-02..2026-10-01", "--format", "json")
    assert began == ["daily-2026-10-02", "daily-2026-10-02-r2", "daily-2026-10-01"]
    rows = {one["run"]: (one["state"], one["before"]) for one in json.loads(out)["runs"]}
    assert rows == {"daily-2026-10-02-r2": ("COMPLETE", False), "daily-2026-10-01": ("COMPLETE", True)}
    assert (code, "run-exists" in err) == (0, False)
