"""A pod that only looks for a task in the cache, so that a hit takes no GPU (decision 0033).

It decides the task's own gate as well. With a hit it does all that the task's own pod would have done: the record, and
the outcome by which readers find its outs. Its results say whether the task's own pod is to run.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from mlgen import gates
from mlgen.canonical import Json
from mlgen.gates import Ref, parse_gate
from mlgen.ledger.folding.spool import Spool
from mlgen.runtime.cache import entries as cache
from mlgen.runtime.cache import key as cache_key
from mlgen.runtime.cache.around import taken, would_read
from mlgen.runtime.cache.entries import Entry
from mlgen.runtime.clock import Clock, timestamp
from mlgen.runtime.ending import fix
from mlgen.runtime.fans import gathering
from mlgen.runtime.fans.gathering import Gathering
from mlgen.runtime.pod.contract import HIT, RUN, Places
from mlgen.runtime.pod.invocation import LookupPod
from mlgen.runtime.protocol import Execution
from mlgen.runtime.stage_in import OpenStore
from mlgen.runtime.texts import read_result, result, split_pointer
from mlgen.store import Store, locate


def look(
    pod: LookupPod, places: Places, store: Store, open_at: OpenStore, *, clock: Clock, say: Callable[[str], object]
) -> None:
    """Look, and write the two results. Raises StagingError, CannotAnswer, StoreError."""
    may_run = all(_holds(pod, text) for text in pod.conditions)
    hit = _find(pod, store, open_at, clock, say) if may_run and pod.look else None
    (places.results / RUN).write_text("true" if may_run and hit is None else "false")
    (places.results / HIT).write_text("true" if hit is not None else "false")


def _holds(pod: LookupPod, text: str) -> bool:
    """text: what a producer said, or a gate over params."""

    def read(ref: Ref) -> Json:
        return pod.execution.params.get(ref.name)

    return text == "true" if text in ("true", "false") else gates.evaluate(parse_gate(text), read)


def _find(pod: LookupPod, store: Store, open_at: OpenStore, clock: Clock, say: Callable[[str], object]) -> Entry | None:
    document, started_at = pod.document, timestamp(clock.now())
    assert document.cache is not None, "else there is no such pod"
    execution = _gathered(pod, store)
    key = cache_key.make(document, execution, _digests(pod, execution, open_at))
    found = cache.look_up_for(document, store, key, now=clock.now(), claimant=execution.run_id)
    if not isinstance(found, Entry):
        say(f"not taken from the cache: {found.why}")
        return None
    say(f"taken from the cache: {found.record.run} made it ({found.record.run_id})")
    inputs = would_read(document, execution, store, found.record)
    ended_at = timestamp(clock.now())
    staged = taken(document, execution, found, inputs=inputs, started_at=started_at, ended_at=ended_at)
    kept = fix(staged.record)
    Spool(store).put_bytes(kept.data)
    gathering.put(store, kept.entry, staged.texts, looked_up=True)
    cache.settle(store, found, execution.run_id)
    return found


def _gathered(pod: LookupPod, store: Store) -> Execution:
    """The execution with the texts of what late tasks left."""
    document = pod.document
    gathering_ = Gathering(lambda: store, document.pipeline, pod.execution.run_uid)
    late = {
        one.name: result(gathering_.text(one.late, one.type), optional=one.optional)
        for one in document.ins
        if one.late is not None
    }
    return replace(pod.execution, ins={**pod.execution.ins, **late})


def _digests(pod: LookupPod, execution: Execution, open_at: OpenStore) -> dict[str, str]:
    """Of all artifacts that enter; what no text says is read, and kept nowhere."""
    read = {}
    for item in pod.document.ins:
        text = read_result(execution.ins[item.name], optional=item.optional) if item.kind == "input" else None
        if text is not None and split_pointer(text)[1] is None:
            at, key = locate(text)
            read[item.name] = open_at(at).measure_artifact(key).digest
    known = cache_key.known_digests(pod.document, execution, besides=read)
    assert known is not None, "outs of tasks have digests"
    return {**known, **read}
