"""mlgen.lock mended: lines added, taken out, digests replaced; every other byte stays, comments too."""

from __future__ import annotations

import codecs
import re
from bisect import bisect_right
from collections.abc import Collection, Mapping

from mlgen.diagnostic import Span
from mlgen.spec.document import Document, read
from mlgen.spec.load import load_lock

HEAD = """\
# The images that specs name by a tag, pinned: made by `mlgen lock`, reviewed like code.
# `mlgen lock --upgrade` asks which digests the tags have now.
version: 1
images:
"""
_PLAIN = re.compile(r"[A-Za-z][A-Za-z0-9._/-]*[:/][A-Za-z0-9._:/-]*")  # a text for each YAML, 1.1 and 1.2


def mended(data: bytes | None, digests: Mapping[str, str], unused: Collection[str]) -> bytes:
    """The bytes of a lock with these digests and without these entries. data None: there is no file yet.

    A new entry goes where the order of names says, if the entries are in it, else to the end. The comment on an
    entry's own line goes with it; those on lines of their own stay. Raises ValueError where the file is laid out so
    that this cannot be done: the result is read again, and must say what was wanted.
    """
    if data is None:
        return (HEAD + "".join(f"  {_entry(image, digests[image])}\n" for image in sorted(digests))).encode()
    if not digests and not unused:
        return data
    document = read("mlgen.lock", data)
    before, found = load_lock(document)
    if found:
        raise ValueError("the lock has findings")
    wanted = {image: digest for image, digest in before.items() if image not in unused} | dict(digests)
    text = _Text(document)
    if text.is_block:
        for image in before:
            if image in unused:
                text.remove(image)
            elif wanted[image] != before[image]:
                text.replace(image, wanted[image])
        text.add({image: digest for image, digest in wanted.items() if image not in before}, unused)
    else:
        text.lay_out(wanted)
    after = (codecs.BOM_UTF8 if data.startswith(codecs.BOM_UTF8) else b"") + text.done().encode()
    if load_lock(read("mlgen.lock", after)) != (wanted, []):
        raise ValueError("its entries are laid out in a way that would be lost")
    return after


def _entry(image: str, digest: str) -> str:
    key = image if _PLAIN.fullmatch(image) else f'"{image}"'
    return f"{key}: {digest}"


class _Text:
    """A lock's text, and the changes that are to be made: (start, end, what comes there), as offsets."""

    def __init__(self, document: Document) -> None:
        self.text = document.source.text
        self.end = "\r\n" if "\r\n" in self.text else "\n"
        self.document = document
        self.changes: list[tuple[int, int, str]] = []
        images = document.data.get("images") if isinstance(document.data, dict) else None
        self.images = list(images) if isinstance(images, dict) else []
        self.starts = [0]  # of lines
        for line in self.text.splitlines(keepends=True):
            self.starts.append(self.starts[-1] + len(line))
        self.entries = {i: self._bounds(i) for i in self.images}

    @property
    def is_block(self) -> bool:
        """Whether each entry has a line of its own, and nothing else is on it; true where there is none."""
        starts = [start for start, _, _ in self.entries.values()]
        return all(not self.text[self._line(start) : start].strip(" ") for start in starts) and all(
            end <= self._next_line(start) and self.text[end : end + 1] not in (",", "}")
            for start, _, end in self.entries.values()
        )

    def _bounds(self, image: str) -> tuple[int, int, int]:
        """Where an entry, and its digest, begin and end."""
        route = ("images", image)
        key, value = self.document.key_span(route), self.document.span(route)
        return self._offset(key), self._offset(value), self._offset(value, end=True)

    def _offset(self, span: Span, *, end: bool = False) -> int:
        line, column = (span.end_line, span.end_column) if end else (span.line, span.column)
        return self.starts[line - 1] + column - 1

    def _line(self, offset: int) -> int:
        """Where the line of an offset begins."""
        return self.starts[bisect_right(self.starts, offset) - 1]

    def _next_line(self, offset: int) -> int:
        return next((start for start in self.starts if start > offset), len(self.text))

    def replace(self, image: str, digest: str) -> None:
        _, start, end = self.entries[image]
        quote = self.text[start] if self.text[start] in "'\"" else ""
        self.changes.append((start, end, f"{quote}{digest}{quote}"))

    def remove(self, image: str) -> None:
        start, _, end = self.entries[image]
        self.changes.append((self._line(start), self._next_line(end - 1), ""))

    def add(self, digests: Mapping[str, str], unused: Collection[str]) -> None:
        """Entries that are not there yet. unused: those that are taken out."""
        kept = [image for image in self.images if image not in unused]
        if not kept:
            self._begin(digests)
            return
        start = self.entries[kept[0]][0]
        indent = self.text[self._line(start) : start]
        in_order = self.images == sorted(self.images)
        for image in sorted(digests):
            before = [k for k in kept if k < image] if in_order else kept
            # Behind the entry before it: comments above an entry are of that entry. The first goes above those.
            at = self._next_line(self.entries[before[-1]][2] - 1) if before else self._after_key()
            self._insert(at, f"{indent}{_entry(image, digests[image])}{self.end}")

    def _begin(self, digests: Mapping[str, str]) -> None:
        """The map itself: it is not there, or has nothing in it, or loses all that it has."""
        lines = "".join(f"  {_entry(image, digests[image])}{self.end}" for image in sorted(digests))
        data = self.document.data
        assert isinstance(data, dict)
        if "images" not in data:
            if digests:
                self._insert(len(self.text), f"images:{self.end}{lines}")
            return
        if self.images and digests:
            self._insert(self._after_key(), lines)
        elif self.images:  # a key without a value is no map
            colon = self.text.index(":", self._offset(self.document.key_span(("images",)), end=True)) + 1
            self.changes.append((colon, colon, " {}"))
        elif digests:
            self.lay_out(digests)

    def lay_out(self, digests: Mapping[str, str]) -> None:
        """A map in braces becomes one with a line for each entry: those that are there in their order, then the new."""
        value = self.document.span(("images",))
        start, end = self._offset(value), self._offset(value, end=True)
        if "#" in self.text[start:end] or self.text[start : start + 1] != "{":
            raise ValueError("there are comments between its braces")
        while self.text[start - 1] == " ":
            start -= 1
        self.changes.append((start, end, "" if digests else " {}"))
        order = [i for i in self.images if i in digests] + sorted(digests.keys() - set(self.images))
        self._insert(self._next_line(end), "".join(f"  {_entry(i, digests[i])}{self.end}" for i in order))

    def _after_key(self) -> int:
        return self._next_line(self._offset(self.document.key_span(("images",))))

    def _insert(self, at: int, lines: str) -> None:
        if at == len(self.text) and self.text and not self.text.endswith("\n"):
            lines = self.end + lines.removesuffix(self.end)
        self.changes.append((at, at, lines))

    def done(self) -> str:
        parts, at = [], 0
        # By place, and stable: what is added at one place keeps its order, and precedes what is taken out there.
        for start, end, new in sorted(self.changes, key=lambda change: change[:2]):
            parts += [self.text[at:start], new]
            at = end
        return "".join([*parts, self.text[at:]])
