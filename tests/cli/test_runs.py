"""`mlgen runs` and `mlgen ledger index`, asked of a ledger with some history."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mlgen import git
from mlgen.cli.main import run as mlgen
from mlgen.ledger.records.entry import Entry, to_bytes
from mlgen.ledger.records.task import State
from tests.ledger import records

Capture = pytest.CaptureFixture[str]
REF = "refs/heads/ledger"


def some() -> list[Entry]:
    found: list[Entry] = []
    for at, auc in enumerate((0.7, 0.93, 0.91)):
        name, day = f"churn-{at}", f"2026-11-2{at}"
        times: dict[str, Any] = {"started_at": f"{day}T10:00:00Z", "ended_at": f"{day}T10:00:05Z"}
        model = records.artifact("model", f"s3://ml/{name}/model", f"sha256:{at:064x}", "model")
        metrics = {"auc": auc, "loss": 1 - auc}
        params = {"epochs": 10 * (at + 1), "who": "a|`b`\n@c"}
        found.append(records.task(name, metrics=metrics, params=params, outputs=(model,), **times))
        found.append(records.run(name, params=params, state=State.FAIL if at == 2 else State.COMPLETE, **times))
    return found


def land(entries: list[Entry]) -> str:
    repository = git.discover(Path())
    assert repository is not None
    old = repository.tip(REF)
    new = repository.commit({e.path: to_bytes(e) for e in entries}, parent=old, message="x", seconds=0)
    repository.move_ref(REF, new, old=old)
    return new


@pytest.fixture
def ledger(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The tip of a project's ledger, whose index is kept in a cache of its own."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    subprocess.run(["git", "init", "-q", "."], check=True)
    Path("mlgen.yaml").write_text("version: 1\n")
    return land(some())


def answer(capsys: Capture, *arguments: str) -> str:
    assert mlgen(arguments) == 0
    return capsys.readouterr().out


def names(capsys: Capture, *options: str) -> list[str]:
    found = json.loads(answer(capsys, "runs", "list", "--format", "json", *options))
    return [run["run"] for run in found["runs"]]


@pytest.mark.parametrize(
    ("options", "found"),
    [
        ("--where|metrics.auc > 0.9", ["churn-2", "churn-1"]),
        ("--where|metrics.auc > 0.9|--where|params.epochs < 30", ["churn-1"]),
        ("--state|complete", ["churn-1", "churn-0"]),
        ("--since|2026-11-21", ["churn-2", "churn-1"]),
        ("--since|2026-11-21|--until|2026-11-22T10:00:05Z", ["churn-1"]),
        ("--since|2026-11-22T12:00+02:00", ["churn-2"]),
        ("--since|5000w", ["churn-2", "churn-1", "churn-0"]),
        ("--highest|auc|--limit|2", ["churn-1", "churn-2"]),
        ("--lowest|metrics.train.auc|--limit|1", ["churn-0"]),
        ("--label|team=risk", []),
    ],
)
@pytest.mark.usefixtures("ledger")
def test_runs_by_what_they_were(capsys: Capture, options: str, found: list[str]) -> None:
    assert names(capsys, *options.split("|")) == found


def test_what_was_asked_has_a_column(ledger: str, capsys: Capture) -> None:
    text = answer(capsys, "runs", "list", "--highest", "auc", "--where", "params.epochs >= 20", "--limit", "1")
    head, run, more, rests = text.splitlines()
    assert head.split() == ["RUN", "PIPELINE", "STATE", "ENDED", "TOOK", "metrics.auc", "params.epochs", "METRICS"]
    assert re.search(r"0\.93 +20 +train\.loss=0\.07$", run)
    assert (more, rests) == ("and 1 after these: --limit", f"ledger  {ledger}")


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--where", "metrix.auc > 1"], ["bad-condition", "^^^^^^^^^^", "metrics.auc"]),
        (["--highest", "params.who"], ["only numbers"]),
        (["--highest", "a", "--lowest", "b"], ["exclude each other"]),
        (["--since", "999999w"], ["is no time"]),  # before the calendar begins
        (["--since", "yesterday"], ['"yesterday" is no time']),
        (["--limit", "9" * 20], ["--limit"]),
        (["--label", "team"], ["--label NAME=VALUE"]),
        (["--state", "done"], ["--state"]),
    ],
)
@pytest.mark.usefixtures("ledger")
def test_what_is_asked_wrongly(capsys: Capture, options: list[str], says: list[str]) -> None:
    assert mlgen(["runs", "list", *options]) == 2
    told = capsys.readouterr()
    assert told.out == ""
    assert all(one in told.err for one in says)


def test_a_list_for_a_pull_request(ledger: str, capsys: Capture) -> None:
    text = answer(capsys, "runs", "list", "--highest", "auc", "--limit", "1", "--format", "markdown")
    head, rule, row, *rest = text.splitlines()
    assert head == "| `RUN` | `PIPELINE` | `STATE` | `ENDED` | `TOOK` | `metrics.auc` | `METRICS` |"
    assert rule.count("---") == 7
    assert row.startswith("| `churn-1` | `churn` | `COMPLETE` | ")
    assert row.endswith(" | `0.93` | `train.loss=0.07` |")
    assert rest == ["", "And 2 more.", "", f"Ledger {ledger}"]
    none = answer(capsys, "runs", "list", "--where", "metrics.auc > 2", "--format", "markdown")
    assert none == f"no such runs\n\nLedger {ledger}\n"


@pytest.mark.parametrize("options", [["--where", "metrics.auk > 1"], ["--highest", "auk"]])
@pytest.mark.usefixtures("ledger")
def test_what_no_run_has_yet(capsys: Capture, options: list[str]) -> None:
    assert mlgen(["runs", "list", *options]) == 0
    told = capsys.readouterr()
    assert told.out.startswith("no such runs\nledger  ")
    assert "no run has metrics.auk; did you mean metrics.auc" in told.err


def test_three_runs_side_by_side(ledger: str, capsys: Capture) -> None:
    runs = ["churn-0", "churn-1", "churn-2"]
    found = json.loads(answer(capsys, "runs", "compare", *runs, "--format", "json"))
    assert found["metrics"]["train.auc"] == {"a": 0.7, "b": 0.93, "c": 0.91}
    assert (found["c"]["run"], found["ledger"]) == ("churn-2", ledger)
    text = answer(capsys, "runs", "compare", *runs)
    assert re.search(r"^\*    train\.auc +0\.7 +0\.93 +0\.91$", text, re.MULTILINE)
    for wrong in (runs[:1], runs * 3):
        assert mlgen(["runs", "compare", *wrong]) == 2
        assert "2 to 8 runs" in capsys.readouterr().err


def test_only_what_differs(ledger: str, capsys: Capture) -> None:
    whole = json.loads(answer(capsys, "runs", "compare", "churn-0", "churn-1", "--format", "json"))
    found = json.loads(answer(capsys, "runs", "compare", "churn-0", "churn-1", "--changed", "--format", "json"))
    assert found["metrics"] == whole["metrics"]
    assert (found["a"], found["ledger"]) == (whole["a"], ledger)
    assert list(found["params"]) == ["epochs"]
    tables = [name for name in whole if name not in ("a", "b", "ledger")]
    assert found["same"] == sum(len(whole[name]) - len(found[name]) for name in tables) > 0
    text = answer(capsys, "runs", "compare", "churn-0", "churn-1", "--changed")
    assert "epochs" in text
    assert "who" not in text
    assert "state  " not in text
    assert f"\n{found['same']} the same, left out\n" in text
    marked = answer(capsys, "runs", "compare", "churn-0", "churn-1", "--changed", "--format", "markdown")
    assert f"\n\n{found['same']} the same, left out.\n" in marked
    assert "<details>" not in marked


def test_a_comparison_for_a_pull_request(ledger: str, capsys: Capture) -> None:
    text = answer(capsys, "runs", "compare", "churn-0", "churn-1", "--format", "markdown")
    table, same = text.split("<details>")
    assert "| `metrics: train.auc` | `0.7` | `0.93` |\n" in table
    assert "who" not in table
    # What somebody wrote stays inside its cell, and is no mention: it is code.
    (row,) = (line for line in same.splitlines() if "who" in line)
    assert row.count(" | ") == 2
    assert row.split(" | ")[1] == "`` a¦`b`\\n@c ``"
    assert text.endswith(f"\nLedger {ledger}\n")
    alike = answer(capsys, "runs", "compare", "churn-0", "churn-0", "--format", "markdown")
    assert alike.startswith("No differences.\n")


def test_the_index_says_where_it_is(ledger: str, capsys: Capture, tmp_path: Path) -> None:
    def index(*options: str) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(answer(capsys, "ledger", "index", "--format", "json", *options))
        return found

    first = index()
    assert Path(first["index"]).is_relative_to(tmp_path / "cache" / "mlgen")
    assert Path(first["index"]).stat().st_size == first["sizeBytes"]
    assert (first["records"], first["runs"], first["read"], first["built"]) == (6, 3, 6, True)
    assert first["ledger"] == ledger
    assert (index()["read"], index()["built"]) == (0, False)
    assert (index("--rebuild")["read"], index()["built"]) == (6, False)
    text = answer(capsys, "ledger", "index")
    assert f"index    {first['index']}\nrecords  6 of 3 runs\nup to date: 0 files read in" in text
    assert not any(path.name.startswith(".mlgen") for path in tmp_path.iterdir())


def test_before_any_run_there_is_no_index(ledger: str, capsys: Capture) -> None:
    subprocess.run(["git", "branch", "-D", "ledger"], check=True, capture_output=True)
    assert answer(capsys, "ledger", "index").startswith("index    none is kept\nrecords  0 of 0 runs\n")


@pytest.mark.parametrize("spoil", [lambda data: data[:8192] + b"\0" * (len(data) - 8192), lambda data: data[:100]])
def test_a_damaged_index_is_nobodys_concern(ledger: str, capsys: Capture, spoil: Callable[[bytes], bytes]) -> None:
    asked = (["runs", "list"], ["runs", "show", "churn-1"], ["lineage", "churn/train/model"])
    place = Path(json.loads(answer(capsys, "ledger", "index", "--format", "json"))["index"])
    for arguments in asked:
        before = answer(capsys, *arguments)
        place.write_bytes(spoil(place.read_bytes()))
        assert mlgen(arguments) == 0
        told = capsys.readouterr()
        assert (told.out, told.err) == (before, "")
    place.write_bytes(spoil(place.read_bytes()))
    assert json.loads(answer(capsys, "ledger", "index", "--format", "json"))["records"] == 6


def test_a_ledger_that_lost_records_is_not_taken(ledger: str, capsys: Capture) -> None:
    assert names(capsys) == ["churn-2", "churn-1", "churn-0"]
    repository = git.discover(Path())
    assert repository is not None
    one = some()[0]
    other = repository.commit({one.path: to_bytes(one)}, parent=None, message="x", seconds=0)
    repository.move_ref(REF, other, old=ledger)
    for arguments in (["runs", "list"], ["lineage", "churn-0"], ["ledger", "index"]):
        assert mlgen(arguments) == 3
        told = capsys.readouterr().err
        assert "error[ledger-rewritten]" in told
        assert ledger in told
        assert other in told
        assert "mlgen ledger index --rebuild" in told
    assert mlgen(["ledger", "index", "--rebuild"]) == 0
    capsys.readouterr()
    assert names(capsys) == ["churn-0"]


def test_records_that_were_taken_away_later_are_missed(ledger: str, capsys: Capture) -> None:
    names(capsys)
    subprocess.run(["git", "worktree", "add", "-q", "w", "ledger"], check=True)
    subprocess.run(["git", "-C", "w", "rm", "-q", some()[0].path], check=True)
    who = ["-c", "user.name=a", "-c", "user.email=a@example.com"]
    subprocess.run(["git", "-C", "w", *who, "commit", "-qm", "x"], check=True)
    subprocess.run(["git", "worktree", "remove", "w"], check=True)
    assert mlgen(["runs", "list"]) == 3
    assert "lost records" in capsys.readouterr().err


def test_a_lineage_is_cut_where_it_is_said(ledger: str, capsys: Capture) -> None:
    assert mlgen(["lineage", "churn-1", "--limit", "2", "--format", "json"]) == 0
    told = capsys.readouterr()
    assert json.loads(told.out)["cut"] is False  # a run is told whole
    parts = [records.artifact(f"p{n}", f"s3://ml/p{n}", f"sha256:{n:064x}") for n in range(9)]
    land([records.task(f"next-{n}", inputs=(parts[n],), outputs=(parts[n + 1],)) for n in range(8)])
    assert mlgen(["lineage", "s3://ml/p8", "--up", "--limit", "7", "--format", "json"]) == 0
    told = capsys.readouterr()
    found = json.loads(told.out)
    assert found["cut"] is True
    assert 5 <= len(found["nodes"]) <= 7
    assert "cut at 7 nodes" in told.err
