from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlgen import git
from mlgen.diagnostic import Misuse
from mlgen.ledger.folding.fold import fold
from mlgen.ledger.folding.spool import Spool
from mlgen.ledger.index.history import History, read
from mlgen.ledger.questions import query
from mlgen.ledger.questions.listing import Wanted, select, to_json
from mlgen.ledger.questions.read import Execution, outcomes
from mlgen.ledger.records.entry import Entry, to_bytes
from mlgen.ledger.records.run import TaskStatus
from mlgen.ledger.records.task import State
from mlgen.store import Folder
from tests.ledger import records

Keep = Callable[[Iterable[Entry]], History]


@pytest.fixture
def keep(tmp_path: Path) -> Keep:
    """Records folded into a real ledger, and read back."""
    repository = git.init_bare(tmp_path / "l.git", {"PATH": os.environ["PATH"], "GIT_CONFIG_GLOBAL": "/dev/null"})
    spool = Spool(Folder(tmp_path / "a", "a"))

    def keep(entries: Iterable[Entry]) -> History:
        for entry in entries:
            spool.put(entry)
        folded = fold(spool, repository, "ledger", now=datetime(2026, 11, 28, tzinfo=UTC))
        assert not folded.refused
        return read(repository, "ledger")

    return keep


def test_no_ledger_yet(keep: Keep) -> None:
    history = keep([])
    assert (history.commit, list(history.runs)) == (None, [])
    with pytest.raises(Misuse, match="no run") as error:
        query.find_run(history, "r1")
    assert "no runs yet" in error.value.fix


def test_what_was_written_is_read(keep: Keep) -> None:
    tasks = [records.task(name="prepare"), records.full()]
    history = keep([*tasks, records.run()])
    (run,) = history.runs
    assert (run.name, run.uid, run.state, run.record) == ("r1", records.uid("r1"), State.COMPLETE, records.run())
    assert [e.record for e in run.executions] == tasks
    assert [e.path for e in run.executions] == [task.path for task in tasks]
    assert history.events(run.executions)[1]["eventType"] == "COMPLETE"


def test_the_latest_to_end_comes_first(keep: Keep) -> None:
    ends = {"r1": "10:00:05Z", "r2": "10:00:05.9Z", "r3": "10:00:04.99Z"}
    history = keep(records.run(name, ended_at=f"2026-11-28T{end}") for name, end in ends.items())
    assert [run.name for run in history.runs] == ["r2", "r1", "r3"]


def test_a_run_over_midnight_is_one(keep: Keep) -> None:
    before = records.task(name="prepare", ended_at="2026-11-28T23:59:59Z")
    after = records.task(name="train", started_at="2026-11-29T00:00:00Z", ended_at="2026-11-29T00:00:01Z")
    (run,) = keep([before, after, records.run(ended_at="2026-11-29T00:00:02Z")]).runs
    assert [e.record.task for e in run.outcomes] == ["prepare", "train"]


def test_a_run_that_has_not_told_its_end(keep: Keep) -> None:
    history = keep([records.task(params={"epochs": 3})])
    (run,) = history.runs
    assert query.summary(run) == {
        **{key: None for key in query.summary(run)},
        "run": "r1",
        "uid": records.uid("r1"),
        "pipeline": "churn",
        "env": "local",
        "params": {"epochs": 3},
        "startedAt": records.task().started_at,
        "specDigest": records.DIGEST,
        "tasks": {},
    }


def test_the_run_s_own_word_counts(keep: Keep) -> None:
    outside = records.run(state=State.ABORT, reconciled=True, ended_at="2026-11-28T09:00:00Z")
    history = keep([outside])
    assert history.runs[0].record == outside
    history = keep([records.run()])
    assert history.runs[0].record == records.run()


