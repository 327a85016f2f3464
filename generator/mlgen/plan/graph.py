"""The graph of a plan as Mermaid or DOT. Names are checked; labels may hold an author's text and are escaped."""

from __future__ import annotations

from collections.abc import Iterator

from mlgen.diagnostic import visible
from mlgen.plan.model import InputRef, Plan, Task


def mermaid(plan: Plan) -> str:
    """A Mermaid flowchart. Gated tasks are drawn as hexagons, inputs as cylinders, finally tasks apart."""
    return "\n".join(_mermaid(plan)) + "\n"


def _mermaid(plan: Plan) -> Iterator[str]:
    yield "flowchart TD"
    used = _inputs(plan)
    for name in sorted({i for i, _ in used}):
        yield f'  input_{name}[("{name}")]'
    for task in plan.tasks:
        left, right = ("{{", "}}") if task.conditions else ("[", "]")
        yield f'  {_id(task.name)}{left}"{task.name}{_mermaid_gate(task)}"{right}'
    for name, reader in used:
        yield f"  input_{name} --> {_id(reader)}"
    for producer, consumer, label in plan.edges():
        arrow = f"-->|{label}|" if label not in ("if", "after") else f"-.->|{label}|"
        yield f"  {_id(producer)} {arrow} {_id(consumer)}"
    if plan.finally_tasks:
        yield "  subgraph finally"
        yield from (f'    {_id(task.name)}["{task.name}"]' for task in plan.finally_tasks)
        yield "  end"


def _id(task: str) -> str:
    # Mermaid takes words like `end` and `graph` for its own; a prefix keeps tasks apart from them and from inputs.
    return f"task_{task.replace('-', '_dash_')}"


def _mermaid_gate(task: Task) -> str:
    return "".join(f"<br/>if {_html(c.text)}" for c in task.conditions)


def _html(text: str) -> str:
    """Characters that mean something to Mermaid or to the HTML it makes, as entities."""
    return "".join(c if c.isascii() and (c.isalnum() or c in " ._-,") else f"#{ord(c)};" for c in text)


def dot(plan: Plan) -> str:
    """A Graphviz digraph."""
    return "\n".join(_dot(plan)) + "\n"


def _dot(plan: Plan) -> Iterator[str]:
    yield f"digraph {_quoted(plan.name)} {{"
    yield "  node [shape=box];"
    used = _inputs(plan)
    for name in sorted({i for i, _ in used}):
        yield f"  {_quoted('inputs.' + name)} [shape=cylinder];"
    for task in plan.tasks:
        gate = "".join(f"\nif {visible(c.text)}" for c in task.conditions)
        shape = ", shape=hexagon" if task.conditions else ""
        yield f"  {_quoted(task.name)} [label={_quoted(task.name + gate)}{shape}];"
    for name, reader in used:
        yield f"  {_quoted('inputs.' + name)} -> {_quoted(reader)};"
    for producer, consumer, label in plan.edges():
        style = ", style=dashed" if label in ("if", "after") else ""
        yield f"  {_quoted(producer)} -> {_quoted(consumer)} [label={_quoted(label)}{style}];"
    if plan.finally_tasks:
        yield "  subgraph cluster_finally {"
        yield '    label="finally";'
        yield from (f"    {_quoted(task.name)};" for task in plan.finally_tasks)
        yield "  }"
    yield "}"


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'


def _inputs(plan: Plan) -> list[tuple[str, str]]:
    """(input, task) for each task that reads an input."""
    return [(i.source.name, t.name) for t in plan.all_tasks for i in t.ins if isinstance(i.source, InputRef)]
