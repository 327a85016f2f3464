"""Step stage-in of a pod."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from pathlib import Path

from mlgen.diagnostic import CannotAnswer
from mlgen.ledger.records.fields import BadRecord
from mlgen.ledger.records.task import Item
from mlgen.runtime import bundle
from mlgen.runtime.attempts import following
from mlgen.runtime.attempts.notes import Refused
from mlgen.runtime.cache.around import Asked, arrive
from mlgen.runtime.fans import items, trials
from mlgen.runtime.fans.gathering import Gathering, failed, read
from mlgen.runtime.fans.model import FanDocument, ListDocument
from mlgen.runtime.outs import StagingError, sentence
from mlgen.runtime.pod.handover import CALLED_OFF, FAILED, ITEM, READY, REFUSED, STAGED, UNREACHABLE
from mlgen.runtime.pod.post import Post
from mlgen.runtime.stage_in import OpenStore, stage_in
from mlgen.runtime.texts import result
from mlgen.search.model import Search

READY_SECONDS = 180  # until the sidecar must be ready; it gives up reaching the spool after 120


class _CalledOff(Exception):
    """Why an item is not run, in words for people."""


def bring(post: Post, open_at: OpenStore) -> int:
    """Step stage-in, once the sidecar is there to record what becomes of it; its exit code.

    That is the program's of the attempt before, where this one must not run: the outcome of the task stays what it was.
    open_at: the store at a URI, for inputs. Raises CannotAnswer "not-staged", and has left its words for the sidecar
    then; "no-sidecar"; "called-off" for an item of a fan of which too many have failed.
    """
    handover = post.handover
    if post.hear(READY, READY_SECONDS) is None:  # no probe of Kubernetes waits for it: that would look once a second
        raise CannotAnswer(
            "no-sidecar",
            "the results sidecar was not ready, so that nothing of this execution would be recorded",
            why="it ended, or could not begin; the log of its container says why",
        )
    handover.begin()
    post.at("begun")
    try:
        unreachable = handover.told(UNREACHABLE)
        if unreachable is not None:
            raise StagingError(f"the records of this run cannot be kept: {unreachable}")
        refused = _bring(post, open_at)
    except _CalledOff as reason:
        handover.tell(CALLED_OFF, str(reason))
        handover.wake()
        raise CannotAnswer("called-off", str(reason)) from None
    except Exception as error:
        problem = sentence(error)
        handover.tell(FAILED, problem)
        handover.wake()
        raise CannotAnswer("not-staged", problem) from error
    if refused is not None:
        handover.tell(REFUSED, refused.to_text())
        handover.wake()
        post.say(refused.error)
        return refused.step_exit_code
    handover.tell(STAGED)
    handover.wake()
    return 0


def _bring(post: Post, open_at: OpenStore) -> Refused | None:
    """Bring all that the program reads; why it must not run, where an attempt before says so."""
    document = post.document
    gathering = Gathering(lambda: post.store, document.pipeline, post.execution.run_uid)
    if document.fan is not None:
        _check_failures(post, document.fan)
        _tell_item(post, document.fan, gathering)
    refused = following.refused(post)
    if refused is not None:
        return refused
    following.wait(post)
    if _stage(post, open_at, gathering):
        return None  # the program does not run
    following.restore(post)
    return following.begin(post)


def _stage(post: Post, open_at: OpenStore, gathering: Gathering) -> bool:
    """Whether what the program would make was found in the cache; else all that it reads is there."""
    document, late = post.document, {}
    for one in document.ins:
        if one.late is None:
            continue
        text = gathering.text(one.late, one.type)
        late[one.name] = result(text, optional=one.optional)
        if one.kind == "value" and text is not None:
            post.tree.input(one.name).write_text(text, newline="")
        elif text is None and not one.optional:
            raise StagingError(f'"{one.late.task}.{one.late.out}" was not written')
    execution = replace(post.execution, ins={**post.execution.ins, **late})

    def bring_all() -> None:
        if document.code_digest is not None or any(i.kind != "value" for i in document.ins):
            bundle.stage_code(document, post.tree, post.store)
            stage_in(document, execution, post.tree, post.store, open_at)

    if document.cache is None:
        bring_all()
        return False
    asked = Asked(post.store, post.clock.now(), post.pod.look, post.say)
    hit = arrive(document, execution, post.tree, asked, bring_all)
    Path(post.pod.run_file).write_text("false" if hit else "true")
    return hit is not None


def _check_failures(post: Post, fan: FanDocument) -> None:
    """Tekton starts all items of a matrix that the cluster has room for, whatever became of the others."""
    document, uid = post.document, post.execution.run_uid
    gone = failed(post.store, document.pipeline, uid, document.task, retries=fan.retries)
    if len(gone) > fan.failures:
        items_ = "item has" if len(gone) == 1 else "items have"
        raise _CalledOff(f"{len(gone)} {items_} failed, and the task bears {fan.failures}: this one was not started")


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


def _tell_item(post: Post, fan: FanDocument, gathering: Gathering) -> None:
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
