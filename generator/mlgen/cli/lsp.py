"""`mlgen lsp`: a language server on standard input and output, for an editor."""

from __future__ import annotations

import os
import sys
from typing import Annotated

import typer

from mlgen.cli.main import new_app
from mlgen.diagnostic import Misuse

app = new_app()


@app.command()
def lsp(
    stdio: Annotated[
        bool, typer.Option("--stdio", help="What it does anyway; many editors say it to every server.")
    ] = True,
) -> None:
    """Serve an editor: findings as you type, completion, hover, definitions, renames.

    Speaks the Language Server Protocol on stdin and stdout; editors start it (the guide says how:
    https://github.com/mlgen/mlgen/blob/main/generator/guides/editors.md).
    Runs nothing, writes nothing, reads nothing outside the repository. Exit 1 when the editor ends without a farewell.
    """
    try:
        from mlgen.cli.editing import (
            server as lsp_server,  # here: an extra that others lack, and half a second of imports
        )
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in ("pygls", "lsprotocol"):
            raise
        fix = "pip install 'mlgen[lsp]'"
        raise Misuse("no-lsp", "a language server needs the package pygls, which is not installed", fix=fix) from None
    # What anything prints by mistake must not get among the messages.
    with os.fdopen(os.dup(sys.stdout.fileno()), "wb") as out:
        os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
        raise typer.Exit(lsp_server.serve(sys.stdin.buffer, out))
