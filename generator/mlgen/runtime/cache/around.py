"""Before and after the author's program, of a task that may be cached: the same in pods, and on this machine."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime

from mlgen.ledger.records.artifact import Artifact
from mlgen.ledger.records.fields import BadRecord
from mlgen.ledger.records.task import State, TaskRecord
from mlgen.runtime.cache import entries as cache
from mlgen.runtime.cache import key as cache_key
from mlgen.runtime.cache.entries import Entry, Missed
from mlgen.runtime.cache.key import Key
from mlgen.runtime.ending import SUCCEEDED, Ending, record_of
from mlgen.runtime.protocol import Execution, TaskDocument, Tree
from mlgen.runtime.stage_in import is_many, note_inputs, staged_inputs
from mlgen.runtime.stage_out import Staged, evaluate
from mlgen.runtime.texts import read_result, split_pointer
from mlgen.store import Store
from mlgen.values import parse


@dataclass(frozen=True, slots=True)
class Asked:
    """How the cache is asked. store: of the environment's artifacts. now: the time by which an entry is too old.

    look: False with --no-cache. say: takes a line for people.
    """

    store: Store
    now: datetime
    look: bool
    say: Callable[[str], object]


def arrive(
    document: TaskDocument, execution: Execution, tree: Tree, asked: Asked, bring: Callable[[], object]
) -> Entry | None:
    """Make ready what the program reads, unless it need not run: then what an earlier execution made.

    bring: stages code and artifacts in, and is not called where their digests are known and lead to a hit.
    Raises what `bring` does.
    """
    if document.cache is None:
        bring()
        return None
    digests = cache_key.known_digests(document, execution)
    brought = digests is None
    if digests is None:
        bring()
        digests = {a.name: a.digest for a in staged_inputs(tree)}
    key = cache_key.make(document, execution, digests)
    hit = _take(document, execution, asked, key) if asked.look else None
    if hit is not None:
        note_inputs(tree, would_read(document, execution, asked.store, hit.record))
    cache_key.note(tree, key, **({"hit": cache.to_bytes(hit).decode()} if hit else {}))
    if hit is None and not brought:
        bring()
    return hit


def _take(document: TaskDocument, execution: Execution, asked: Asked, key: Key) -> Entry | None:
    found = cache.look_up_for(document, asked.store, key, now=asked.now, claimant=execution.run_id)
    if isinstance(found, Missed):
        if found.entry is not None:  # else there is nothing to tell
            asked.say(f"not taken from the cache: {found.why}")
        return None
    asked.say(f"taken from the cache: {found.record.run} made it ({found.record.run_id})")
    return found


def hit_of(document: TaskDocument, tree: Tree) -> Entry | None:
    """What stage-in took."""
    told = cache_key.noted(tree) if document.cache is not None else None
    if told is None or "hit" not in told:
        return None
    with suppress(BadRecord):
        return cache.from_bytes(str(told["hit"]).encode())
    return None


def taken(
    document: TaskDocument,
    execution: Execution,
    entry: Entry,
    *,
    inputs: tuple[Artifact, ...],
    started_at: str,
    ended_at: str,
) -> Staged:
    """What became of an execution that took what another made: the same outs, by reference. inputs: as noted."""
    made = entry.record
    parsed = {
        out.name: parse(out.type, text)
        for out in document.outs
        if not out.type.is_artifact and (text := entry.texts.get(out.name)) is not None
    }
    record = record_of(
        document,
        execution,
        Ending(State.COMPLETE, SUCCEEDED, None, None, started_at, ended_at),
        inputs=inputs,
        outputs=made.outputs,
        metrics=made.metrics,
        values=made.values,
        cache_key=made.cache_key,
    )
    record = replace(record, original_run_id=made.run_id)
    return Staged(record, {**entry.texts, **evaluate(document, execution.gate_values, parsed)})


def would_read(document: TaskDocument, execution: Execution, store: Store, made: TaskRecord) -> tuple[Artifact, ...]:
    """The artifacts that this execution would have read: the same bytes, where this run has them."""
    places = {}
    for item in document.ins:
        text = None if item.kind == "value" else read_result(execution.ins[item.name], optional=item.optional)
        if text is not None and not is_many(item):
            where = split_pointer(text)[0]
            places[item.name] = where if item.kind == "input" else f"{store.uri}/{where}"
    return tuple(replace(artifact, uri=places.get(artifact.name, artifact.uri)) for artifact in made.inputs)


def keep(
    document: TaskDocument,
    tree: Tree,
    store: Store,
    staged: Staged,
    files: Mapping[str, str] | None = None,
) -> None:
    """Make what an execution left findable, once its record is durable; only what it made itself, and whole.

    Raises CannotAnswer, StoreError.
    """
    record = staged.record
    key = cache_key.of_tree(document, tree)
    if key is None or record.state is not State.COMPLETE or record.original_run_id is not None:
        return
    texts = {out.name: staged.texts.get(out.name) for out in document.outs}
    cache.keep(store, Entry(record, texts, key, files))
