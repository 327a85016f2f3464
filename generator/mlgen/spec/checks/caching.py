"""What may be cached: tasks that leave something, by keys that say something."""

from __future__ import annotations

import re
from collections.abc import Iterator

from mlgen.diagnostic import Diagnostic, Span
from mlgen.registry.reference import IMAGE
from mlgen.spec.checks.context import Context, listed, near
from mlgen.spec.model import Pipeline, Place, Task
from mlgen.spec.settings import CacheAsk

_PARAM = re.compile(r"params\.([A-Za-z_][A-Za-z0-9_-]*)")


def ask_of(task: Task) -> CacheAsk | None:
    """What a task asks for, where it may be cached; None where it is not."""
    setting = task.settings.get("cache")
    if setting is None or not isinstance(setting.value, CacheAsk) or not setting.value.on:
        return None
    return setting.value if not task.final and task.outs else None


def param_of(task: Task) -> str | None:
    """The param that a task's cache key reads."""
    ask = ask_of(task)
    if ask is None or ask.key is None or ask.key[0] is not None:
        return None
    match = _PARAM.fullmatch(ask.key[1])
    return match[1] if match else None


def caches(pipeline: Pipeline, context: Context) -> Iterator[Diagnostic]:
    """A task that asks to be cached can be, and its key says something."""
    seen: set[Span] = set()  # of defaults: once for all tasks
    for task in pipeline.all_tasks:
        own = task.own.get("cache")
        if own is not None and isinstance(own.value, CacheAsk) and own.value.on:
            yield from _uncacheable(task, own.place)
        ask = ask_of(task)
        if ask is None:
            continue
        if ask.key_place is not None and ask.key_place.span not in seen:
            seen.add(ask.key_place.span)
            yield from _key(pipeline, task, ask, ask.key_place)
        yield from _unpinned(task, context)


def _uncacheable(task: Task, place: Place) -> Iterator[Diagnostic]:
    if task.final:
        message = f'the finally task "{task.name}" is to be cached'
        why = "it runs when the others have ended, to tell of this run; what it did for another is done for that one"
        yield place.key_finding("uncacheable", message, why, "remove `cache`")
    elif not task.outs and task.outs_known:
        message = f'task "{task.name}" is to be cached, and has no outs'
        why = "what it does, it does elsewhere: taken from the cache, it would not happen"
        yield place.key_finding("uncacheable", message, why, "remove `cache`, or say under `out` what it leaves")


def _key(pipeline: Pipeline, task: Task, ask: CacheAsk, place: Place) -> Iterator[Diagnostic]:
    assert ask.key is not None
    kind, text = ask.key
    if kind is not None:
        if not text.strip():
            yield _unset(task, place, "the empty text")
        return
    name = param_of(task)
    if name is None or (task.file is not None and place.document is task.file.place.document):
        yield _bad_key(task, text, place)
        return
    param = pipeline.params.get(name)
    if param is None:
        if "params" in pipeline.known:
            guess = near(name, pipeline.params)
            message = f'the cache key of "{task.name}" reads the param "{name}", which is not there'
            fix = (f"write params.{guess}, or " if guess else "") + "add it to `params`"
            yield place.finding("unknown-param", message, f"the params are: {listed(pipeline.params)}", fix)
    elif param.default is not None and not param.default.strip():
        yield _unset(task, place, f"params.{name}, whose default is the empty text")


def _unset(task: Task, place: Place, what: str) -> Diagnostic:
    return place.finding(
        "unset-cache-key",
        f'the cache key of "{task.name}" is not set: it is {what}',
        "a key that is the same for every run says nothing, and whoever wrote it meant runs to differ by it",
        "give it a value; or the param none, so that every run must give one",
    )


def _bad_key(task: Task, text: str, place: Place) -> Diagnostic:
    why, fix = "a key is known before the task starts: a param of the run, or a literal", "write params.NAME"
    if task.file is not None and place.document is task.file.place.document:
        why, fix = (
            "a task file knows no params of its callers",
            "set `cache` where the file is used, or write {value: …}",
        )
    elif "." in text:
        why, fix = (
            "what enters a task is part of its key by its digest anyway, and a key may read nothing else",
            f'remove `key`, and have "{text[:80]}" in `in` of the task',
        )
    else:
        fix += "; a text that means itself is {value: …}"
    return place.finding("bad-cache-key", f'the cache key of "{task.name}" cannot be "{text[:80]}"', why, fix)


def _unpinned(task: Task, context: Context) -> Iterator[Diagnostic]:
    setting = task.settings.get("image")
    if setting is None or not isinstance(setting.value, str):
        return
    match = IMAGE.fullmatch(setting.value)
    if match and not match["digest"] and setting.value not in context.lock:
        place = task.settings["cache"].place
        message = f'task "{task.name}" is never cached in a cluster: its image "{setting.value[:80]}" is not pinned'
        why = "a tag that moved would be no other key, and give the outs of another image"
        yield place.key_finding(
            "unpinned-cache", message, why, "`mlgen lock` pins it in mlgen.lock; or write name@sha256:…"
        )
