"""The arguments that a run takes over from the one that it resumes, and what of them is another now."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from mlgen import canonical
from mlgen.diagnostic import Misuse
from mlgen.ledger.questions.read import Run
from mlgen.ledger.records.artifact import Artifact
from mlgen.plan.model import Input, InputRef, Param, Plan
from mlgen.runtime import bundle
from mlgen.runtime.texts import pointer
from mlgen.secrets import MASK
from mlgen.store import BUCKETS, measure
from mlgen.values import Type, parse, to_short_text, to_text


@dataclass(frozen=True, slots=True)
class Taken:
    """given: as on the command line, `name=value`, those of the earlier run among them. changed: see `known.know`."""

    given: tuple[str, ...]
    changed: Mapping[str, str]


def take(plan: Plan, run: Run, given: Sequence[str], *, project: Path, cwd: Path, artifacts: str) -> Taken:
    """What a run is given that resumes another. given: on the command line, which goes before.

    project, cwd: as of `parse_arguments`. Raises Misuse "bad-argument" for a param that the ledger could not keep.
    """
    again = {text.partition("=")[0]: text.partition("=")[2] for text in given if "=" in text}
    texts, changed = list(given), dict[str, str]()
    record = run.record
    assert record is not None, "only runs that ended are resumed"
    for param in plan.params:
        if param.name in record.params:
            old = record.params[param.name]
            if param.name not in again:
                texts.append(f"{param.name}={_text(param, old)}")
            elif (now := _parsed(param, again[param.name])) != old:
                changed[f"params.{param.name}"] = (
                    f"param {param.name} is {to_short_text(now)}, was {to_short_text(old)}"
                )
        else:
            changed[f"params.{param.name}"] = f"param {param.name} is new"
    read = _read(plan, run)
    for item in plan.inputs:
        if (old_input := read.get(item.name)) is None:
            continue
        name = item.name
        text = again.get(name)
        if text is None and (text := _location(item, old_input, project, artifacts)) is not None:
            texts.append(f"{name}={text}")
        if _digest(item, text, project if name not in again else cwd) != old_input.digest:
            changed[f"inputs.{name}"] = f"input {name} has other bytes"
    return Taken(tuple(texts), changed)


def _text(param: Param, value: canonical.Json) -> str:
    text = canonical.encode(value).decode() if param.type is Type.JSON else to_text(value)
    if MASK in text:
        raise Misuse(
            "bad-argument",
            f'param "{param.name}" looked like a secret, so that the ledger does not have it',
            fix=f"give it again: -p {param.name}=…",
        )
    return text


def _parsed(param: Param, text: str) -> canonical.Json:
    try:
        return parse(param.type, text)
    except ValueError:  # told by whoever takes the arguments
        return text


def _read(plan: Plan, run: Run) -> dict[str, Artifact]:
    """Each input as a task of that run read it."""
    names = {(t.name, i.name): i.source.name for t in plan.tasks for i in t.ins if isinstance(i.source, InputRef)}
    pairs = ((names.get((e.record.task, a.name)), a) for e in run.outcomes for a in e.record.inputs)
    return {name: artifact for name, artifact in pairs if name is not None}


def _location(item: Input, old: Artifact, project: Path, artifacts: str) -> str | None:
    """Where the resumed run has an input; None: where the spec says, whatever lies there now."""
    if item.path is not None and old.uri in _places_of(item.path, old.digest, artifacts):
        return None
    if old.uri.startswith(BUCKETS):
        return pointer(old.uri, old.digest)
    return os.path.join(project, old.uri)


def _places_of(path: str, digest: str, artifacts: str) -> Iterator[str]:
    """Where a file of the repository lies for runs on this machine, and for those in a cluster."""
    yield path.rstrip("/")
    yield f"{artifacts.rstrip('/')}/{bundle.input_key(digest, path)}"


def _digest(item: Input, text: str | None, below: Path) -> str | None:
    """The digest of what a run would read; None where only reading it would tell."""
    if text is None:
        return item.digest
    _, at, digest = text.rpartition("@sha256:")
    if at:
        return f"sha256:{digest}"
    if text.startswith(BUCKETS):
        return None
    try:
        return measure(below / text).digest
    except (OSError, ValueError):  # told by whoever takes the arguments
        return None
