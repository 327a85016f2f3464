"""`mlgen ledger hook`: a pre-receive hook for Git servers, which needs no mlgen there."""

from __future__ import annotations

from importlib import resources

import typer

from mlgen.cli.output import print_text


def hook() -> None:
    """Print a pre-receive hook, by which a Git server takes nothing but new records on the ledger's branch.

    On the server, in the bare repository: mlgen ledger hook > hooks/pre-receive; its first lines say the rest.
    """
    raise typer.Exit(print_text(resources.files("mlgen.ledger").joinpath("pre-receive").read_text()))
