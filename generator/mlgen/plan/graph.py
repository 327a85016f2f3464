"""The graph of a plan as Mermaid or DOT. Names are checked; labels may hold an author's text and are escaped."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from mlgen.diagnostic import visible
from mlgen.plan.fan_words import items_text, pick_text
from mlgen.plan.model import InputRef, Plan, Task
from mlgen.plan.show import gate

MAX_LINE = 48  # characters of a condition: a gate is a hint in a picture, and has to leave it room
MAX_LINES = 3
AFTERWARDS = "finally: when all have ended"
ORDERS = ("if", "after")  # labels of edges on which no data flows: drawn broken


def mermaid(plan: Plan) -> str:
    """A Mermaid flowchart. Gated tasks are drawn as hexagons, inputs as cylinders, finally tasks in a box below."""
    return "\n".join(_mermaid(plan)) + "\n"


def _mermaid(plan: Plan) -> Iterator[str]:
    # Downwards: names and the labels of edges are wide and low, and a page scrolls that way.
    yield "flowchart TD"
    used = _inputs(plan)
    yield from (f'  input_{name}[("{name}")]' for name in sorted({i for i, _ in used}))
    yield from _mermaid_nodes(_grouped(plan.tasks), "  ")
    yield from (f"  input_{name} --> {node_id(reader)}" for name, reader in used)
    for producer, consumer, label in _edges(plan):
        arrow = "-.->" if label in ORDERS else "-->"
        yield f"  {node_id(producer)} {arrow}|{label}| {node_id(consumer)}"
    if plan.finally_tasks:
        yield f'  subgraph finally["{AFTERWARDS}"]'
        yield from (f"    {_mermaid_node(task)}" for task in plan.finally_tasks)
        yield "  end"
        yield from (f"  {node_id(name)} -.-> finally" for name in _last(plan))


@dataclass
class _Group:
    """Tasks, and groups of them by the name of the task whose pipeline they are of, in the order of the plan."""

    name: str = ""
    tasks: list[Task] = field(default_factory=list)
    groups: dict[str, _Group] = field(default_factory=dict)


def _grouped(tasks: Iterable[Task]) -> _Group:
    whole = _Group()
    for task in tasks:
        group = whole
        for name in task.group:
            group = group.groups.setdefault(name, _Group(name))
        group.tasks.append(task)
    return whole


def _mermaid_nodes(group: _Group, indent: str) -> Iterator[str]:
    yield from (f"{indent}{_mermaid_node(task)}" for task in group.tasks)
    for inner in group.groups.values():
        yield f'{indent}subgraph of_{node_id(inner.name)}["{inner.name}"]'
        yield from _mermaid_nodes(inner, indent + "  ")
        yield f"{indent}end"


def _mermaid_node(task: Task) -> str:
    left, right = ("{{", "}}") if task.conditions else ("[", "]")
    lines = [task.name, *(_html(line) for line in (*_fan(task), *_gate(task)))]
    return f'{node_id(task.name)}{left}"{"<br/>".join(lines)}"{right}'


def node_id(task: str) -> str:
    """What a task is called in a flowchart."""
    # Mermaid takes words like `end` and `graph` for its own; a prefix keeps tasks apart from them and from inputs.
    return f"task_{task.replace('-', '_dash_')}"


def _html(text: str) -> str:
    """Characters that mean something to Mermaid or to the HTML it makes, as entities."""
    return "".join(c if c.isascii() and (c.isalnum() or c in " ._-,>=!()") else f"#{ord(c)};" for c in text)


def dot(plan: Plan) -> str:
    """A Graphviz digraph, drawn like the flowchart."""
    return "\n".join(_dot(plan)) + "\n"


def _dot(plan: Plan) -> Iterator[str]:
    yield f"digraph {_quoted(plan.name)} {{"
    yield "  compound=true;"  # an edge may end at a cluster
    yield "  node [shape=box, style=rounded];"
    used = _inputs(plan)
    for name in sorted({i for i, _ in used}):
        yield f"  {_quoted('inputs.' + name)} [label={_quoted(name)}, shape=cylinder, style=solid];"
    yield from _dot_nodes(_grouped(plan.tasks), "  ")
    yield from (f"  {_quoted('inputs.' + name)} -> {_quoted(reader)};" for name, reader in used)
    for producer, consumer, label in _edges(plan):
        style = ", style=dashed" if label in ORDERS else ""
        yield f"  {_quoted(producer)} -> {_quoted(consumer)} [label={_quoted(label)}{style}];"
    if plan.finally_tasks:
        yield "  subgraph cluster_finally {"
        yield f"    label={_quoted(AFTERWARDS)};"
        yield from (f"    {_dot_node(task)}" for task in plan.finally_tasks)
        yield "  }"
        into = _quoted(plan.finally_tasks[0].name)
        yield from (f"  {_quoted(name)} -> {into} [lhead=cluster_finally, style=dotted];" for name in _last(plan))
    yield "}"


def _dot_nodes(group: _Group, indent: str) -> Iterator[str]:
    yield from (f"{indent}{_dot_node(task)}" for task in group.tasks)
    for inner in group.groups.values():
        yield f"{indent}subgraph {_quoted(f'cluster_{inner.name}')} {{"
        yield f"{indent}  label={_quoted(inner.name)};"
        yield from _dot_nodes(inner, indent + "  ")
        yield f"{indent}}}"


def _dot_node(task: Task) -> str:
    shape = ", shape=hexagon, style=solid" if task.conditions else ""
    label = "\n".join([task.name, *map(visible, (*_fan(task), *_gate(task)))])
    return f"{_quoted(task.name)} [label={_quoted(label)}{shape}];"


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'


def _fan(task: Task) -> list[str]:
    """How often a task runs, in a line."""
    if task.fan is None:
        return []
    text = items_text(task.fan) + (f", {pick_text(task.fan)}" if task.fan.pick else "")
    return [text if len(text) <= MAX_LINE else f"{text[: MAX_LINE - 3]}..."]


def _gate(task: Task) -> list[str]:
    """The lines of a task's gate; what is too long for a picture is cut, `mlgen plan` has it whole."""
    lines = [f"{word} {text}" for word, text in gate(task)]
    cut = [line if len(line) <= MAX_LINE else f"{line[: MAX_LINE - 3]}..." for line in lines[:MAX_LINES]]
    return [*cut, "and ..."] if len(lines) > MAX_LINES else cut


def _inputs(plan: Plan) -> list[tuple[str, str]]:
    """(input, task) for each task that reads an input."""
    found = ((i.source.name, t.name) for t in plan.all_tasks for i in t.ins if isinstance(i.source, InputRef))
    return list(dict.fromkeys(found))


def _edges(plan: Plan) -> Iterator[tuple[str, str, str]]:
    """The plan's edges, with one for all outs that a task reads of another."""
    labels: dict[tuple[str, str], list[str]] = {}
    for producer, consumer, label in plan.edges():
        labels.setdefault((producer, consumer), []).append(label)
    yield from ((producer, consumer, ", ".join(outs)) for (producer, consumer), outs in labels.items())


def _last(plan: Plan) -> list[str]:
    """The tasks that no other one waits for."""
    waited_for = {producer for producer, _, _ in plan.edges()}
    return [task.name for task in plan.tasks if task.name not in waited_for]
