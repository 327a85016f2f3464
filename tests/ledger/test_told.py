"""What is told already, on a branch or in the spool: reconciled records fill gaps, and make no second copy."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from mlgen import git
from mlgen.diagnostic import CannotAnswer
from mlgen.ledger.folding.fold import fold
from mlgen.ledger.folding.spool import Spool
from mlgen.ledger.records.task import TaskRecord, pod_run_id, reconciled_run_id
from mlgen.ledger.told import missing
from mlgen.store import Folder
from tests.ledger import records

TASK_RUN, OTHER, POD = (str(UUID(int=n)) for n in (1, 2, 3))
NOW = datetime(2026, 11, 28, 12, tzinfo=UTC)


def by_pod(task_run: str = TASK_RUN, pod: str = POD, attempt: int = 0, **changes: Any) -> TaskRecord:
    about = {"taskRunUid": task_run, "podUid": pod}
    return replace(
        records.task(attempt=attempt), run_id=pod_run_id(task_run, pod), tekton=about, engine="tekton", **changes
    )


def from_outside(task_run: str = TASK_RUN, pod: str | None = None, attempt: int = 0) -> TaskRecord:
    about = {"taskRunUid": task_run, "podUid": pod}
    record = replace(records.task(attempt=attempt), run_id=reconciled_run_id(task_run, attempt), tekton=about)
    return replace(record, ended_at="2026-11-28T10:00:05Z", engine="tekton", reconciled=True)


class Ledger:
    """A spool and a branch in one folder. said: records that land, or wait."""

    def __init__(self, folder: Path) -> None:
        self.spool = Spool(Folder(folder / "a", "a"))
        self.repository = git.init_bare(folder / "l.git")

    def says(self, *said: TaskRecord, waits: bool) -> None:
        for one in said:
            self.spool.put(one)
        if not waits:
            fold(self.spool, self.repository, "ledger", now=NOW)

    def missing(self, *asked: TaskRecord) -> list[TaskRecord]:
        return [e for e in missing(asked, self.spool, self.repository, "ledger") if isinstance(e, TaskRecord)]


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    return Ledger(tmp_path)


def test_where_nothing_is_told_all_is_missing(ledger: Ledger) -> None:
    run = records.run()
    assert missing([from_outside(), run], ledger.spool, ledger.repository, "ledger") == [from_outside(), run]
    assert ledger.missing() == []


@pytest.mark.parametrize("waits", [True, False], ids=["waits", "landed"])
@pytest.mark.parametrize("pod", [POD, None], ids=["pod there", "pod gone"])
def test_what_a_pod_told_is_not_missing(ledger: Ledger, waits: bool, pod: str | None) -> None:
    ledger.says(by_pod(), waits=waits)
    assert ledger.missing(from_outside(pod=pod)) == []
    other = pod and str(UUID(int=4))
    assert ledger.missing(from_outside(attempt=1, pod=other)) == [from_outside(attempt=1, pod=other)]


@pytest.mark.parametrize("waits", [True, False], ids=["waits", "landed"])
def test_what_was_reconciled_is_not_missing(ledger: Ledger, waits: bool) -> None:
    ledger.says(from_outside(), waits=waits)
    assert ledger.missing(from_outside()) == []


@pytest.mark.parametrize("waits", [True, False], ids=["waits", "landed"])
def test_a_task_run_that_was_made_again_is_another(ledger: Ledger, waits: bool) -> None:
    ledger.says(by_pod(), waits=waits)
    assert ledger.missing(from_outside(OTHER)) == [from_outside(OTHER)]


@pytest.mark.parametrize("waits", [True, False], ids=["waits", "landed"])
def test_of_two_pods_of_an_attempt_either_tells_of_it(ledger: Ledger, waits: bool) -> None:
    ledger.says(by_pod(pod=str(UUID(int=4))), waits=waits)
    assert ledger.missing(from_outside(pod=POD)) == []


@pytest.mark.parametrize("ended", ["2026-11-27T23:59:59.9Z", "2026-11-29T00:00:00.001Z"])
def test_the_day_is_that_of_the_pods_own_clock(ledger: Ledger, ended: str) -> None:
    started = "2026-11-27T23:59:00Z"
    asked = replace(from_outside(), started_at="2026-11-28T00:00:01Z", ended_at="2026-11-28T23:59:58Z")
    ledger.says(by_pod(started_at=started, ended_at=ended), waits=False)
    assert ledger.missing(asked) == []


def test_a_backlog_is_not_read_for_what_its_keys_tell(ledger: Ledger) -> None:
    """Nor for what the branch tells; and not at all where it is long: its records may be of anything."""
    ledger.says(by_pod(OTHER), waits=False)
    ledger.says(*(by_pod(str(UUID(int=n))) for n in (10, 11, 12)), waits=True)
    known = [from_outside(str(UUID(int=n)), pod=POD) for n in (10, 11, 12)]
    told = [*known, from_outside(OTHER)]
    assert missing(told, ledger.spool, ledger.repository, "ledger", most_read=0) == []
    with pytest.raises(CannotAnswer, match="3 records wait in the spool") as fault:
        missing([from_outside(TASK_RUN)], ledger.spool, ledger.repository, "ledger", most_read=2)
    assert fault.value.code == "ledger-waits"
    fold(ledger.spool, ledger.repository, "ledger", now=NOW)
    assert ledger.missing(*known, from_outside(TASK_RUN)) == [from_outside(TASK_RUN)]


def test_names_that_begin_alike_are_told_apart(ledger: Ledger) -> None:
    """`fit` of attempt 1 lies beside `fit-1` of attempt 0."""
    ledger.says(by_pod(task="fit-1"), waits=False)
    asked = [replace(from_outside(), task="fit"), replace(from_outside(attempt=1), task="fit")]
    assert ledger.missing(*asked) == asked


@pytest.mark.parametrize("reconciled", [True, False])
def test_a_run_is_told_by_either_word(ledger: Ledger, reconciled: bool) -> None:
    run = records.run()
    ledger.spool.put(replace(run, reconciled=reconciled, ended_at="2026-11-29T11:00:00Z"))
    asked = [replace(run, reconciled=True)]
    assert missing(asked, ledger.spool, ledger.repository, "ledger") == []
    fold(ledger.spool, ledger.repository, "ledger", now=NOW)
    assert missing(asked, ledger.spool, ledger.repository, "ledger") == []


def test_a_file_in_the_place_of_a_runs_folder_is_told(ledger: Ledger) -> None:
    asked = from_outside()
    folder = asked.path.rpartition("/")[0]
    commit = ledger.repository.commit({folder: b"no tree"}, parent=None, message="m", seconds=0)
    ledger.repository.move_ref("refs/heads/ledger", commit, old=None)
    with pytest.raises(CannotAnswer, match="git cannot read it") as error:
        ledger.missing(asked)
    assert "is no folder there" in error.value.why
