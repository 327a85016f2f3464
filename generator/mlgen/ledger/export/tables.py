"""The ledger as tables: what columns each has, and the rows that come of a record."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from mlgen import canonical
from mlgen.canonical import Json
from mlgen.ledger.export.select import Selected
from mlgen.ledger.questions.read import moment
from mlgen.ledger.records.run import RunRecord
from mlgen.ledger.records.task import TaskRecord

Cell = str | int | float | bool | None
INT64 = 1 << 63


class Kind(StrEnum):
    """What a column holds. TIME: RFC 3339 in UTC. INTEGER: of 64 bits. NUMBER: never NaN or infinite."""

    TEXT = "text"
    INTEGER = "integer"
    NUMBER = "number"
    BOOLEAN = "boolean"
    TIME = "time"


@dataclass(frozen=True, slots=True)
class Column:
    name: str
    kind: Kind = Kind.TEXT


@dataclass(frozen=True, slots=True)
class Table:
    """rows: of a record, each with a cell for each column, None where nothing is known. of_runs: made of run.json."""

    columns: tuple[Column, ...]
    rows: Callable[[Selected], Iterator[tuple[Cell, ...]]]
    of_runs: bool = False


def _columns(*names: str, **kinds: Kind) -> tuple[Column, ...]:
    return tuple(Column(name, kinds.get(name, _KINDS.get(name, Kind.TEXT))) for name in names)


_KINDS = {
    "attempt": Kind.INTEGER,
    "item": Kind.INTEGER,
    "exit_code": Kind.INTEGER,
    "size_bytes": Kind.INTEGER,
    "started_at": Kind.TIME,
    "ended_at": Kind.TIME,
    "seconds": Kind.NUMBER,
    "reconciled": Kind.BOOLEAN,
}
_RUN = ("env", "pipeline", "run", "run_uid")
_EXECUTION = (*_RUN, "task", "attempt", "run_id", "state", "ended_at")


def _about(r: TaskRecord) -> tuple[Cell, ...]:
    """The cells of _EXECUTION: with them each table can be read alone."""
    return r.env, r.pipeline, r.run, r.run_uid, r.task, _whole(r.attempt), r.run_id, str(r.state), r.ended_at


def _executions(one: Selected) -> Iterator[tuple[Cell, ...]]:
    r = one.entry
    if isinstance(r, TaskRecord):
        yield (
            *_about(r),
            r.started_at,
            _seconds(r),
            _whole(r.exit_code),
            r.reason,
            r.error,
            r.engine,
            r.image,
            r.image_digest,
            r.spec_digest,
            r.plan_digest,
            r.code_digest,
            r.source.commit if r.source else None,
            r.reconciled,
            one.path,
            r.index,
            canonical.encode(dict(r.item.values)).decode() if r.item else None,
        )


def _runs(one: Selected) -> Iterator[tuple[Cell, ...]]:
    r = one.entry
    if isinstance(r, RunRecord):
        state, seconds = str(r.state), _seconds(r)
        about = (r.env, r.pipeline, r.run, r.uid, state, r.ended_at, r.started_at, seconds)
        labels = canonical.encode(dict(r.labels)).decode()
        yield (*about, r.spec_digest, r.commit, r.reconciled, one.path, r.owner, labels)


def _params(one: Selected) -> Iterator[tuple[Cell, ...]]:
    r = one.entry
    if isinstance(r, RunRecord):
        about = (r.env, r.pipeline, r.run, r.uid, str(r.state), r.ended_at)
        yield from ((*about, name, *_told(value)) for name, value in r.params.items())


def _metrics(one: Selected) -> Iterator[tuple[Cell, ...]]:
    r = one.entry
    if isinstance(r, TaskRecord):
        yield from ((*_about(r), name, _number(value), r.index) for name, value in r.metrics.items())


def _values(one: Selected) -> Iterator[tuple[Cell, ...]]:
    r = one.entry
    if isinstance(r, TaskRecord):
        yield from ((*_about(r), name, *_told(value), r.index) for name, value in r.values.items())


def _artifacts(one: Selected) -> Iterator[tuple[Cell, ...]]:
    r = one.entry
    if isinstance(r, TaskRecord):
        for side, artifacts in (("in", r.inputs), ("out", r.outputs)):
            for a in artifacts:
                yield (*_about(r), side, a.name, a.type, a.uri, a.digest, _whole(a.size_bytes), a.media_type, r.index)


# A column is never renamed, moved or taken away; new ones come last.
TABLES: Mapping[str, Table] = {
    "executions": Table(
        _columns(
            *_EXECUTION,
            *("started_at", "seconds", "exit_code", "reason", "error", "engine", "image", "image_digest"),
            *("spec_digest", "plan_digest", "code_digest", "commit", "reconciled", "path", "item", "variables"),
        ),
        _executions,
    ),
    "runs": Table(
        _columns(
            *_RUN,
            "state",
            "ended_at",
            "started_at",
            "seconds",
            "spec_digest",
            "commit",
            "reconciled",
            "path",
            "owner",
            "labels",
        ),
        _runs,
        of_runs=True,
    ),
    "params": Table(_columns(*_RUN, "state", "ended_at", "name", "type", "value"), _params, of_runs=True),
    "metrics": Table(_columns(*_EXECUTION, "name", "value", "item", value=Kind.NUMBER), _metrics),
    "values": Table(_columns(*_EXECUTION, "name", "type", "value", "item"), _values),
    "artifacts": Table(
        _columns(*_EXECUTION, "side", "name", "type", "uri", "digest", "size_bytes", "media_type", "item"), _artifacts
    ),
}


def _seconds(r: TaskRecord | RunRecord) -> float:
    return (moment(r.ended_at) - moment(r.started_at)).total_seconds()


def _told(value: Json) -> tuple[str, str]:
    """(type, text) of a param or value: a string's own text, of all else the JSON, as a spec writes it."""
    match value:
        case str():
            return "string", value
        case bool():
            kind = "boolean"
        case int():
            kind = "integer"
        case float():
            kind = "number"
        case _:
            kind = "json"
    return kind, canonical.encode(value).decode()


def _number(value: Any) -> float | None:
    """A metric; None for what somebody wrote there that is none."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        number = float(value)
    except OverflowError:
        return None
    return number if math.isfinite(number) else None


def _whole(value: int | None) -> int | None:
    """A count that fits into 64 bits, as any that is true does."""
    return value if value is not None and -INT64 <= value < INT64 else None
