"""`mlgen schema KIND`: a JSON schema, for an editor or another program; or the reference that is made of it."""

from __future__ import annotations

import sys
from enum import StrEnum
from typing import Annotated, get_args

import typer

from mlgen.cli.main import new_app
from mlgen.editor import reference, schemas
from mlgen.spec import shape

app = new_app()


class Kind(StrEnum):
    """The files that have a schema."""

    PIPELINE = "pipeline"
    PROJECT = "project"
    TASK = "task"
    LOCK = "lock"


class Form(StrEnum):
    """What is printed of a kind: its schema, or its reference for people."""

    JSON = "json"
    MARKDOWN = "markdown"


KINDS: dict[Kind, shape.Kind] = {Kind(name): name for name in get_args(shape.Kind)}


@app.command()
def schema(
    kind: Annotated[
        Kind | None,
        typer.Argument(
            metavar="[pipeline|project|task|lock]",
            help="pipeline: a spec; project: mlgen.yaml; task: a reusable task; lock: mlgen.lock.",
        ),
    ] = None,
    form: Annotated[
        Form, typer.Option("--format", help="json: the schema; markdown: the reference, without KIND of all files.")
    ] = Form.JSON,
) -> None:
    """Print a JSON schema (2020-12), for an editor, or the reference of its keys.

    `mlgen init` writes all of them to schemas/; the first line of a spec names the one it follows.
    """
    if form is Form.MARKDOWN:
        sys.stdout.write(reference.page([KINDS[kind]] if kind else schemas.KINDS))
    else:
        sys.stdout.write(text(kind or Kind.PIPELINE))


def text(kind: Kind) -> str:
    """The schema's text, as published."""
    return schemas.published(KINDS[kind])
