"""What to tell of a ledger as a whole, whoever meets it: folds, questions, verification."""

from __future__ import annotations

from mlgen.diagnostic import CannotAnswer


def broken(branch: str, said: str) -> CannotAnswer:
    """What to tell of a ledger that git cannot read. said: by git."""
    return CannotAnswer(
        "ledger-broken",
        f'the ledger\'s branch "{branch}" is there, and git cannot read it',
        why=said,
        fix="`git fsck` says more; `git reflog` of the branch, or another clone, may have what is lost",
    )
