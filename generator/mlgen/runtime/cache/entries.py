"""What executions made, kept under the keys by which it can be taken again (decision 0033). Derived: may be deleted.

Below the environment's artifacts:
`_cache/<pipeline>/<task>/<hex of the key>/<runId>.json`   an entry: the record of the execution that made the outs,
                                                            their texts, and the parts of the key
`_cache/_claims/<original runId>.<own runId>.json`          who is about to refer to an entry's bytes: `gc artifacts`
                                                            takes entries away first, then looks who claimed them
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from mlgen import canonical
from mlgen.canonical import Json
from mlgen.ledger.records import runevent
from mlgen.ledger.records.artifact import Artifact
from mlgen.ledger.records.fields import BadRecord, Fields, loads
from mlgen.ledger.records.task import State, TaskRecord
from mlgen.runtime.cache.key import Key, of_parts
from mlgen.runtime.protocol import Out, TaskDocument
from mlgen.runtime.texts import split_pointer
from mlgen.store import BadKey, Missing, Store, TooLarge, forget
from mlgen.values import Type, parse

PREFIX = "_cache"
CLAIMS = f"{PREFIX}/_claims"  # no pipeline has a name with "_"
VERSION = 1
MAX_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class Entry:
    """What can be taken. record: of the execution that made it. texts: of its outs, None for one not written.

    files: of the code, posix path -> 64 hex of sha256, where they were known; to tell what changed.
    """

    record: TaskRecord
    texts: Mapping[str, str | None]
    key: Key
    files: Mapping[str, str] | None = None

    @property
    def ended_at(self) -> datetime:
        return datetime.fromisoformat(self.record.ended_at)


@dataclass(frozen=True, slots=True)
class Missed:
    """Why nothing was taken, in words for people. entry: what was found and could not be."""

    why: str
    entry: Entry | None = None


def folder(pipeline: str, task: str) -> str:
    """Where the entries of a task lie, below the artifacts."""
    return f"{PREFIX}/{pipeline}/{task}"


def entry_key(entry: Entry) -> str:
    """Where an entry lies, below the artifacts."""
    record = entry.record
    return f"{folder(record.pipeline, record.task)}/{_hex(entry.key)}/{record.run_id}.json"


def _hex(key: Key) -> str:
    return key.digest.removeprefix("sha256:")


def to_bytes(entry: Entry) -> bytes:
    """Canonical JSON and a newline: put twice, the same object."""
    data = {
        "version": VERSION,
        "record": runevent.to_json(entry.record),
        "texts": entry.texts,
        "parts": entry.key.parts,
        **({"files": entry.files} if entry.files is not None else {}),
    }
    return canonical.encode(data) + b"\n"


def from_bytes(data: bytes) -> Entry:
    """The inverse. Raises BadRecord for what no mlgen of this version can have put."""
    fields = loads(data)
    if fields.integer("version") != VERSION:
        raise BadRecord("the entry is of another version")
    record = runevent.of_fields(fields.object("record"))
    if record.state is not State.COMPLETE or record.original_run_id is not None:
        raise BadRecord("the record is of no execution that made something")
    texts, files = fields.mapping("texts"), fields.optional_mapping("files")
    key = of_parts(record.pipeline, record.task, _texts(fields, "parts"))
    if record.cache_key != key.digest:
        raise BadRecord("the parts are not those of the record's key")
    if not all(text is None or isinstance(text, str) for text in texts.values()):
        raise BadRecord("texts are not texts")
    found = {name: text if isinstance(text, str) else None for name, text in texts.items()}
    return Entry(record, found, key, None if files is None else _texts(fields, "files"))


def _texts(fields: Fields, key: str) -> dict[str, str]:
    found = fields.mapping(key)
    if not all(isinstance(text, str) for text in found.values()):
        raise BadRecord(f"{key} are not texts")
    return {name: str(text) for name, text in found.items()}


def keep(store: Store, entry: Entry) -> None:
    """Put an entry, once the record of its execution is durable. Raises CannotAnswer, StoreError."""
    store.put(entry_key(entry), to_bytes(entry))


def entries(store: Store, pipeline: str, task: str, key: Key | None = None) -> list[Entry]:
    """The entries of a task, of one key or all, the first made first. What is no entry counts for nothing."""
    below = folder(pipeline, task) + (f"/{_hex(key)}" if key is not None else "")
    found = (read(store, name) for name in store.keys(below))
    return sorted((e for e in found if e is not None), key=lambda e: (e.record.ended_at, e.record.run_id))


def read(store: Store, name: str) -> Entry | None:
    """The entry under a key of the store; None where there is none, or something else, or one of another place."""
    try:
        entry = from_bytes(store.get(name, at_most=MAX_BYTES))
    except (Missing, TooLarge, BadRecord):
        return None
    return entry if entry_key(entry) == name else None


def look_up(
    store: Store,
    key: Key,
    *,
    pipeline: str,
    task: str,
    outs: Sequence[Out],
    max_age_seconds: int | None,
    now: datetime,
    claimant: str | None,
) -> Entry | Missed:
    """The first entry that may be taken, its bytes seen to be there; or why none is.

    Of two executions that made the same at once, the first stays the original. outs: of the task.
    claimant: the runId of who takes it, which is noted where bytes are referred to before they are looked at; None
    only looks. Raises CannotAnswer.
    """
    missed = Missed("nothing was made under this key yet")
    for entry in entries(store, pipeline, task, key):
        if max_age_seconds is not None and now - entry.ended_at > timedelta(seconds=max_age_seconds):
            missed = Missed(f"what {entry.record.run} made is older than max_age", entry)
            continue
        problem = _contradiction(store, entry, outs)
        if problem is not None:
            missed = Missed(f"{problem}, in the entry of what {entry.record.run} made", entry)
            continue
        if claimant is not None and entry.record.outputs:
            _claim(store, entry, claimant)
            if store.item(entry_key(entry)) is None:  # gc took it away meanwhile, and need not have seen the claim
                missed = Missed(f"what {entry.record.run} made is being thrown away", entry)
                continue
        problem = _lost(store, entry.record.outputs)
        if problem is None:
            return entry
        missed = Missed(f"{problem}, which {entry.record.run} made", entry)
    return missed


def look_up_for(
    document: TaskDocument, store: Store, key: Key, *, now: datetime, claimant: str | None
) -> Entry | Missed:
    """`look_up`, as a task that may be cached asks."""
    assert document.cache is not None, "what is not cached has no key"
    return look_up(
        store,
        key,
        pipeline=document.pipeline,
        task=document.task,
        outs=document.outs,
        max_age_seconds=document.cache.max_age_seconds,
        now=now,
        claimant=claimant,
    )


def places(store: Store, outputs: Iterable[Artifact]) -> list[str]:
    """The keys of artifacts, in their store."""
    return [a.uri.removeprefix(f"{store.uri}/") for a in outputs]


def _contradiction(store: Store, entry: Entry, outs: Sequence[Out]) -> str | None:
    """How texts, which readers are told, differ from the record, or both from the task's outs; None where all agree.

    An entry is not signed, and anybody who writes to the store may have altered it.
    """
    record, texts = entry.record, entry.texts
    if texts.keys() != {out.name for out in outs}:
        return "the outs are not those of the task"
    told: dict[str, Json] = {**record.metrics, **record.values}
    places_of = {artifact.name: artifact for artifact in record.outputs}
    for out in outs:
        text = texts[out.name]
        is_told = out.name in told
        value, artifact = told.pop(out.name, None), places_of.pop(out.name, None)
        if text is None:
            agree = out.optional and not is_told and artifact is None
        elif out.type.is_artifact:
            agree = artifact is not None and artifact.type == out.type and _points_to(store, text, artifact)
        else:
            recorded = record.metrics if out.type is Type.METRIC else record.values
            agree = artifact is None and out.name in recorded and _is_text_of(text, out.type, value)
        if not agree:
            return f"out {out.name} is not what its record says"
    if told or places_of:
        return "the outs are not those of its record"
    return None


def _points_to(store: Store, text: str, artifact: Artifact) -> bool:
    place, digest = split_pointer(text)
    # Of bytes in another store `_lost` tells.
    elsewhere = not artifact.uri.startswith(f"{store.uri}/")
    return digest == artifact.digest and (elsewhere or artifact.uri == f"{store.uri}/{place}")


def _is_text_of(text: str, type_: Type, value: Json) -> bool:
    try:
        return canonical.encode(parse(type_, text)) == canonical.encode(value)  # as bytes: 1 is not True, nor 1.0
    except ValueError:
        return False


def _lost(store: Store, outputs: Iterable[Artifact]) -> str | None:
    """What is not there as it was made, in words; None where all is."""
    for artifact in outputs:
        if not artifact.uri.startswith(f"{store.uri}/"):
            return f"the bytes of {artifact.name} lie elsewhere, at {artifact.uri}"
        try:
            size_bytes = store.size_of(artifact.uri.removeprefix(f"{store.uri}/"))
        except BadKey:
            return f"the bytes of {artifact.name} lie at no place of a store"
        if size_bytes is None:
            return f"the bytes of {artifact.name} are gone"
        if size_bytes != artifact.size_bytes:
            return f"the bytes of {artifact.name} have changed"
    return None


def settle(store: Store, entry: Entry, claimant: str) -> None:
    """Take a claim back: the record that refers to the bytes is durable, and says it better. If that may be:
    `gc artifacts` takes old claims away."""
    if entry.record.outputs:
        forget(store, [_claim_key(entry, claimant)])


def _claim_key(entry: Entry, claimant: str) -> str:
    return f"{CLAIMS}/{entry.record.run_id}.{claimant}.json"


def _claim(store: Store, entry: Entry, claimant: str) -> None:
    store.put(
        _claim_key(entry, claimant),
        canonical.encode({"version": VERSION, "places": places(store, entry.record.outputs)}) + b"\n",
    )


def claimed(data: bytes) -> list[str]:
    """The places that a claim names. Raises ValueError for what is no claim."""
    found = json.loads(data)
    named = found.get("places") if isinstance(found, dict) else None
    if not isinstance(named, list) or not all(isinstance(place, str) for place in named):
        raise ValueError("not a claim")
    return named
