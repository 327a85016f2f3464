"""`mlgen graph FILE`: the pipeline as a picture."""

from __future__ import annotations

import sys
from enum import StrEnum
from typing import Annotated

import typer

from mlgen.cli.main import new_app
from mlgen.cli.options import SpecFile
from mlgen.cli.projects.workspace import Workspace
from mlgen.plan.graph import dot, mermaid

app = new_app()


class GraphFormat(StrEnum):
    """What draws it: Mermaid in a pull request, Graphviz on a desk."""

    MERMAID = "mermaid"
    DOT = "dot"


@app.command()
def graph(
    file: SpecFile,
    form: Annotated[
        GraphFormat, typer.Option("--format", help="mermaid for GitHub and GitLab, dot for Graphviz.")
    ] = GraphFormat.MERMAID,
) -> None:
    """Draw a pipeline as Mermaid or DOT."""
    made = Workspace.around([file]).plan(file)
    sys.stdout.write(mermaid(made) if form is GraphFormat.MERMAID else dot(made))