def test_a_reconciled_record_is_dropped_once_the_pod_s_own_is_there(keep: Keep) -> None:
    outside = records.task(run_id=records.uid("outside"), state=State.ABORT, exit_code=None, reconciled=True)
    (run,) = keep([outside]).runs
    assert [e.record for e in run.outcomes] == [outside]
    (run,) = keep([records.task(state=State.FAIL)]).runs
    assert [e.record for e in run.executions] == [e.record for e in run.outcomes] == [records.task(state=State.FAIL)]


def execution(order: int, **changes: Any) -> Execution:
    record = records.task(**changes)
    return Execution(record, record.path, f"sha256:{order:064}", "")


RISING: list[dict[str, Any]] = [  # each counts more than the one before
    {"attempt": 0, "reconciled": True, "state": State.ABORT, "started_at": "2026-11-28T10:00:00Z"},
    {"attempt": 0, "reconciled": True, "state": State.FAIL, "started_at": "2026-11-28T10:00:00Z"},
    {"attempt": 0, "reconciled": False, "state": State.ABORT, "started_at": "2026-11-28T10:00:00Z"},
    {"attempt": 0, "reconciled": False, "state": State.COMPLETE, "started_at": "2026-11-28T10:00:00Z"},
    {"attempt": 0, "reconciled": False, "state": State.FAIL, "started_at": "2026-11-28T10:00:00.5Z"},
    {"attempt": 1, "reconciled": True, "state": State.ABORT, "started_at": "2026-11-28T09:00:00Z"},
    {"attempt": 1, "reconciled": False, "state": State.ABORT, "started_at": "2026-11-28T09:00:00Z"},
]


def test_which_execution_counts() -> None:
    rising = [execution(n, **changes) for n, changes in enumerate(RISING)]
    twin = execution(99, **RISING[-1])
    for a, b in itertools.combinations([*rising, twin], 2):
        assert outcomes([a, b]) == outcomes([b, a]) == [b]


def test_what_ran_counts_more_than_what_a_pod_that_only_looks_had_found() -> None:
    ran = execution(1, tekton={"taskRunUid": "own"}, state=State.FAIL)
    looked = execution(2, attempt=1, tekton={"taskRunUid": "look"}, original_run_id=records.uid("first"))
    own = execution(3, attempt=1, tekton={"taskRunUid": "own"}, original_run_id=records.uid("first"))
    assert outcomes([ran, looked]) == outcomes([looked, ran]) == [ran]
    assert outcomes([looked]) == [looked]
    assert outcomes([ran, own, looked]) == [own], "an attempt that fails may be followed by one that finds it"


@given(st.permutations(range(len(RISING))))
@settings(max_examples=30, deadline=None)
def test_the_order_of_reading_decides_nothing(order: list[int]) -> None:
    assert outcomes(execution(n, **RISING[n]) for n in order) == [execution(len(RISING) - 1, **RISING[-1])]


def test_finding_a_run(keep: Keep) -> None:
    history = keep(records.run(name) for name in ("churn-a1", "churn-a2", "fraud", "churn"))
    for wanted in ("fraud", "fra", records.uid("fraud"), records.uid("fraud")[:6], f"fraud.{records.uid('fraud')[:8]}"):
        assert query.find_run(history, wanted).name == "fraud"
    assert query.find_run(history, "churn").name == "churn"  # a name before beginnings of others
    with pytest.raises(Misuse, match="2 runs") as error:
        query.find_run(history, "churn-")
    assert records.uid("churn-a1") in error.value.fix
    with pytest.raises(Misuse) as error:
        query.find_run(history, "frod")
    assert (error.value.code, error.value.exit_code) == ("unknown-run", 2)
    assert "did you mean fraud" in error.value.fix
    with pytest.raises(Misuse):
        query.find_run(history, "")


def test_two_runs_of_one_name_are_told_apart(keep: Keep) -> None:
    history = keep([records.run("nightly"), records.run("nightly", uid=records.uid("another"))])
    with pytest.raises(Misuse, match="2 runs"):
        query.find_run(history, "nightly")
    assert query.find_run(history, records.uid("another")).uid == records.uid("another")


