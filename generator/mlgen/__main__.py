"""`mlgen` and `python -m mlgen`. The help of the whole costs no import of a command."""

from __future__ import annotations

import io
import sys

from mlgen.cli.verbs import help_text


def main() -> int:
    """Run the command line; the exit code is the answer (design: 0 yes, 1 no, 2 misuse, 3 fault, 130 interrupted)."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        # As stderr is: what a terminal's encoding has not, and a file's name that is not UTF-8, are shown as escapes.
        sys.stdout.reconfigure(errors="backslashreplace")
    arguments = sys.argv[1:]
    if not arguments or arguments in (["--help"], ["-h"], ["help"]):
        sys.stdout.write(help_text())
        return 0
    if arguments == ["--version"]:
        from mlgen import __version__  # here: only this answer needs it

        sys.stdout.write(f"mlgen {__version__}\n")
        return 0
    from mlgen.cli.main import run  # here: typer costs as much as all the rest of a start

    return run(arguments)


if __name__ == "__main__":
    sys.exit(main())
