"""Which records are exported: what is asked for, and of what is told twice one."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from mlgen.diagnostic import Misuse
from mlgen.ledger.export.select import Selected, Selection, select
from mlgen.ledger.records.run import RunRecord
from tests.ledger import records
from tests.ledger.exported import LATER, NOW, Ledger, entries, land, selected, uid


def test_of_what_is_told_twice_one_counts(every: list[Selected]) -> None:
    assert not any(one.entry.reconciled for one in every)
    assert [one.path for one in every] == sorted(one.path for one in every)
    assert len(every) == len(entries()) - 2


def test_also_where_midnight_lies_between(tmp_path: Path) -> None:
    others = [records.task(f"o{day}", ended_at=f"2026-11-{day}T10:00:00Z") for day in range(20, 31)]
    own, other = records.run(), records.run(reconciled=True, ended_at="2026-11-30T23:00:00Z")
    ledger = land(tmp_path, [own, other, *others])
    assert [one.entry for one in selected(ledger) if isinstance(one.entry, RunRecord)] == [own]


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        ({"runs": ("r2",)}, ["ship-0"]),
        ({"runs": ("r2", "r1")}, ["run", "train-0", "train-1", "ship-0"]),
        ({"runs": (uid("r2"),)}, ["ship-0"]),
        ({"runs": (f"r2.{uid('r2')[:8]}",)}, ["ship-0"]),
        ({"runs": (uid("r2")[:6],)}, ["ship-0"]),
        ({"after": datetime.fromisoformat(LATER)}, ["ship-0"]),
        ({"after": datetime.fromisoformat(LATER) + timedelta(seconds=1)}, []),
        ({"after": datetime.fromisoformat("2026-11-28T12:00:05.5+02:00")}, ["run", "ship-0"]),
        ({"artifact": "cdcdcdcd"}, ["train-1"]),
        ({"artifact": "00" * 4}, []),
    ],
)
def test_what_is_wanted_is_selected(wanted: dict[str, Any], found: list[str], exported: Ledger) -> None:
    chosen = (one.entry for one in selected(exported, Selection(**wanted)))
    assert ["run" if isinstance(e, RunRecord) else f"{e.task}-{e.attempt}" for e in chosen] == found


@pytest.mark.parametrize(
    ("run", "code"), [("r3", "unknown-run"), ("r", "ambiguous-run"), ("", "unknown-run"), (uid("r3"), "unknown-run")]
)
def test_a_run_that_is_not_one(run: str, code: str, exported: Ledger) -> None:
    with pytest.raises(Misuse) as refused:
        selected(exported, Selection(runs=(run,)))
    assert refused.value.code == code


def test_since_a_commit_is_what_landed_after_it(tmp_path: Path) -> None:
    repository, first = land(tmp_path, entries()[:3])
    _, second = land(tmp_path, entries()[3:])
    found = list(select(repository, second, Selection(since=first), lambda *_: None))
    assert [one.path.rpartition("/")[2][:4] for one in found] == ["run.", "ship"]


def test_a_file_that_is_no_record_is_told_of(tmp_path: Path) -> None:
    repository, tip = land(tmp_path, entries())
    path = records.task("r3").path
    commit = repository.commit({path: b"{}\n"}, parent=tip, message="x\n", seconds=int(NOW.timestamp()))
    skipped: list[str] = []
    assert len(list(select(repository, commit, Selection(), lambda path, _: skipped.append(path)))) == 4
    assert skipped == [path]
