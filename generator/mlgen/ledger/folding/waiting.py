"""A record that waits for a fold: its bytes, its path, and what tells it from other records of the same execution."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Self

from mlgen.ledger.records.entry import Entry, run_id
from mlgen.ledger.records.imported import ImportedEvent
from mlgen.ledger.records.task import TaskRecord

# The hours of the day at whose edge another telling of the same end may have another date.
_EDGES = {"23": timedelta(days=1), "00": timedelta(days=-1)}


@dataclass(frozen=True, slots=True)
class Waiting:
    """key: in the spool. path: in the ledger. execution: what only one record may tell of; empty: several may.

    folders: where another record of it may lie, as paths in the ledger.
    """

    key: str
    path: str
    data: bytes
    execution: str = ""
    folders: tuple[str, ...] = ()

    @classmethod
    def of(cls, key: str, entry: Entry | ImportedEvent, data: bytes) -> Self:
        """entry: what the bytes say."""
        if isinstance(entry, ImportedEvent):  # START and COMPLETE have one runId
            return cls(key, entry.path, data)
        return cls(key, entry.path, data, execution_of(entry), tuple(_folders(entry)))


def execution_of(entry: Entry) -> str:
    """The execution of a task, or the run, as itself or as reconcile saw it, that a record tells of."""
    return run_id(entry) if isinstance(entry, TaskRecord) else f"{entry.uid}/{entry.path.rpartition('/')[2]}"


def _folders(entry: Entry) -> list[str]:
    """The record's own, and near midnight the same run's of the other day: two trees more for the host to give."""
    folder = entry.path.rpartition("/")[0]
    found, at = [folder], entry.ended_at
    if at[11:13] in _EDGES:
        with suppress(OverflowError):  # the calendar's first day, or last
            other = date.fromisoformat(at[:10]) + _EDGES[at[11:13]]
            _, _, _, _, env, run = folder.split("/")
            found.append(f"runs/{other.isoformat().replace('-', '/')}/{env}/{run}")
    return found
