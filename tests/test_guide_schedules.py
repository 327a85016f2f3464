"""What the guide of schedules says is so: its spec, its commands, its names."""

from __future__ import annotations

import json
import re
import shlex
from datetime import UTC, datetime
from pathlib import Path

import pytest

from mlgen.cli.main import run
from mlgen.schedules.model import Concurrency, Schedule, Scheduled

GUIDE = (Path(__file__).parents[1] / "generator/guides/schedules.md").read_text()


@pytest.fixture(name="project")
def _project(bare: Path) -> Path:
    [spec] = blocks("yaml")
    (bare / "pipelines/daily.yaml").write_text(spec)
    return bare


def blocks(kind: str) -> list[str]:
    return re.findall(rf"^```{kind}\n(.*?)^```$", GUIDE, re.DOTALL | re.MULTILINE)


def test_its_commands_do_what_it_says(
    project: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = [line for block in blocks("sh") for line in block.splitlines()]
    said = {}
    for line in lines:
        arguments = shlex.split(line, comments=True)[1:]
        if "--since" in arguments:  # a day that is long ago one day
            arguments += ["--dry-run"] if "--dry-run" not in arguments else []
        code = run(arguments)
        out, err = capsys.readouterr()
        if "--since" in arguments and code == 2:
            assert "more than 366 days ago" in err
            continue
        assert code == 0, (line, err)
        said[line.partition("#")[0].strip()] = out
    assert said["mlgen plan pipelines/daily.yaml"].count(" 03:00 CE") == 3
    capsys.readouterr()
    assert run(["runs", "list", "--format", "json"]) == 0
    names = {one["run"] for one in json.loads(capsys.readouterr().out)["runs"]}
    assert {"daily-2026-10-01", "daily-2026-10-02"} <= names
    assert all(re.fullmatch(r"daily-\d{4}-\d\d-\d\d", name) for name in names)


@pytest.mark.parametrize(
    ("params", "scheduled", "name"),
    [
        ((), (), "daily-20261031-0200"),
        ((), (("since", Scheduled.DATE),), "daily-2026-10-31"),
        ((), (("since", Scheduled.TIME),), "daily-82ef3d-20261031-0200"),
        ((("rows", "5"),), (("since", Scheduled.DATE),), "daily-955764-2026-10-31"),
    ],
)
def test_runs_have_the_names_it_says(
    params: tuple[tuple[str, str], ...], scheduled: tuple[tuple[str, Scheduled], ...], name: str
) -> None:
    assert f"`{name}`" in GUIDE
    schedule = Schedule("0 3 * * *", "Europe/Berlin", Concurrency.FORBID, 3600, params, scheduled)
    assert schedule.run_name("daily", datetime(2026, 10, 31, 2, tzinfo=UTC)) == name
