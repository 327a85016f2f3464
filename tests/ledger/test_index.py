"""The tables of an index: they say what the records say, in whatever order and portions these came."""

from __future__ import annotations

import os
import random
import subprocess
import sys
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlgen.git import Object
from mlgen.ledger.index import build
from mlgen.ledger.index.history import History
from mlgen.ledger.questions import query
from mlgen.ledger.questions.listing import Wanted, select
from mlgen.ledger.records.entry import Entry
from mlgen.ledger.records.task import State
from mlgen.ledger.stream import Stored
from tests.ledger import records
from tests.ledger.indexed import indexed, stored

TABLES = {  # what each row says, without ids
    "run": "SELECT uid, name, pipeline, env, state, started, ended, record FROM run",
    "execution": """SELECT r.uid, told.text, made.text, task, attempt, run_id, e.started, started_at, ended_at, e.state,
        reconciled, counts, digest, oid, rest FROM execution e JOIN run r ON r.id = e.run
        JOIN shared told ON told.id = e.told JOIN shared made ON made.id = e.made""",
    "touch": """SELECT e.run_id, e.digest, side, at, uri, a.digest, t.name, size, media, type FROM touch t
        JOIN execution e ON e.id = t.execution JOIN artifact a ON a.id = t.artifact""",
    "fact": "SELECT uid, kind, f.name, task, type, value FROM fact f JOIN run r ON r.id = f.run",
    "name": "SELECT * FROM name",
    "skipped": "SELECT * FROM skipped",
}


def said(history: History) -> dict[str, list[Any]]:
    return {table: sorted(history.select(sql), key=repr) for table, sql in TABLES.items()}


def some() -> list[Entry]:
    """Runs with retries, reconciled records, a run.json that was written from outside, one that is not there yet."""
    found: list[Entry] = []
    for run in ("r1", "r2", "r3"):
        for attempt in (0, 1):
            train = records.task(run, attempt=attempt, metrics={"auc": attempt / 2}, params={"epochs": attempt})
            outside = replace(train, run_id=records.uid(f"{run}{attempt}"), reconciled=True, state=State.ABORT)
            found += [train, outside]
        found.append(records.task(run, "prepare", outputs=(records.artifact("features"),), values={"rows": 7}))
    found += [records.run("r1"), records.run("r2", ended_at="2026-11-29T00:00:00Z", params={"epochs": 9})]
    found.append(records.run("r2", reconciled=True, state=State.ABORT, ended_at="2026-11-28T09:00:00Z"))
    return found


ALL_AT_ONCE = said(indexed(*some()))


@given(st.randoms(use_true_random=False), st.integers(1, 20))
@settings(max_examples=25, deadline=None)
def test_an_index_says_the_same_however_it_was_filled(chance: random.Random, at_once: int) -> None:
    entries = some()
    chance.shuffle(entries)
    assert said(indexed(*entries, at_once=at_once)) == ALL_AT_ONCE


def test_every_record_is_given_back_as_it_is() -> None:
    kinds = [replace(r, run_id=records.uid(f"k{n}"), attempt=n) for n, r in enumerate(records.every_kind())]
    (run,) = indexed(*kinds).runs
    assert [e.record for e in run.executions] == kinds


@pytest.mark.parametrize("value", [1, 1.0, True, 0, -0.0, False, "1", "", None, [], {}, [1, {"a": None}], 2**70, "\0x"])
def test_a_param_keeps_its_type(value: Any) -> None:
    others: tuple[Any, ...] = (1, 1.0, True)
    task = records.task(params={"x": value})
    around = [records.task(run=f"o{n}", params={"x": other}) for n, other in enumerate(others)]
    found = next(run for run in indexed(*around, task).runs if run.name == "r1").executions[0].record.params
    assert repr(dict(found)) == repr({"x": value})


def test_a_count_that_no_column_holds_is_told_and_hides_no_other_record() -> None:
    huge = records.task(name="huge", outputs=(replace(records.artifact("a"), size_bytes=2**63),))
    history = indexed(huge, records.task(name="odd", attempt=10**30), records.task(metrics={"auc": 10**400}))
    assert [run.outcomes[0].record.task for run in history.runs] == ["train"]
    assert {skipped.path: "beyond" in skipped.reason for skipped in history.skipped} == {
        huge.path: True,
        records.task(name="odd", attempt=10**30).path: True,
    }


@pytest.mark.parametrize(
    ("value", "where"),
    [
        (10**30, "metrics.m > 0"),
        (10**30, "metrics.m == 1e30"),
        (-(2**63), "metrics.m < -9e18"),
        (2**63, "metrics.m != 1"),
    ],
)
def test_a_number_that_no_column_holds_is_compared(value: int, where: str) -> None:
    found = indexed(records.task(metrics={"m": value}), records.run())
    assert [run.name for run in select(found, Wanted(where=(where,))).runs] == ["r1"]


@pytest.mark.parametrize("module", ["build", "events", "fill", "history", "kept", "rows"])
def test_a_module_of_it_may_be_the_first(module: str) -> None:
    environ = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    subprocess.run([sys.executable, "-c", f"import mlgen.ledger.index.{module}"], check=True, env=environ, timeout=60)


def test_one_uid_in_two_environments_is_one_run() -> None:
    twice: list[Entry] = [records.task(env="a"), records.task(env="b", name="other"), records.run(env="b")]
    (run,) = indexed(*twice).runs
    assert (run.env, {e.record.env for e in run.executions}) == ("b", {"a", "b"})


def test_many_beginnings_are_not_all_told() -> None:
    history = indexed(*(records.run(f"r{n:03}") for n in range(120)))
    assert len(query.find_runs(history, "r")) == query.MOST_FOUND
    with pytest.raises(Exception, match="100 runs and more"):
        query.find_run(history, "r")
    assert query.find_run(history, "r007").name == "r007"
    assert query.find_runs(history, "%") == query.find_runs(history, "_") == []


def test_what_is_large_is_taken_in_smaller_portions() -> None:
    """A commit may have thousands of files of 16 MB: never are more than two of them held."""
    large = Stored("runs/x.json", Object("0" * 40, "blob", 1, b"x" * (build.MOST_BYTES // 2)))
    small = stored(records.task())
    found = [len(portion) for portion in build.portions([*[large] * 5, *[small] * (build.MOST_FILES + 1)])]
    assert found == [2, 2, build.MOST_FILES, 2]
    assert sum(found) == 5 + build.MOST_FILES + 1
