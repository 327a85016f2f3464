"""What the author's program left: its values read, its artifacts measured, each problem said."""

from __future__ import annotations

import errno
import os
from collections.abc import Mapping
from dataclasses import dataclass

from mlgen.canonical import Json
from mlgen.diagnostic import Fault
from mlgen.runtime.protocol import Out, TaskDocument, Tree
from mlgen.runtime.secrets import held_secret
from mlgen.store import BadArtifact, Missing, StoreError, hold
from mlgen.values import Type, parse, strip_newline, to_text

MAX_SCALAR_BYTES = 64  # of a number's or boolean's text, which travels as a result of a pod


class StagingError(Exception):
    """A task cannot be staged in or out; the message names the in or out and the reason, for people."""


def reason_of(error: StoreError | Fault | OSError) -> str:
    """Why a store or a file could not be used, in words for people.

    Raises the error again when a disk is full: then no other task would fare better, and the engine must stop.
    """
    if isinstance(error, Fault):
        if error.code == "disk-full":
            raise error
        return f"{error.message} ({error.fix})" if error.fix else error.message
    if isinstance(error, OSError):
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise error
        return error.strerror or str(error)
    return str(error)


def sentence(error: Exception) -> str:
    """Whatever went wrong, in words for people; what nobody foresaw is said to be our mistake."""
    if isinstance(error, StagingError):
        return str(error)
    try:
        if isinstance(error, (StoreError, Fault, OSError)):
            return reason_of(error)
    except Fault as full:
        return f"{full.message}: give the task more `disk`"
    except OSError as full:
        return f"{full.strerror or full}: give the task more `disk`"
    return f"a mistake in mlgen-runtime: {type(error).__name__}: {error}"


@dataclass(frozen=True, slots=True)
class Values:
    """The value outs of a task. texts: None for an optional one not written. parsed: of those that were."""

    texts: Mapping[str, str | None]
    parsed: Mapping[str, Json]


def read_values(document: TaskDocument, tree: Tree, secrets: Mapping[str, str]) -> tuple[Values, list[str]]:
    """The values that were written, and what is wrong with the others: a sentence each.

    secrets: name -> text that no value may hold, since values are recorded.
    """
    texts: dict[str, str | None] = {}
    parsed: dict[str, Json] = {}
    problems = []
    for out in document.outs:
        if out.type.is_artifact:
            continue
        try:
            text = read_text(tree, out)
            if text is not None:
                # Before it is parsed: what is wrong with a text is said with a piece of it.
                _refuse_secrets(out, text, secrets)
                value = _parse(out, text)
                _refuse_secrets(out, to_text(value), secrets)  # JSON can write any character as \u0061
                parsed[out.name] = value
            texts[out.name] = text
        except StagingError as error:
            problems.append(str(error))
    return Values(texts, parsed), problems


def read_text(tree: Tree, out: Out) -> str | None:
    """The text of a value out less one newline; None for an optional one not written. Raises StagingError."""
    limit = out.max_bytes if out.max_bytes is not None else MAX_SCALAR_BYTES
    try:
        with hold(tree.output(out.name), beneath=tree.root) as held:
            if held.is_folder:
                raise StagingError(f'out "{out.name}" is a {out.type}: write a file, not a folder')
            data = os.pread(held.descriptor, limit + 2, 0)  # one more may be the newline that is dropped
            size = max(held.size_bytes, len(data))
    except Missing:
        if out.optional:
            return None
        raise not_written(out) from None
    except (BadArtifact, OSError) as error:
        raise StagingError(f'out "{out.name}" cannot be read: {reason_of(error)}') from None
    if len(data.removesuffix(b"\n")) > limit:
        hint = "make it a file, or raise its `max`" if out.max_bytes is not None else f"a {out.type} is shorter"
        raise StagingError(f'out "{out.name}" has {size:,} bytes, more than {limit:,}: {hint}')
    try:
        return strip_newline(data.decode())
    except UnicodeDecodeError as error:
        raise StagingError(f'out "{out.name}" is not UTF-8 text at byte {error.start + 1}') from None


def not_written(out: Out) -> StagingError:
    """What is said of a required out that is not there."""
    return StagingError(f'out "{out.name}" was not written: write to "${out.name}", or make it `optional: true`')


def _parse(out: Out, text: str) -> Json:
    try:
        return parse(out.type, text)
    except ValueError as error:
        raise StagingError(f'out "{out.name}" ({out.type}): {error}') from None


def _refuse_secrets(out: Out, text: str, secrets: Mapping[str, str]) -> None:
    name = held_secret([text], secrets)
    if name is not None:
        raise StagingError(f'out "{out.name}" holds the secret {name}, and outs are recorded: leave it out')


def metrics_and_values(document: TaskDocument, parsed: Mapping[str, Json]) -> tuple[dict[str, Json], dict[str, Json]]:
    """The parsed outs as a record has them: a metric only in the first, all others in the second."""
    metrics = {o.name for o in document.outs if o.type is Type.METRIC}
    return (
        {name: value for name, value in parsed.items() if name in metrics},
        {name: value for name, value in parsed.items() if name not in metrics},
    )
