"""The path that was probably meant by one that is not there."""

from __future__ import annotations

import posixpath
from collections.abc import Collection
from difflib import get_close_matches

from mlgen.spec.model import Files

MAX_PARTS = 16  # of a path that are compared with what is there
MAX_NAMES = 300  # of a folder, and
MAX_LENGTH = 80  # characters of a name: comparing takes time


def as_written(written: str, naming_file: str, files: Files, *kinds: str) -> str | None:
    """The path near a spec's, written from where it may start; None where nothing of these kinds is near.

    written: a relative path of a spec that leads nowhere. naming_file: the spec, below the project's folder.
    """
    base = posixpath.dirname(naming_file)
    dotted = written.startswith(("./", "../"))
    one, other = (
        posixpath.normpath(posixpath.join(start, written)) for start in ((base, "") if dotted else ("", base))
    )
    if files.kind(other) in kinds:  # the commonest mistake: the right path, from the other start
        return other if dotted else _from(base, other)
    found = nearest(one, files, *kinds)
    if found is not None:
        return _from(base, found) if dotted else found
    found = nearest(other, files, *kinds)
    return None if found is None else found if dotted else _from(base, found)


def _from(base: str, path: str) -> str:
    """A path of the project, written from a folder of it."""
    relative = posixpath.relpath(path, base or ".")
    return relative if relative.startswith("../") else f"./{relative}"


def nearest(path: str, files: Files, *kinds: str) -> str | None:
    """The path of one of some kinds that is there, each part of it the given one or near it; below the project."""
    parts = path.split("/")
    if path.startswith("..") or len(parts) > MAX_PARTS:
        return None
    found = ""
    for part in parts:
        here = posixpath.join(found, part)
        if files.kind(here) is None:
            guess = _name(part, files.beside(here))
            if guess is None:
                return None
            here = posixpath.join(found, guess)
        found = here
    return found if files.kind(found) in kinds else None


def _name(given: str, names: Collection[str]) -> str | None:
    if len(given) > MAX_LENGTH or len(names) > MAX_NAMES:
        return None
    likely = get_close_matches(given, [name for name in names if len(name) <= MAX_LENGTH], n=5)
    return next((name for name in likely if get_close_matches(_stem(given), [_stem(name)])), None)


def _stem(name: str) -> str:
    """What of a name is to be near too: an ending alone makes no two files alike."""
    return name[:1] + name[1:].partition(".")[0]
