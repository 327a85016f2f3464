"""The key under which what an execution made can be taken again: everything that could change it, and nothing else.

A map of named parts, all texts, so that two keys can be compared by people; its digest is the record's `cacheKey`.
No time, no id of a run, no tag that can move (decision 0033).
"""

from __future__ import annotations

import json
from collections.abc import Container, Mapping
from dataclasses import dataclass
from typing import Any

from mlgen import canonical
from mlgen.runtime.protocol import Execution, In, TaskDocument, Tree
from mlgen.runtime.regular import Unreadable, read_regular
from mlgen.runtime.stage_in import is_many
from mlgen.runtime.texts import read_result, split_pointer
from mlgen.secrets import find
from mlgen.values import to_text

VERSION = 1
NOTE = "cache.json"  # in Tree.state: the parts that stage-in found, for the record that comes later; and what it took
INDEX_PART = "index"  # of an item whose script says $MLGEN_INDEX: its number
LONGEST_TEXT = 120  # characters of a value that is shown; of a longer one, as of what looks like a secret, its digest


@dataclass(frozen=True, slots=True)
class Key:
    """parts: name -> text, such as "code" -> a digest, "in epochs" -> `"20"`."""

    digest: str
    parts: Mapping[str, str]


def of_text(text: str) -> str:
    """A value as a part: itself in quotes, so that it is no digest; or its digest."""
    if len(text) <= LONGEST_TEXT and not find(text):
        return canonical.encode(text).decode()
    return f"text {canonical.digest(text)}"


def known_digests(
    document: TaskDocument, execution: Execution, *, besides: Container[str] = ()
) -> dict[str, str] | None:
    """The digests of the artifacts that enter, as far as they were written; None where one is not known by its text.

    besides: those that are known otherwise.
    """
    found = {}
    for item in document.ins:
        if item.kind == "value" or is_many(item) or item.name in besides or (text := _text(item, execution)) is None:
            continue
        digest = split_pointer(text)[1]
        if digest is None:
            return None
        found[item.name] = digest
    return found


def make(document: TaskDocument, execution: Execution, digests: Mapping[str, str]) -> Key:
    """The key of an execution. document: of a task that is cached. digests: of artifacts that enter, by name."""
    assert document.cache is not None, "only what is cached has a key"
    parts = dict(document.cache.parts)
    for item in document.ins:
        if f"in {item.name}" in parts:  # a literal
            continue
        if item.kind != "value" and is_many(item):
            parts[f"in {item.name}"] = _of_all(_text(item, execution) or "[]")
        elif item.kind != "value":
            parts[f"in {item.name}"] = digests.get(item.name, "not written")
        else:
            text = _text(item, execution)
            parts[f"in {item.name}"] = "not written" if text is None else of_text(text)
    if document.cache.param is not None:
        parts["key"] = of_text(execution.gate_values[f"params.{document.cache.param}"])
    if execution.item is not None:
        parts |= {f"item {name}": of_text(to_text(value)) for name, value in execution.item.values.items()}
        if INDEX_PART in parts:
            parts[INDEX_PART] = str(execution.item.index)
    return of_parts(document.pipeline, document.task, parts)


def of_parts(pipeline: str, task: str, parts: Mapping[str, str]) -> Key:
    """The key that such parts make."""
    whole = {"version": VERSION, "pipeline": pipeline, "task": task, "parts": parts}
    return Key(canonical.digest(whole), dict(sorted(parts.items())))


def _of_all(text: str) -> str:
    """One digest of what all items of a fan left, in order. text: a JSON list of pointers, null where there is none."""
    return canonical.digest([pointer and split_pointer(pointer)[1] for pointer in json.loads(text)])


def _text(item: In, execution: Execution) -> str | None:
    return read_result(execution.ins[item.name], optional=item.optional)


def note(tree: Tree, key: Key, **more: str) -> None:
    """Note the key of an execution, for who makes its record."""
    (tree.state / NOTE).write_text(json.dumps({"parts": dict(key.parts), **more}))


def noted(tree: Tree) -> dict[str, Any] | None:
    """What was noted; None where stage-in did not come so far."""
    try:
        found = json.loads(read_regular(tree.state / NOTE))
        texts = [text for pair in found["parts"].items() for text in pair]
    except (FileNotFoundError, Unreadable, AttributeError, KeyError, TypeError, ValueError, RecursionError):
        return None  # on this machine the program can write there, too
    return found if all(isinstance(text, str) for text in texts) else None


def of_tree(document: TaskDocument, tree: Tree) -> Key | None:
    """The key of an execution, as stage-in found it; None where it did not come so far, or the task is not cached."""
    told = noted(tree) if document.cache is not None else None
    return None if told is None else of_parts(document.pipeline, document.task, told["parts"])
