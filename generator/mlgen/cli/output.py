"""How answers, findings and faults are printed. Answers go to stdout, all else to stderr."""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import lru_cache
from typing import IO, TextIO

from mlgen import diagnostic
from mlgen.diagnostic import CannotAnswer, Diagnostic, Fault, Severity
from mlgen.secrets.telling import without_secrets

RED, YELLOW, PLAIN = "\x1b[31m", "\x1b[33m", "\x1b[0m"


def coloured(stream: IO[str]) -> bool:
    """Whether colour belongs there: a terminal whose user did not say NO_COLOR (no-color.org)."""
    return stream.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def paint(text: str, colour: str, stream: IO[str]) -> str:
    return f"{colour}{text}{PLAIN}" if coloured(stream) else text


def width(stream: IO[str]) -> int | None:
    """The columns of a terminal; None of what is none: who reads a file or pipe can cut for himself."""
    return shutil.get_terminal_size().columns if stream.isatty() else None


def answer_json(value: object) -> None:
    """Print a JSON answer on stdout, for people to read as well."""
    plain = (sys.stdout.encoding or "").lower() not in ("utf-8", "utf8")
    text = diagnostic.in_a_log(json.dumps(value, indent=2, ensure_ascii=plain))
    sys.stdout.write("".join(f"{_printable(line)}\n" for line in text.split("\n")))


def _printable(line: str) -> str:
    """A line of JSON that says the same, and that a terminal shows: C1 and bidi controls, surrogates as escapes."""
    return line if line.isprintable() else "".join(c if c.isprintable() else json.dumps(c)[1:-1] for c in line)


def note(text: str) -> None:
    """One line for people on stderr."""
    _tell(shown(text) + "\n")


def shown(text: str) -> str:
    """A text as a terminal and a CI's log may have it: without control characters, and what looks like a secret."""
    return diagnostic.visible(without_secrets(text))


def findings(found: Sequence[Diagnostic], stream: IO[str]) -> None:
    """Print findings for people, each with its place shown, and a line that counts them."""
    for one in found:
        head, *rest = map(shown, diagnostic.to_text(one, _lines(source, one.span.file)).split("\n"))
        colour = RED if one.severity is Severity.ERROR else YELLOW
        stream.write("\n".join([paint(head, colour, stream), *rest]) + "\n\n")


def summary(found: Iterable[Diagnostic]) -> str:
    """ "2 errors, 1 warning" """
    kinds = [d.severity for d in found]
    counts = ((kinds.count(Severity.ERROR), "error"), (kinds.count(Severity.WARNING), "warning"))
    return ", ".join(f"{n} {word}{'' if n == 1 else 's'}" for n, word in counts)


def findings_to_stderr(found: Sequence[Diagnostic]) -> None:
    with suppress(OSError):
        findings(found, sys.stderr)
    note(summary(found))


Source = Callable[[str], bytes]


def _no_source(file: str) -> bytes:
    raise OSError(f"{file} belongs to no project")


source: Source = _no_source  # the bytes of a file that findings name, where they may be shown; the workspace sets it


@lru_cache
def _lines(read: Source, file: str) -> list[str] | None:
    # The picture is a courtesy, and its absence no error: a finding may be that the file may not be read.
    try:
        return read(file).decode(errors="replace").removeprefix("\ufeff").splitlines()
    except (OSError, ValueError):
        return None


def print_text(text: str) -> int:
    """Print all of an answer; the exit code."""
    try:
        sys.stdout.write(text)
    except OSError as error:  # at once where Python does not buffer (PYTHONUNBUFFERED)
        return _not_printed(error)
    return let_go(0)


def let_go(code: int) -> int:
    """Flush what was printed, and return the exit code: 3 where stdout did not take the answer, else the given one."""
    _flushed(sys.stderr)  # what it does not take, nobody wants to hear
    error = _flushed(sys.stdout)
    # Where the code is that of a fault already, the reason has been told.
    return code if error is None or code == CannotAnswer.exit_code else _not_printed(error)


def _not_printed(error: OSError) -> int:
    if isinstance(error, BrokenPipeError):
        return 0
    fault(CannotAnswer("not-printed", f"the answer could not be printed: {error.strerror}", fix="print it elsewhere"))
    return CannotAnswer.exit_code


@contextmanager
def answer_of_a_deed() -> Iterator[None]:
    """Print, inside, the answer of what is done and must not be done again: that nobody reads it is no fault of it."""
    error = None
    try:
        yield
    except OSError as broken:
        error = broken
    error = _flushed(sys.stdout) or error
    if error is not None and not isinstance(error, BrokenPipeError):
        note(f"what was asked is done, but the answer could not be printed: {error.strerror}")


def _flushed(stream: TextIO) -> OSError | None:
    """Flush a stream. Where that fails it leads nowhere from now on, or Python would try again and end with 120."""
    try:
        stream.flush()
    except (OSError, ValueError) as error:  # ValueError: closed
        with suppress(OSError, ValueError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
        # A reader that left (head, less) has what it wanted.
        return error if isinstance(error, OSError) and not isinstance(error, BrokenPipeError) else None
    return None


def _tell(text: str) -> None:
    """Print on stderr; what it does not take, nobody wants to hear."""
    with suppress(OSError):
        sys.stderr.write(text)


def fault(error: Fault) -> None:
    """Print why the command could not do its work, in the shape of a finding."""
    head = paint(f"mlgen: error[{error.code}]: {shown(error.message)}", RED, sys.stderr)
    # Each line of a why or fix is a thing of its own, such as one of several arguments.
    told = [(word, line) for word, text in (("why", error.why), ("fix", error.fix)) for line in text.splitlines()]
    lines = [head, *(f"   {word}  {shown(line)}" for word, line in told)]
    _tell("\n".join(lines) + "\n")


def bug(error: Exception) -> None:
    """Our own mistake: say so in one line; the traceback is for those who ask with MLGEN_DEBUG=1."""
    if os.environ.get("MLGEN_DEBUG"):
        import traceback  # here: only a developer's wish needs it

        traceback.print_exception(error)
    text = f"{type(error).__name__}: {error}"
    _tell(f"mlgen: error[bug]: {shown(text)}\n   why  this is a mistake in mlgen, not in your files\n")
    _tell("   fix  run it again with MLGEN_DEBUG=1 and report what it prints\n")
