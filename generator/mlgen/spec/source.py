"""The text of one file, and the way from its characters to lines and columns."""

from __future__ import annotations

import re
from bisect import bisect_right
from functools import cached_property
from itertools import accumulate

from mlgen.diagnostic import Diagnostic, Span

MAX_BYTES = 1 << 20  # of a file: 300 times a large spec, and nothing that is slow to refuse

# What YAML does not call printable (YAML 1.2.2 §5.1; surrogates cannot come out of UTF-8), and three characters that
# YAML 1.1 readers take for line ends (U+0085, U+2028, U+2029): lines would be counted in two ways.
_REFUSED = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff]")


class Source:
    """A file's text. Offsets count its characters from 0; lines and columns of a Span count from 1."""

    def __init__(self, file: str, text: str) -> None:
        self.file, self.text = file, text

    @cached_property
    def lines(self) -> tuple[str, ...]:
        """The text's lines, without their ends."""
        return tuple(self.text.splitlines())

    @cached_property
    def _starts(self) -> list[int]:
        return list(accumulate((len(line) for line in self.text.splitlines(keepends=True)), initial=0))

    def position(self, offset: int) -> tuple[int, int]:
        """Line and column of an offset, both from 1. What is past the last line is at its end."""
        line = bisect_right(self._starts, offset)
        if line > len(self.lines):
            return max(1, len(self.lines)), 1 + len(self.lines[-1] if self.lines else "")
        return line, offset - self._starts[line - 1] + 1

    def span(self, start: int, end: int) -> Span:
        """The place from one offset to another; end is exclusive."""
        return Span(self.file, *self.position(start), *self.position(end))

    def point(self, offset: int) -> Span:
        """The place of one character."""
        line, column = self.position(offset)
        return Span(self.file, line, column, line, column + 1)

    @property
    def first_line(self) -> Span:
        """The place of what is missing from the file as a whole."""
        return Span(self.file, 1, 1, 1, 1 + len(self.lines[0] if self.lines else ""))


def decode(file: str, data: bytes) -> tuple[Source, Diagnostic | None]:
    """The text of a file's bytes; with a finding when it is too large, not UTF-8, or holds what no text file should.

    The source of a refused file holds what can be shown of it.
    """
    if len(data) > MAX_BYTES:
        why = f"{MAX_BYTES:,} bytes (1 MiB) are allowed"
        fix = "specs are read by people: move data into a file of its own, or split the pipeline"
        source = Source(file, "")
        return source, Diagnostic("too-large", "the file is larger than a spec may be", source.first_line, why, fix)
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        return _not_utf8(file, data, error)
    source = Source(file, text.removeprefix("\ufeff"))
    match = _REFUSED.search(source.text)
    if match is None:
        return source, None
    name = f"U+{ord(match[0]):04X}"
    span = source.point(match.start())
    why = "control characters and odd line ends are shown and counted differently by every tool"
    fix = f'remove it, or write it as an escape in double quotes: "\\u{ord(match[0]):04x}"'
    return source, Diagnostic("yaml-syntax", f"the character {name} cannot stand in a YAML file", span, why, fix)


def _not_utf8(file: str, data: bytes, error: UnicodeDecodeError) -> tuple[Source, Diagnostic]:
    source = Source(file, data.decode(errors="replace"))
    offset = len(data[: error.start].decode())
    why = "specs are read as UTF-8, as YAML 1.2 and Git tools expect"
    if data.startswith((b"\xff\xfe", b"\xfe\xff")) or b"\0" in data[:4]:
        why = f"it looks like UTF-16 or UTF-32; {why}"
    message = f"the byte 0x{data[error.start]:02x} is not UTF-8 text"
    return source, Diagnostic("not-utf8", message, source.point(offset), why, "save the file as UTF-8")
