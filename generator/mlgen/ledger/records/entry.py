"""A file of the ledger, whichever kind it is: what its bytes say, and the path that follows from them alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mlgen.ledger.records import run, runevent
from mlgen.ledger.records import task as record
from mlgen.ledger.records.clean import clean_run, clean_task
from mlgen.ledger.records.fields import BadRecord, is_imported, loads
from mlgen.ledger.records.run import RunRecord
from mlgen.ledger.records.task import TaskRecord

if TYPE_CHECKING:  # pods read none of these, and each pays for what it loads
    from mlgen.ledger.records.imported import ImportedEvent

Entry = TaskRecord | RunRecord


def from_bytes(data: bytes) -> Entry | ImportedEvent:
    """What the bytes of a ledger file say. Raises BadRecord, or NewerFormat where a newer mlgen wrote them."""
    if len(data) > record.MOST_BYTES:
        raise BadRecord(f"the record has {len(data):,} bytes, more than {record.MOST_BYTES:,}")
    fields = loads(data)
    if is_imported(fields):
        from mlgen.ledger.records import imported  # here: see above

        return imported.of_fields(fields, data)
    if fields.get("eventType") is None:
        _check_size(data, run.MAX_BYTES)
        return run.of_fields(fields)
    found = runevent.of_fields(fields)
    _check_size(data, record.most_bytes(found))
    return found


def _check_size(data: bytes, most: int) -> None:
    if len(data) > most:
        raise BadRecord(f"the record has {len(data):,} bytes, more than {most:,}")


def record_from_bytes(data: bytes) -> Entry:
    """What the bytes of a record of mlgen's own say. Raises BadRecord, also for an imported event."""
    found = from_bytes(data)
    if not isinstance(found, TaskRecord | RunRecord):
        raise BadRecord("it is an event of another producer")
    return found


def to_bytes(entry: Entry) -> bytes:
    """The bytes of a ledger file, in which what looks like a secret is masked. Raises BadRecord, RecordTooLarge.

    `ledger.clean` says what was masked.
    """
    return (clean_task(entry) if isinstance(entry, TaskRecord) else clean_run(entry)).data


def path_of(data: bytes) -> str:
    """The path that a ledger file has, a pure function of its bytes. Raises BadRecord."""
    return from_bytes(data).path


def run_id(entry: Entry | ImportedEvent) -> str:
    """The idempotency key: the execution's runId, or the uid of the run."""
    return entry.uid if isinstance(entry, RunRecord) else entry.run_id
