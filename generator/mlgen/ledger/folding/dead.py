"""Records that could not land, tried again: when a host's rules were mended, or a mistake of ours was."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from mlgen.git import Branches, branch_ref
from mlgen.ledger.folding.fold import git_errors
from mlgen.ledger.folding.folded import Folded
from mlgen.ledger.folding.spool import Spool
from mlgen.ledger.records.entry import path_of
from mlgen.ledger.records.fields import BadRecord
from mlgen.store import TooLarge

_AT_ONCE = 1000  # that are looked for on the branch together


def retry(spool: Spool, repository: Branches, branch: str, fold: Callable[[], Folded]) -> Folded:
    """Let all that is dead wait again, fold, and forget those that are on the branch then; the rest stays dead.

    fold: folds that spool into that branch. A record is dead and waits at the same time, so that a kill at any point,
    or another fold that refuses it once more meanwhile, loses nothing. Raises what folding does.
    """
    back = [key for key in spool.dead() if spool.revive(key)]
    folded = fold()
    with git_errors(branch):
        for at in range(0, len(back), _AT_ONCE):
            _forget_landed(spool, repository, branch, back[at : at + _AT_ONCE])
    return folded


def _forget_landed(spool: Spool, repository: Branches, branch: str, dead: Sequence[str]) -> None:
    paths: dict[str, str] = {}
    found: dict[str, bytes] = {}
    for key, data in zip(dead, spool.get_all(dead), strict=True):
        if data is not None and not isinstance(data, TooLarge):
            try:
                paths[key], found[key] = path_of(data), data
            except BadRecord:  # somebody replaced it
                continue
    with repository.reader() as reader:
        tip = reader.get(branch_ref(branch))
        kept = {} if tip is None else reader.files(tip.oid, paths.values())
    spool.forget_dead([key for key, path in paths.items() if kept.get(path) == found[key]])
