"""A record as it may be kept: what looks like a secret in it is masked, whoever writes it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic, TypeVar

from mlgen.ledger.records import run, runevent
from mlgen.ledger.records.fields import BadRecord
from mlgen.ledger.records.run import RunRecord
from mlgen.ledger.records.task import TaskRecord
from mlgen.secrets import MASK, Finding, find

_FACET = "run.facets.mlgen_task."
Kept = TypeVar("Kept", TaskRecord, RunRecord)


@dataclass(frozen=True, slots=True)
class Clean(Generic[Kept]):
    """A record, its bytes, and what was masked in it: places as people know them, such as `params.key`."""

    entry: Kept
    data: bytes
    masked: tuple[Finding, ...] = ()

    @property
    def told(self) -> list[str]:
        """What its author must know of it, a line for each place."""
        return [f"{one}: its record has {MASK} instead" for one in self.masked]


def clean_task(record: TaskRecord) -> Clean[TaskRecord]:
    """The record of an execution as it may be kept.

    Raises RecordTooLarge, and BadRecord also where a secret is in what has to stay, such as the name of its run.
    """
    data = runevent.to_bytes(record)
    found = find(data)
    if not found:
        return Clean(record, data)
    from mlgen.ledger.records.masked import masked_task  # here: most records need nothing of it

    kept = masked_task(record)
    return Clean(kept, _checked(runevent.to_bytes(kept)), _for_people(found))


def clean_run(record: RunRecord) -> Clean[RunRecord]:
    """A run as it may be kept. Raises as `clean_task` does."""
    data = run.to_bytes(record)
    found = find(data)
    if not found:
        return Clean(record, data)
    from mlgen.ledger.records.masked import masked_run  # here: as above

    kept = masked_run(record)
    return Clean(kept, _checked(run.to_bytes(kept)), _for_people(found))


def _checked(data: bytes) -> bytes:
    left = find(data)
    if left:
        raise BadRecord(f"{left[0]}, and a record has it as it is: no ledger would take it")
    return data


def _for_people(found: list[Finding]) -> tuple[Finding, ...]:
    return tuple(one._replace(place=one.place.removeprefix(_FACET)) for one in found)
