"""`.mlgen/secrets.env`: secrets of runs on this machine, in a file that Git ignores and only its owner reads.

A line is NAME=value, blank, or a comment after `#`; `export ` before a name is passed over. A value goes to the end of
its line, without the blanks around it, and nothing in it has a meaning: neither `$` nor `#` nor a backslash. In single
quotes it may have blanks around it and several lines. In double quotes, too; there `\\n` is a line's end, `\\t` a tab,
`\\"` a quote and `\\\\` a backslash. Nothing is executed and no variable is put in. No error shows what a line holds.
"""

from __future__ import annotations

import errno
import os
import re
import stat
from pathlib import Path

from mlgen.diagnostic import Misuse

FILE = ".mlgen/secrets.env"  # below the project's folder
MAX_BYTES = 1 << 20

_LINE = re.compile(r"[ \t]*(?:export[ \t]+)?(?P<name>[A-Za-z_][A-Za-z0-9_]*)[ \t]*=[ \t]*")
_EMPTY = re.compile(r"[ \t]*(?:#[^\n]*)?(?:\n|\Z)")
_BARE = re.compile(r"(?P<value>[^\n]*?)[ \t\r]*(?:\n|\Z)")
_SINGLE = re.compile(r"'(?P<value>[^']*)'")
_DOUBLE = re.compile(r'"(?P<value>(?:[^"\\]|\\.)*)"', re.DOTALL)
_ESCAPES = {"n": "\n", "t": "\t", '"': '"', "\\": "\\"}
_FIX = "write NAME=value, a line each; a value with several lines in single quotes"


def read(root: Path) -> dict[str, str]:
    """The secrets that the project's file holds, name -> text; none where there is no file.

    Raises Misuse where it is a link or no file, where others than its owner can read or change it, and as `parse`.
    """
    try:
        # O_NONBLOCK: opening a FIFO would wait for a writer.
        handle = os.open(root / FILE, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.ENOTDIR):
            return {}
        fix = "put the file itself there, with `chmod 600`"
        raise Misuse("secrets-file", f"{FILE} cannot be read: {error.strerror}", fix=fix) from None
    status = os.fstat(handle)
    if not stat.S_ISREG(status.st_mode):
        os.close(handle)
        raise Misuse("secrets-file", f"{FILE} is no file", fix="put a file there, with `chmod 600`")
    with open(handle, "rb") as stream:
        if status.st_mode & 0o077:
            why = f"its mode is {stat.S_IMODE(status.st_mode):o}, and it holds secrets"
            raise Misuse("secrets-file", f"others can read {FILE}", why=why, fix=f"chmod 600 {FILE}")
        return parse(stream.read(MAX_BYTES + 1))


def parse(data: bytes) -> dict[str, str]:
    """The secrets in such a file's bytes, name -> text. Raises Misuse, with the number of the line."""
    if len(data) > MAX_BYTES:
        raise Misuse("secrets-file", f"{FILE} is larger than 1 MiB", fix=_FIX)
    try:
        text = data.decode().removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        raise _wrong(data[: error.start].count(b"\n") + 1, "is not UTF-8 text") from None
    if "\0" in text:
        raise _wrong(text.count("\n", 0, text.index("\0")) + 1, "has a NUL, which no variable can hold")
    found: dict[str, str] = {}
    at = 0
    while at < len(text):
        line = text.count("\n", 0, at) + 1
        if empty := _EMPTY.match(text, at):
            at = empty.end()
            continue
        head = _LINE.match(text, at)
        if head is None:
            raise _wrong(line, "is not NAME=value")
        if head["name"] in found:
            raise _wrong(line, f"gives {head['name'][:80]} a second time")
        found[head["name"]], at = _value(text, head.end(), line)
    return found


def _value(text: str, at: int, line: int) -> tuple[str, int]:
    """A value and where the next line begins."""
    if text[at : at + 1] not in ("'", '"'):
        bare = _BARE.match(text, at)
        assert bare is not None, "it matches everything"
        return bare["value"], bare.end()
    quoted = (_SINGLE if text[at] == "'" else _DOUBLE).match(text, at)
    if quoted is None:
        raise _wrong(line, "opens a quote that nothing closes")
    rest = _EMPTY.match(text.replace("\r\n", " \n") if "\r" in text else text, quoted.end())
    if rest is None:
        raise _wrong(line, "goes on after its closing quote")
    value = quoted["value"]
    return _unescaped(value, line) if text[at] == '"' else value, rest.end()


def _unescaped(value: str, line: int) -> str:
    def meant(match: re.Match[str]) -> str:
        if match[1] not in _ESCAPES:
            raise _wrong(line, r'has a backslash before what is none of n t " \ ')
        return _ESCAPES[match[1]]

    return re.sub(r"\\(.)", meant, value, flags=re.DOTALL)


def _wrong(line: int, what: str) -> Misuse:
    return Misuse("secrets-file", f"line {line} of {FILE} {what.strip()}", fix=_FIX)
