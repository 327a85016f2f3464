"""`mlgen` and `python -m mlgen`. The help of the whole costs no import of a command."""

from __future__ import annotations

import io
import os
import sys

INTERRUPTED = 130


def main() -> int:
    """Run the command line; the exit code is the answer (design: 0 yes, 1 no, 2 misuse, 3 fault, 130 interrupted)."""
    try:
        _open_streams()
        code = _answer(sys.argv[1:])
    except KeyboardInterrupt:  # also while the command's modules are read
        code = INTERRUPTED
    if code == INTERRUPTED:
        # All is cleaned up and flushed. The interpreter would wait for threads, and one may hang on a host for minutes.
        os._exit(code)
    return code


def _answer(arguments: list[str]) -> int:
    # All imports here: an interrupt while they run ends as any other; and typer costs as much as all else of a start.
    from mlgen.cli.output import print_text

    if not arguments or arguments in (["--help"], ["-h"], ["help"]):
        from mlgen.cli.verbs import help_text

        return print_text(help_text())
    if arguments == ["--version"]:
        from mlgen import __version__

        return print_text(f"mlgen {__version__}\n")
    from mlgen.cli.main import run

    return run(arguments)


def _open_streams() -> None:
    """A standard stream that the caller closed leads nowhere; its number must not go to the next file opened."""
    for number in (0, 1, 2):
        try:
            os.fstat(number)
        except OSError:
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)  # the lowest number that is free: this one
    for name, number in (("stdout", 1), ("stderr", 2)):
        if getattr(sys, name) is None:
            setattr(sys, name, os.fdopen(number, "w", encoding="utf-8", closefd=False))
    if isinstance(sys.stdout, io.TextIOWrapper):
        # As stderr is: what a terminal's encoding has not, and a file's name that is not UTF-8, are shown as escapes.
        sys.stdout.reconfigure(errors="backslashreplace")


if __name__ == "__main__":
    sys.exit(main())
