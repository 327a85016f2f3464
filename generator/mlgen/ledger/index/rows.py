"""A record as rows, and back: what the index gives is equal to what the ledger's file says."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any

from mlgen.canonical import Json
from mlgen.ledger.questions.read import Execution
from mlgen.ledger.records import run as run_json
from mlgen.ledger.records.artifact import Artifact
from mlgen.ledger.records.fields import BadRecord, Fields
from mlgen.ledger.records.run import RunRecord
from mlgen.ledger.records.task import Item, Source, State, TaskRecord

LARGEST = 2**63 - 1  # that a column of SQLite holds; a record may have any count
REMEMBERED = 8192  # characters of a text whose meaning is kept for the next row: of what others wrote, not megabytes
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)

EXECUTION = """
    e.task, e.item, e.attempt, e.run_id, e.started_at, e.ended_at, e.state, e.reconciled, e.digest, e.oid, e.rest,
    told.text, made.text
"""
FROM_EXECUTION = "execution e JOIN shared told ON told.id = e.told JOIN shared made ON made.id = e.made"
ARTIFACT = "t.name, a.uri, a.digest, t.size, t.media, t.type"


def microseconds(time: str) -> int:
    """A record's time, since 1970."""
    return microseconds_of(datetime.fromisoformat(time))


def microseconds_of(time: datetime) -> int:
    return (time - _EPOCH) // _MICROSECOND


def time_of(microseconds: int) -> datetime:
    return _EPOCH + microseconds * _MICROSECOND


encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


def told(r: TaskRecord) -> list[object]:
    """What all tasks of a run have in common."""
    source = [r.source.commit, r.source.path, r.source.repository] if r.source else None
    return [r.env, r.pipeline, r.run, r.run_uid, r.engine, r.spec_digest, r.plan_digest, source, r.params]


def made(r: TaskRecord) -> tuple[str | None, ...]:
    """What made this record's task, and others of its kind."""
    return r.image, r.image_digest, r.code_digest


def rest(r: TaskRecord) -> str:
    """What is the record's own, and not asked for by itself: its text, without what says nothing.

    Raises BadRecord for a count that no column holds.
    """
    if max(r.attempt, r.item.of if r.item else 0, *(a.size_bytes for a in (*r.inputs, *r.outputs)), 0) > LARGEST:
        raise BadRecord(f"it has a count beyond {LARGEST:,}")
    known = ("exit_code", "error", "cache_key", "usage", "tekton", "original_run_id")
    found: dict[str, object] = {"reason": r.reason}
    found |= {name: value for name in known if (value := getattr(r, name)) is not None}
    found |= {name: values for name in ("metrics", "values") if (values := getattr(r, name))}
    if r.item is not None:
        found["item"] = [r.item.of, r.item.values, r.item.pick]
    return encode(found)


@lru_cache(maxsize=512)
def _known(text: str) -> Any:
    return json.loads(text)


def _shared(text: str) -> Any:
    return _known(text) if len(text) <= REMEMBERED else json.loads(text)


def execution(row: tuple[Any, ...], inputs: tuple[Artifact, ...], outputs: tuple[Artifact, ...]) -> Execution:
    """The execution of a row of the columns `EXECUTION`."""
    task, item, attempt, run_id, started_at, ended_at, state, reconciled, digest, oid, rest, told, made = row
    env, pipeline, run, run_uid, engine, spec_digest, plan_digest, source, params = _shared(told)
    image, image_digest, code_digest = _shared(made)
    more: dict[str, Any] = {"exit_code": None, **json.loads(rest)}
    if item is not None:
        more["item"] = Item(item, *more["item"])
    record = TaskRecord(
        run_id=run_id,
        env=env,
        pipeline=pipeline,
        run=run,
        run_uid=run_uid,
        task=task,
        attempt=attempt,
        started_at=started_at,
        ended_at=ended_at,
        state=State(state),
        engine=engine,
        spec_digest=spec_digest,
        plan_digest=plan_digest,
        inputs=inputs,
        outputs=outputs,
        params=params,
        source=Source(*source) if source else None,
        image=image,
        image_digest=image_digest,
        code_digest=code_digest,
        reconciled=bool(reconciled),
        **more,
    )
    return Execution(record, record.path, f"sha256:{digest.hex()}", oid.hex())


def artifact(row: tuple[Any, ...]) -> Artifact:
    """The artifact of a row of the columns `ARTIFACT`."""
    name, uri, digest, size, media, type_ = row
    return Artifact(name, uri, f"sha256:{digest.hex()}", size, media, type_)


def run_record(text: str) -> RunRecord:
    """The run.json that a row has."""
    return _known_run(text) if len(text) <= REMEMBERED else _run(text)


@lru_cache(maxsize=512)
def _known_run(text: str) -> RunRecord:
    return _run(text)


def _run(text: str) -> RunRecord:
    return run_json.of_fields(Fields(json.loads(text)))


_TYPES = {str: "string", float: "number", int: "number", bool: "boolean"}


def typed(value: Json) -> tuple[str, str | int | float | None]:
    """The type of a param or metric, and its value where it can be compared."""
    type_ = _TYPES.get(type(value))
    if isinstance(value, int) and not -LARGEST - 1 <= value <= LARGEST:  # compared as closely as a float can be
        try:
            value = float(value)
        except OverflowError:
            type_ = None
    if type_ is None:
        return "json", None
    return type_, value  # type: ignore[return-value]  # it is no list or map


def facts_of(values: Mapping[str, Json]) -> list[tuple[str, str, str | int | float | None]]:
    """(name, type, value) of each that can be compared."""
    return [
        (name, type_, value) for name, (type_, value) in ((n, typed(v)) for n, v in values.items()) if value is not None
    ]
