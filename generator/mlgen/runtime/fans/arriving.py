"""What stage-in does for an item of a fan, and for who reads late tasks: loaded by their pods alone."""

from __future__ import annotations

import json
from dataclasses import asdict

from mlgen.ledger.records.fields import BadRecord
from mlgen.ledger.records.task import Item
from mlgen.runtime.fans import items, trials
from mlgen.runtime.fans.gathering import Gathering, failed, read
from mlgen.runtime.fans.model import FanDocument, ListDocument
from mlgen.runtime.outs import StagingError
from mlgen.runtime.pod.handover import ITEM
from mlgen.runtime.pod.post import CalledOff, Post
from mlgen.runtime.texts import result
from mlgen.search.model import Search


def gathering_of(post: Post) -> Gathering:
    """What this run has told of its late tasks."""
    return Gathering(lambda: post.store, post.document.pipeline, post.execution.run_uid)


def late_ins(post: Post, gathering: Gathering) -> dict[str, str]:
    """The texts of ins that are of late tasks; of values, in files as well, for main's script. Raises StagingError."""
    found = {}
    for one in post.document.ins:
        if one.late is None:
            continue
        text = gathering.text(one.late, one.type)
        found[one.name] = result(text, optional=one.optional)
        if one.kind == "value" and text is not None:
            post.tree.input(one.name).write_text(text, newline="")
        elif text is None and not one.optional:
            raise StagingError(f'"{one.late.task}.{one.late.out}" was not written')
    return found


def check_failures(post: Post, fan: FanDocument) -> None:
    """Raises CalledOff where too many items have failed.

    Tekton starts all items of a matrix that the cluster has room for, whatever became of the others.
    """
    document, uid = post.document, post.execution.run_uid
    gone = failed(post.store, document.pipeline, uid, document.task, borne=fan.failures)
    item = post.execution.item
    if item is not None and item.index in gone:
        return  # this item is one of them, and its attempt before says below how that ended
    if len(gone) > fan.failures:
        items_ = "item has" if len(gone) == 1 else "items have"
        raise CalledOff(f"{len(gone)} {items_} failed, and the task bears {fan.failures}: this one was not started")


def _ask(post: Post, search: Search, index: int) -> tuple[Item, dict[str, str]]:
    """The values of a search's trial, by what became of those before its wave, all of which have ended."""
    document, first = post.document, search.wave(index)
    try:
        found = read(post.store, document.pipeline, post.execution.run_uid, document.task, below=first) if first else []
    except BadRecord as error:
        raise StagingError(f"what became of the trials before cannot be read: {error}") from None
    earlier = trials.before(search, index, found)
    trials.keep_earlier(post.tree, earlier)
    return trials.proposed(search, index, earlier)


def tell_item(post: Post, fan: FanDocument, gathering: Gathering) -> None:
    """Write what the item's script reads from files; for the sidecar and stage-out, what they cannot know."""
    texts, item = post.pod.item_texts, post.execution.item
    assert item is not None, "of fans"
    if fan.search is not None:
        item, texts = _ask(post, fan.search, item.index)
        post.handover.tell(ITEM, json.dumps(asdict(item)))
    elif any(one.late for one in fan.lists):
        values = post.execution.gate_values

        def read(one: ListDocument) -> str | None:
            return gathering.text(one.late, one.type) if one.late else values.get(str(one.source))

        item, texts = items.of_lists(fan, item.index, read)
        texts |= {"MLGEN_INDEX": str(item.index)}
        post.handover.tell(ITEM, json.dumps(asdict(item)))
    for name, text in texts.items():
        post.tree.input(name).write_text(text, newline="")
