"""What the pods of a task on several nodes are told of it, and what they tell each other of an end."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from mlgen import canonical
from mlgen.canonical import Json
from mlgen.ledger.records.fields import BadRecord, Fields, loads

VERSION = 1
MOST_ERROR = 1000  # characters of a reason that is handed on
LARGEST = 255  # of exit codes


@dataclass(frozen=True, slots=True)
class NodesDocument:
    """count: of the pods. wait_seconds: for which one that has all its bytes waits for the others at most.

    retries: how many attempts follow the first.
    """

    count: int
    wait_seconds: int
    retries: int = 0

    def to_json(self) -> dict[str, Any]:
        return {"count": self.count, "waitSeconds": self.wait_seconds, "retries": self.retries}

    @staticmethod
    def from_json(data: dict[str, Any]) -> NodesDocument:
        return NodesDocument(int(data["count"]), int(data["waitSeconds"]), int(data["retries"]))


@dataclass(frozen=True, slots=True)
class End:
    """How a rank's part in an attempt ended, or ended all of it.

    well: of rank 0 that its program ended with 0. exit_code: of the program, -1 for a signal, None where it did not
    come to its end. reason, cause: as of a record. error: without the rank. at: RFC 3339, by that node's clock.
    """

    rank: int
    well: bool
    at: str
    exit_code: int | None = None
    reason: str = ""
    error: str = ""
    cause: str | None = None

    def sentence(self, count: int) -> str:
        """The error with the rank, as the local engine says it; rank 0 hands on what names another already."""
        if self.error.startswith("node "):
            return self.error
        rest = "the others were ended" if count > 2 else "the other was ended"
        return f"node {self.rank} of {count}: {self.error}; {rest}"

    def to_bytes(self) -> bytes:
        found: dict[str, Json] = {
            "version": VERSION,
            "rank": self.rank,
            "well": self.well,
            "at": self.at,
            "exitCode": self.exit_code,
            "reason": self.reason,
            "error": self.error[:MOST_ERROR],
            "cause": self.cause,
        }
        return canonical.encode(found)

    @staticmethod
    def from_bytes(data: bytes, rank: int) -> End:
        """What a rank told. Raises BadRecord for what none of ours wrote, or a newer one."""
        fields = fields_of(data)
        code, cause = fields.optional_integer("exitCode"), fields.optional_text("cause")
        if code is not None and not -1 <= code <= LARGEST:
            raise BadRecord("its exit code is none")
        if cause not in (None, "program", "infrastructure"):
            raise BadRecord("its cause is none")
        error = fields.text("error")[:MOST_ERROR]
        well = fields.get("well")
        if not isinstance(well, bool):
            raise BadRecord("it does not say whether all went well")
        if well and rank != 0:
            raise BadRecord("rank 0 alone says that all went well")
        return End(rank, well, fields.time("at"), code, fields.text("reason")[:64], error, cause)

    @staticmethod
    def loads(text: str) -> End:
        """Of `to_bytes`, as this pod's own programs tell each other."""
        data = text.encode()
        return End.from_bytes(data, fields_of(data).integer("rank"))


def fields_of(data: bytes) -> Fields:
    """Of what a pod told. Raises BadRecord for what none of ours wrote, or a newer one."""
    fields = loads(data)
    if fields.integer("version") > VERSION:
        raise BadRecord("a newer mlgen wrote it: upgrade the runtime image")
    return fields
