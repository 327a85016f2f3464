"""Files that lie in a work tree with other bytes than Git keeps, by attributes: anybody may commit those."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from mlgen.git.repository import Repository

ENCODING = "working-tree-encoding"
_ASKED = (ENCODING, "ident", "filter")
_NONE = ("unspecified", "unset")


@dataclass(frozen=True, slots=True)
class Conversion:
    """What is done to a file on its way into the work tree, and back. path: below the repository's top."""

    path: str
    attribute: str
    value: str


def conversions(repository: Repository, paths: Iterable[str]) -> Iterator[Conversion]:
    """Those of files, by their paths below the top. Ends of lines do not count: YAML has no other meaning by them.

    Raises GitError. Source: gitattributes(5); git-check-attr(1), the output of -z.
    """
    data = b"".join(os.fsencode(path) + b"\0" for path in paths)
    if not data:
        return
    parts = iter(repository.run("check-attr", "-z", "--stdin", *_ASKED, data=data).split(b"\0"))
    for path, attribute, value in zip(parts, parts, parts, strict=False):
        one = Conversion(os.fsdecode(path), attribute.decode(), value.decode(errors="replace"))
        is_none = one.value in _NONE or (one.attribute == ENCODING and one.value.casefold() in {"utf-8", "utf8"})
        if not is_none:
            yield one
