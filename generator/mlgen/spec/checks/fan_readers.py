"""Readers of tasks that run many times: what all items left fits into what they are given."""

from __future__ import annotations

from collections.abc import Iterator

from mlgen.diagnostic import Diagnostic, Related
from mlgen.spec import fans
from mlgen.spec.checks.context import Context, out_of
from mlgen.spec.checks.fans import MAX_OF_A_RUN
from mlgen.spec.model import Out, Pipeline, Place, Ref, Task

MAX_LIST_BYTES = 120_000  # of one variable: Linux starts no program with one of 128 KiB
MAX_ENTRIES = 2000  # artifacts of fans that enter one task: its record names each


def commands(pipeline: Pipeline, _context: Context) -> Iterator[Diagnostic]:
    """A command list reads no value of a fan: only a script can take it from the file that a pod gets."""
    for task in pipeline.tasks.values():
        if task.step is None or task.step.args is None:
            continue
        for item in task.ins:
            producer = pipeline.tasks.get(item.source.owner) if isinstance(item.source, Ref) else None
            if producer is None or producer.fan is None or not isinstance(item.source, Ref):
                continue
            out = producer.outs.get(item.source.name)
            if out is not None and (out.type is None or out.type.is_artifact):
                continue
            message = f'task "{task.name}" is a command list and reads {item.source}, a value of a task with items'
            why = "a pod gets such a value as a file, which a script's first lines read into the variable"
            fix = f'write `run` as a script: program "${item.name}"'
            yield item.place.finding("late-needs-script", message, why, fix)


def ins(pipeline: Pipeline, _context: Context) -> Iterator[Diagnostic]:
    """What all items left fits into a variable, or into a record."""
    for task in pipeline.tasks.values():
        entries = 0
        for item in task.ins:
            producer = pipeline.tasks.get(item.source.owner) if isinstance(item.source, Ref) else None
            out = out_of(pipeline, item.source) if isinstance(item.source, Ref) else None
            if producer is None or producer.fan is None or out is None or producer.pick is not None:
                continue
            count = fans.count(producer.fan)
            count = MAX_OF_A_RUN if count is None else min(count, fans.MAX_ITEMS)
            if out.type is not None and out.type.is_artifact:
                entries += count
                if entries > MAX_ENTRIES:
                    message = (
                        f'task "{task.name}" would read {entries:,} artifacts of items, {MAX_ENTRIES:,} are allowed'
                    )
                    fix = "read them in several tasks, or have the items leave one artifact instead of several"
                    yield item.place.finding("too-much-to-read", message, "its record names each of them", fix)
                    break
            else:
                yield from _long_list(task, item.place, producer, out, count)


def _long_list(task: Task, place: Place, producer: Task, out: Out, count: int) -> Iterator[Diagnostic]:
    each = (out.max_bytes + 3) if out.max_bytes is not None else 26
    if each * count <= MAX_LIST_BYTES:
        return
    most = MAX_LIST_BYTES // count - 3
    message = f'"{out.name}" of {count:,} items may take {each * count:,} bytes, a variable holds {MAX_LIST_BYTES:,}'
    why = f'task "{task.name}" reads them all as one JSON list, in an environment variable'
    fix = f"make it a file: the reader gets a folder; or say that it is short: out: {{{out.name}: {{max: {most}}}}}"
    related = (Related("the out", producer.outs[out.name].place.span),) if producer.file is None else ()
    yield place.finding("too-much-to-read", message, why, fix, related)
