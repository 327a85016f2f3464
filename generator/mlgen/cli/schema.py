"""`mlgen schema KIND`: a JSON schema, for an editor or another program."""

from __future__ import annotations

import sys
from enum import StrEnum
from importlib import resources
from typing import Annotated

import typer

from mlgen.cli.main import new_app

app = new_app()


class Kind(StrEnum):
    """The files that have a schema."""

    PIPELINE = "pipeline"
    PROJECT = "project"
    TASK = "task"


@app.command()
def schema(
    kind: Annotated[
        Kind,
        typer.Argument(
            metavar="[pipeline|project|task]", help="pipeline: a spec; project: mlgen.yaml; task: a reusable task."
        ),
    ] = Kind.PIPELINE,
) -> None:
    """Print a JSON schema (2020-12), for an editor.

    `mlgen init` writes all of them to schemas/; the first line of a spec names the one it follows.
    """
    sys.stdout.write(text(kind))


def text(kind: Kind) -> str:
    """The schema's text, as published."""
    return resources.files("mlgen.spec").joinpath(f"schema/{kind}.v1.json").read_text("utf-8")
