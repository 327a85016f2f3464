"""A small ledger to export from, with what makes it hard: retries, records told twice, two runs, hostile texts."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path

from mlgen import git
from mlgen.ledger.export.select import Selected, Selection, select
from mlgen.ledger.folding.fold import fold
from mlgen.ledger.folding.spool import Spool
from mlgen.ledger.records.entry import Entry
from mlgen.ledger.records.task import State
from mlgen.store import Folder
from tests.ledger import records

NOW = datetime(2026, 11, 29, tzinfo=UTC)
LATER = "2026-11-29T00:00:01Z"
EVERYTHING = Selection()
Ledger = tuple[git.Repository, str]


def entries() -> list[Entry]:
    """Run r1: a failed attempt, a good one, run.json and what reconcile wrote of both. Run r2: one record, next day."""
    return [
        records.task(
            state=State.FAIL,
            exit_code=1,
            reason="Failed",
            error='=HYPERLINK("http://x"),\r\n"quoted"',
            run_id=uid("first"),
        ),
        records.task(
            attempt=1,
            run_id=records.full().run_id,
            inputs=records.full().inputs,
            outputs=(*records.full().outputs, records.artifact("data", "s3://b/data", "sha256:" + "cd" * 32)),
            params=records.full().params,
            metrics={"auc": 0.91, "loss": -1.5e-07, "broken": "no number"},
            values={"rows": 100, "note": "@sum", "big": 2**70},
            source=records.full().source,
            image=records.full().image,
            image_digest=records.DIGEST,
            code_digest=records.DIGEST,
            tekton=records.full().tekton,
        ),
        records.task(attempt=1, state=State.ABORT, exit_code=None, reason="NodeLost", reconciled=True, run_id=uid("x")),
        records.run(params={"epochs": 20, "since": "2026-01-01", "deep": {"a": [1, None, True]}, "sign": "-1"}),
        records.run(state=State.FAIL, reconciled=True, ended_at="2026-11-28T11:00:00Z"),
        records.task("r2", "ship", ended_at=LATER, run_id=uid("ship")),
    ]


def uid(name: str) -> str:
    return records.uid(name)


def land(folder: Path, entries: Iterable[Entry]) -> Ledger:
    """A ledger that has these, and its commit."""
    repository = git.init_bare(folder / "ledger.git")
    spool = Spool(Folder(folder / "artifacts", "artifacts"))
    for entry in entries:
        spool.put(entry)
    folded = fold(spool, repository, "ledger", now=NOW)
    assert [*folded.conflicts, *folded.refused, *folded.left] == []
    assert folded.commit is not None
    return repository, folded.commit


def selected(ledger: Ledger, selection: Selection = EVERYTHING) -> list[Selected]:
    """The records of a ledger, each of which can be read."""

    def refuse(path: str, reason: str) -> None:
        raise AssertionError(f"{path}: {reason}")

    return list(select(*ledger, selection, refuse))
