"""`sources` of mlgen.lock, written anew; every other line stays as it is."""

from __future__ import annotations

import json
from collections.abc import Mapping

from mlgen.spec.document import read
from mlgen.spec.lock_text import HEAD
from mlgen.spec.sources import Locked, build_locked

_NOTE = "# The commits of `sources` in mlgen.yaml, and the digests of what is used of them, in vendor/.\n"


def with_sources(data: bytes | None, sources: Mapping[str, Locked]) -> bytes:
    """The bytes of a lock with these sources, by name. data None: there is no file yet.

    Raises ValueError where the file is laid out so that this cannot be done: the result is read again.
    """
    text = HEAD.removesuffix("images:\n") if data is None else data.decode("utf-8-sig")
    if build_locked(read("mlgen.lock", text.encode())) == dict(sources):
        return text.encode() if data is None else data
    end = "\r\n" if "\r\n" in text else "\n"
    lines = text.splitlines(keepends=True)
    kept, at = _without(lines)
    block = (
        []
        if not sources
        else [*([] if at is not None else [_NOTE]), "sources:\n", *map(_entry, sorted(sources.items()))]
    )
    if kept and not kept[-1].endswith("\n"):
        kept[-1] += end
    where = len(kept) if at is None else at
    new = "".join([*kept[:where], *("".join(block).replace("\n", end),), *kept[where:]])
    if build_locked(read("mlgen.lock", new.encode())) != dict(sources):
        raise ValueError("its entries are laid out in a way that would be lost")
    return new.encode()


def _without(lines: list[str]) -> tuple[list[str], int | None]:
    """The lines without those of `sources`, and where that was; None where there is none."""
    start = next((i for i, line in enumerate(lines) if line.startswith("sources:")), None)
    if start is None:
        return list(lines), None
    stop = start + 1
    while stop < len(lines) and (lines[stop][:1] in (" ", "\t") or not lines[stop].strip()):
        stop += 1
    return [*lines[:start], *lines[stop:]], start


def _entry(item: tuple[str, Locked]) -> str:
    name, locked = item
    keys = (("url", _text(locked.url)), ("ref", _text(locked.ref)), ("commit", _text(locked.commit)))
    return f"  {name}:\n" + "".join(f"    {key}: {text}\n" for key, text in (*keys, ("digest", locked.digest)))


def _text(value: str) -> str:
    return json.dumps(value, ensure_ascii=False)  # quoted: a commit such as 1234e56… is a number to some readers