def test_listing_and_showing(keep: Keep) -> None:
    history = keep([records.run("r1"), records.run("r2", pipeline="fraud"), records.task(run="r1"), records.run("r3")])
    listed = to_json(select(history, Wanted(pipeline="churn", limit=1)))
    assert [run["run"] for run in listed["runs"]] == [history.runs[0].name]
    assert (listed["more"], listed["ledger"]) == (1, history.commit)
    shown = query.show_run(history, query.find_run(history, "r1"))
    keys = "run uid pipeline env state startedAt endedAt params tasks specDigest commit labels owner records ledger"
    assert sorted(shown) == sorted(keys.split())
    assert [event["run"]["runId"] for event in shown["records"]] == [records.task(run="r1").run_id]
    assert shown["tasks"]["register"] == {"status": "None", "reason": "Results were missing"}


def test_comparing(keep: Keep) -> None:
    model = records.artifact("model")
    a: list[Entry] = [
        records.run("a", params={"epochs": 1, "lr": 0.1}),
        records.task("a", metrics={"auc": 0.8}, values={"rows": 5}, outputs=(model,)),
    ]
    b: list[Entry] = [
        records.run("b", params={"epochs": 2}, tasks={"train": TaskStatus("Failed", "Failed")}),
        records.task("b", metrics={"auc": 0.9}, state=State.FAIL),
        records.task("b", name="extra"),
    ]
    history = keep([*a, *b])
    found = query.compare_runs(history, [query.find_run(history, run) for run in "ab"])
    assert found["params"] == {"epochs": {"a": 1, "b": 2}, "lr": {"a": 0.1, "b": None}}
    assert found["metrics"] == {"train.auc": {"a": 0.8, "b": 0.9}}
    assert found["values"] == {"train.rows": {"a": 5, "b": None}}
    assert found["artifacts"] == {"train.model": {"a": model.digest, "b": None}}
    assert found["states"] == {
        "extra": {"a": None, "b": "COMPLETE"},
        "register": {"a": "Results were missing", "b": None},
        "train": {"a": "COMPLETE", "b": "FAIL"},
    }
    assert (found["a"]["run"], found["b"]["run"], found["ledger"]) == ("a", "b", history.commit)


def by_hand(history: History, files: dict[str, bytes]) -> None:
    repository = history.repository
    assert repository is not None
    commit = repository.commit(files, parent=history.commit, message="by hand", seconds=0)
    repository.move_ref("refs/heads/ledger", commit, old=history.commit)


def test_other_files_are_none_of_our_business(keep: Keep) -> None:
    history = keep([records.run()])
    folder = records.run().path.rpartition("/")[0]
    by_hand(history, {f"{folder}/note.txt": b"?", f"{folder}/sweep.json": b"{}", "models/churn.json": b"{}"})
    assert [run.name for run in read(history.repository, "ledger").runs] == ["r1"]


def test_what_is_no_record_is_skipped_and_told(keep: Keep) -> None:
    history = keep([records.run()])
    good, other = records.task(), records.task(name="other")
    newer = to_bytes(good).replace(b"/1/MlgenTaskRunFacet", b"/2/MlgenTaskRunFacet")
    large = b"{" + b" " * (17 << 20)
    bad = {
        good.path: (newer, "upgrade mlgen"),
        other.path: (to_bytes(records.task(name="elsewhere")), "its path would be"),
        records.task(name="big").path: (large, f"{len(large):,} bytes"),
        records.run("r2").path: (b"{}", ""),
    }
    by_hand(history, {path: data for path, (data, _) in bad.items()})
    again = read(history.repository, "ledger")
    assert list(again.runs) == list(history.runs)
    assert {skipped.path for skipped in again.skipped} == bad.keys()
    assert all(bad[skipped.path][1] in skipped.reason for skipped in again.skipped)
