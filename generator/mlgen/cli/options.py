"""Arguments that several verbs share, each with its one meaning."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

MOST = 1_000_000  # that --limit takes: what nobody reads, and every program holds


class Format(StrEnum):
    """How an answer is printed: for people, or for programs with the same content."""

    TEXT = "text"
    JSON = "json"


FormatOption = Annotated[Format, typer.Option("--format", help="text for people, json for programs.")]
SpecFile = Annotated[Path, typer.Argument(metavar="FILE", help="A spec, such as pipelines/hello.yaml.")]
SpecFileOrNone = Annotated[
    Path | None,
    typer.Argument(metavar="[FILE]", help="A spec, such as pipelines/hello.yaml; --due and --event can do without."),
]
SpecFiles = Annotated[
    list[Path] | None, typer.Argument(metavar="[FILE]...", help="Specs. Without any: all of pipelines/.")
]
EnvOption = Annotated[str, typer.Option("--env", metavar="E", help="An environment of mlgen.yaml.")]
