"""`mlgen lineage ARTIFACT|RUN`: where it came from, what was made of it."""

from __future__ import annotations

import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from mlgen.cli.ledgers.history import ask
from mlgen.cli.main import new_app
from mlgen.cli.options import MOST, EnvOption
from mlgen.cli.output import answer_json, note
from mlgen.cli.projects.workspace import Workspace
from mlgen.ledger.index.history import History
from mlgen.ledger.questions.drawing import to_dot, to_mermaid, to_tree
from mlgen.ledger.questions.graph import Graph
from mlgen.ledger.questions.lineage import MOST_NODES, trace
from mlgen.ledger.questions.naming import find
from mlgen.local.arguments import recorded_path
from mlgen.store import StoreError, measure

app = new_app()


class LineageFormat(StrEnum):
    """What reads it: people, programs, Graphviz, Mermaid in a pull request."""

    TEXT = "text"
    JSON = "json"
    DOT = "dot"
    MERMAID = "mermaid"


@app.command()
def lineage(
    wanted: Annotated[
        str,
        typer.Argument(
            metavar="ARTIFACT|RUN",
            help="A digest (8 hex digits or more), a path, a URI, pipeline/task/out[@run], or a run.",
        ),
    ],
    *,
    up: Annotated[bool, typer.Option("--up", help="Only where it came from.")] = False,
    down: Annotated[bool, typer.Option("--down", help="Only what was made of it.")] = False,
    depth: Annotated[int | None, typer.Option("--depth", metavar="N", min=1, help="The most tasks on a way.")] = None,
    limit: Annotated[int, typer.Option("--limit", metavar="N", min=1, max=MOST, help="The most nodes.")] = MOST_NODES,
    env: EnvOption = "local",
    form: Annotated[LineageFormat, typer.Option("--format", help="text, json, dot or mermaid.")] = LineageFormat.TEXT,
) -> None:
    """Say where an artifact came from and what was made of it."""
    both = up == down
    here = Path(wanted.removeprefix("file://")) if "://" not in wanted or wanted.startswith("file://") else None
    root = Workspace.around().root
    path = recorded_path(here, root) if here else None

    def traced(history: History) -> tuple[Graph, dict[str, str | None]]:
        start = find(history, wanted, path, lambda: _digest(here, root))
        return trace(history, start, up=up or both, down=down or both, depth=depth, most=limit), history.rests_on

    graph, rests_on = ask(env, traced)
    if graph.cut:
        note(f"there is more: this is cut at {limit:,} nodes (--limit), or name a --depth")
    match form:
        case LineageFormat.JSON:
            answer_json(graph.to_json() | rests_on)
        case LineageFormat.DOT:
            sys.stdout.write(to_dot(graph))
        case LineageFormat.MERMAID:
            sys.stdout.write(to_mermaid(graph))
        case LineageFormat.TEXT:
            sys.stdout.write(f"{to_tree(graph, up=up or both, down=down or both)}\nledger  {graph.ledger}\n")


def _digest(path: Path | None, root: Path) -> str | None:
    """Of a file, or of a folder of the project: another one may be the whole disk."""
    try:
        is_asked = path is not None and (path.is_file() or root in path.resolve().parents)
        return measure(path).digest if path is not None and is_asked else None
    except (StoreError, OSError, RuntimeError):  # RuntimeError: before Python 3.13, links in a circle
        return None
