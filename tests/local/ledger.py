"""The ledger of a test's project: a real repository beside the runs, and what has landed on its branch."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from mlgen import git
from mlgen.ledger.folding.fold import fold as fold_into
from mlgen.ledger.folding.spool import Spool
from mlgen.store import open_store

BRANCH = "ledger"


def spool(root: Path) -> Callable[[bytes], object]:
    return Spool(open_store("artifacts", base=root)).put_bytes


def fold(root: Path) -> str | None:
    """Land what waits; the tip."""
    folded = fold_into(Spool(open_store("artifacts", base=root)), repository(root), BRANCH, now=datetime.now(UTC))
    assert not folded.conflicts
    assert not folded.refused
    return folded.commit


def landed(root: Path) -> list[bytes]:
    """The files of the branch, after a fold; none may wait any more."""
    commit = fold(root)
    assert Spool(open_store("artifacts", base=root)).waiting() == []
    if commit is None:
        return []
    with repository(root).reader() as reader:
        found = reader.get_all(file.oid for file in repository(root).tree_files(commit, "runs"))
        return [one.data for one in found if one is not None]


def repository(root: Path) -> git.Repository:
    return git.init_bare(root / "ledger.git")
