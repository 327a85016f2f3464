"""A lineage as a picture: a tree of text, Mermaid, or DOT. Labels hold what others wrote: they are escaped."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from mlgen.diagnostic import visible
from mlgen.ledger.questions.graph import Graph
from mlgen.ledger.records.artifact import place
from mlgen.ledger.records.task import State
from mlgen.values import to_quoted_text

SHORT = 12  # hex digits of a digest that people compare by eye
NO_DIGEST = "(no digest)"  # of what only other producers tell of
MAX_VALUE = 60  # characters of a param or metric in a picture

Node = Mapping[str, Any]


def to_tree(graph: Graph, *, up: bool, down: bool) -> str:
    """The lineage for people: what was asked for, below it where it came from, then what was made of it."""
    lines: list[str] = []
    for is_up in (direction for direction, wanted in ((True, up), (False, down)) if wanted):
        if up and down:
            lines += ["where it came from" if is_up else "what was made of it"]
        beside = _neighbours(graph, up=is_up)
        for root in _tops(graph, beside):
            lines += _branch(graph, root, beside, up=is_up)
        lines.append("")
    return "\n".join(lines)


def _neighbours(graph: Graph, *, up: bool) -> dict[str, list[str]]:
    found: dict[str, list[str]] = defaultdict(list)
    for edge in graph.edges:
        near, far = (edge.target, edge.source) if up else (edge.source, edge.target)
        found[near].append(far)
    return found


def _tops(graph: Graph, beside: Mapping[str, list[str]]) -> list[str]:
    """The roots that no other root leads to: of a run, its last tasks (up) or its first (down)."""
    below: set[str] = set()
    waiting = [far for root in graph.roots for far in beside.get(root, ())]
    while waiting:
        node = waiting.pop()
        if node not in below:
            below.add(node)
            waiting += beside.get(node, ())
    return [root for root in graph.roots if root not in below] or graph.roots


def _branch(graph: Graph, root: str, beside: Mapping[str, list[str]], *, up: bool) -> Iterator[str]:
    """A node and all below it; what was drawn before is named only. Iterative: a lineage may be thousands deep."""
    drawn: set[str] = set()  # nodes, and runs whose params were told: all tasks of a run have the same
    waiting = [(root, "", "")]  # node, what its first line begins with, what its other lines begin with
    while waiting:
        key, first, rest = waiting.pop()
        node = graph.nodes[key]
        again = key in drawn and bool(beside.get(key))
        head, *about = _artifact_lines(node) if node["kind"] == "artifact" else _task_lines(node, graph, drawn)
        yield f"{first}{visible(head)}{'  (above)' if again else ''}"
        if again:
            continue
        drawn.add(key)
        below = beside.get(key, [])
        yield from (f"{rest}{'│  ' if below else '   '}{visible(line)}" for line in about)
        if not below and up and node["kind"] == "artifact" and key == root:
            yield f"{rest}   no record says what made it"
        for at, far in reversed(list(enumerate(below))):
            last = at == len(below) - 1
            waiting.append((far, f"{rest}{'└─ ' if last else '├─ '}", f"{rest}{'   ' if last else '│  '}"))


def _artifact_lines(node: Node) -> list[str]:
    if node["digest"] is None:
        return [f"{node['name']}  {NO_DIGEST}  {place(node['uri'])}"]
    size = f"{node['sizeBytes']:,} bytes"
    return [f"{node['name']}  {_short(node['digest'])}  {node['type']}, {size}  {place(node['uri'])}"]


def _task_lines(node: Node, graph: Graph, drawn: set[str]) -> list[str]:
    if node["run"] is None:
        state = "" if node["state"] in ("COMPLETE", None) else f"  {node['state'].lower()}"
        return [f"{node['name']}  run {node['runId']}, {node['endedAt']}{state}", f"by  {node['producer']}, imported"]
    run = graph.nodes[node["run"]]
    state = "" if node["state"] == "COMPLETE" else f"  {State(node['state']).word}"
    lines = [f"{node['name']}  in run {run['name']}, {node['endedAt']}{state}"]
    told = {"params": {} if run["id"] in drawn else run["params"]}
    told |= {"variables": node.get("variables", {}), "metrics": node["metrics"], "values": node["values"]}
    lines += [f"{word}  {_pairs(values)}" for word, values in told.items() if values]
    drawn.add(run["id"])
    digests = {"image": node["imageDigest"], "code": node["codeDigest"], "spec": node["specDigest"]}
    made_by = [node["image"] or "", *(f"{word} {_short(digest)}" for word, digest in digests.items() if digest)]
    made_by.append(f"commit {node['commit'][:SHORT]}" if node["commit"] else "no commit")
    return [*lines, "by  " + ", ".join(part for part in made_by if part)]


def _pairs(values: Mapping[str, Any]) -> str:
    return ", ".join(f"{name}={_clip(to_quoted_text(value))}" for name, value in values.items())


def _clip(text: str) -> str:
    return text if len(text) <= MAX_VALUE else text[: MAX_VALUE - 1] + "…"


def _short(digest: str) -> str:
    return f"sha256:{digest.removeprefix('sha256:')[:SHORT]}"


def to_mermaid(graph: Graph) -> str:
    """A Mermaid flowchart; the tasks of a run stand in its box."""
    names = {key: f"n{at}" for at, key in enumerate(graph.nodes)}
    lines = ["flowchart LR"]
    for run, tasks in _by_run(graph).items():
        if run is None:
            lines += [f'  {names[key]}["{_mermaid_text(_label(graph.nodes[key]))}"]' for key in tasks]
            continue
        lines.append(f'  subgraph {names[run]}["{_mermaid_text([graph.nodes[run]["name"]])}"]')
        lines += [f'    {names[key]}["{_mermaid_text(_label(graph.nodes[key]))}"]' for key in tasks]
        lines.append("  end")
    for key, node in graph.nodes.items():
        if node["kind"] == "artifact":
            lines.append(f'  {names[key]}(["{_mermaid_text(_label(node))}"])')
    lines += [f"  {names[e.source]} --> {names[e.target]}" for e in graph.edges]
    lines.append(f"%% ledger {graph.ledger}")
    return "\n".join(lines) + "\n"


def to_dot(graph: Graph) -> str:
    """A Graphviz digraph; the tasks of a run stand in its box."""
    names = {key: f"n{at}" for at, key in enumerate(graph.nodes)}
    lines = ["digraph lineage {", "  rankdir=LR"]
    for run, tasks in _by_run(graph).items():
        if run is None:
            lines += [f'  {names[key]} [shape=box label="{_dot_text(_label(graph.nodes[key]))}"]' for key in tasks]
            continue
        lines += [f"  subgraph cluster_{names[run]} {{", f'    label="{_dot_text([graph.nodes[run]["name"]])}"']
        lines += [f'    {names[key]} [shape=box label="{_dot_text(_label(graph.nodes[key]))}"]' for key in tasks]
        lines.append("  }")
    for key, node in graph.nodes.items():
        if node["kind"] == "artifact":
            lines.append(f'  {names[key]} [shape=ellipse label="{_dot_text(_label(node))}"]')
    lines += [f"  {names[e.source]} -> {names[e.target]}" for e in graph.edges]
    lines.append(f"  // ledger {graph.ledger}")
    return "\n".join(lines) + "\n}\n"


def _by_run(graph: Graph) -> dict[str | None, list[str]]:
    """The tasks of each run; those of other producers are of none."""
    found: dict[str | None, list[str]] = defaultdict(list)
    for key, node in graph.nodes.items():
        if node["kind"] == "task":
            found[node["run"]].append(key)
    return found


def _label(node: Node) -> list[str]:
    """The lines of a node's label."""
    if node["kind"] == "artifact":
        return [node["name"], _short(node["digest"]) if node["digest"] else NO_DIGEST]
    return [node["name"], *([_pairs(node["metrics"])] if node["metrics"] else [])]


def _mermaid_text(lines: Iterable[str]) -> str:
    """Text that Mermaid shows as it is: all but plain characters as character codes, which it never interprets."""
    return "<br/>".join("".join(c if c.isalnum() or c in " .,:/_=-" else f"#{ord(c)};" for c in line) for line in lines)


def _dot_text(lines: Iterable[str]) -> str:
    """Text inside DOT's double quotes: no quote ends it, no backslash means something."""
    return "\\n".join(visible(line).replace("\\", "\\\\").replace('"', '\\"') for line in lines)
