"""Where `mlgen ledger verify` remembers what it verified, and what it does where that cannot be had."""

from __future__ import annotations

from pathlib import Path

from mlgen.cli.ledgers.elsewhere import cache_of
from mlgen.cli.ledgers.records import Records
from mlgen.cli.output import note
from mlgen.ledger.verify import remembered
from mlgen.ledger.verify.remembered import Memory


def folder_of(records: Records) -> Path | None:
    """The folder for a ledger; None where there is no repository yet.

    Of one on this machine it lies in its repository, and goes with it: another project may come to the same path. Who
    can write there can write the user's cache as well.
    """
    if records.ledger.url is not None:
        return cache_of(records.ledger.url, records.branch) / "verified"
    repository = records.repository
    return repository.git_dir / "mlgen" / "verified" / cache_of(None, records.branch).name if repository else None


def recall(folder: Path) -> Memory | None:
    """What was verified before; None where that cannot be read, which is told."""
    try:
        return remembered.load(folder)
    except (ValueError, OSError) as error:
        note(f"what was verified before cannot be read ({folder}: {error}): all is verified anew")
        return None


def remember(folder: Path, memory: Memory) -> None:
    """Remember, where that is possible."""
    try:
        remembered.save(folder, memory)
    except OSError as error:
        note(f"it cannot be remembered what was verified: {folder}: {error.strerror}")
