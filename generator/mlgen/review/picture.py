"""The graph of a pipeline as Mermaid, with what is new, changed or removed marked: by words, lines and colour."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from mlgen.plan.graph import node_id
from mlgen.plan.model import Plan
from mlgen.review.change import Effect, Kind
from mlgen.review.names import with_names
from mlgen.review.pipelines import PipelineReview

MOST_NODES = 60  # of a picture that people still read; GitHub draws 500 edges at most
MOST_EDGES = 200

# The words in the nodes say the same: colour alone says nothing to many, and nothing in print. Colours by name: hosts,
# and what makes a stranger's comment inert, take "#9" for an issue.
_STYLES = {
    "new": "fill:honeydew,stroke:green,color:black,stroke-width:2px",
    "changed": "fill:lemonchiffon,stroke:darkgoldenrod,color:black,stroke-width:2px",
    "removed": "fill:mistyrose,stroke:firebrick,color:black,stroke-dasharray:5 5",
}

Edge = tuple[str, str, str]


@dataclass(frozen=True, slots=True)
class Picture:
    """mermaid: the flowchart's text; names in it are checked ones, no author's text. left_out: tasks not drawn."""

    mermaid: str
    left_out: int


def picture(review: PipelineReview) -> Picture | None:
    """The picture of a pipeline that is there before and after; None where no task and no edge of it changed."""
    if review.before is None or review.after is None:
        return None
    before = with_names(review.before, {was: now for now, was in review.task_names})
    marks = _marks(review)
    old, new = _edges(before), _edges(review.after)
    if not marks and old == new:
        return None
    names = list(dict.fromkeys([*(t.name for t in review.after.all_tasks), *(t.name for t in before.all_tasks)]))
    edges = [*((e, "" if e in old else "new") for e in new), *((e, "removed") for e in old if e not in new)]
    drawn = _drawn(names, marks, edges)
    return Picture("\n".join(_lines(drawn, marks, edges, review.after, before)) + "\n", len(names) - len(drawn))


def _marks(review: PipelineReview) -> dict[str, tuple[str, str]]:
    """Task -> (style, word) of what is not as it was."""
    marks: dict[str, tuple[str, str]] = {}
    for change in review.changes:
        if change.task and change.effect in (Effect.RUNS, Effect.RESOURCES):
            marks.setdefault(change.task, ("changed", "changed"))
        if change.task and not change.key and change.kind in (Kind.NEW, Kind.REMOVED):
            marks[change.task] = (str(change.kind), str(change.kind))
    return marks | {now: ("changed", f"was {was}") for now, was in review.task_names}


def _edges(plan: Plan) -> list[Edge]:
    return list(dict.fromkeys(plan.edges()))


def _drawn(names: list[str], marks: dict[str, tuple[str, str]], edges: list[tuple[Edge, str]]) -> list[str]:
    """All tasks, or of many those that changed and their neighbours."""
    if len(names) <= MOST_NODES and len(edges) <= MOST_EDGES:
        return names
    near = set(marks)
    for (producer, consumer, _), mark in edges:
        if mark or producer in marks or consumer in marks:
            near |= {producer, consumer}
    ordered = [name for name in names if name in marks] + [name for name in names if name in near - set(marks)]
    kept = set(ordered[:MOST_NODES])
    return [name for name in names if name in kept]


def _lines(
    drawn: list[str], marks: dict[str, tuple[str, str]], edges: list[tuple[Edge, str]], after: Plan, before: Plan
) -> Iterator[str]:
    yield "flowchart TD"
    final = {task.name for plan in (before, after) for task in plan.finally_tasks}
    gated = {task.name for plan in (before, after) for task in plan.all_tasks if task.conditions}
    for name in drawn:
        word = f"<br>({marks[name][1]})" if name in marks else ""
        last = "<br>finally" if name in final else ""
        left, right = ("{{", "}}") if name in gated else ("[", "]")
        yield f'  {node_id(name)}{left}"{name}{last}{word}"{right}'
    shown = [(edge, mark) for edge, mark in edges if edge[0] in drawn and edge[1] in drawn][:MOST_EDGES]
    for (producer, consumer, label), mark in shown:
        arrow = {"new": "==>", "removed": "-.->"}.get(mark, "-->")
        yield f'  {node_id(producer)} {arrow}|"{f"{mark}: {label}" if mark else label}"| {node_id(consumer)}'
    for style in sorted({marks[name][0] for name in drawn if name in marks}):
        yield f"  classDef {style} {_STYLES[style]}"
        yield f"  class {','.join(node_id(n) for n in drawn if n in marks and marks[n][0] == style)} {style}"
    for mark, colour in (("new", "green"), ("removed", "firebrick")):
        numbers = [str(i) for i, (_, how) in enumerate(shown) if how == mark]
        if numbers:
            yield f"  linkStyle {','.join(numbers)} stroke:{colour},stroke-width:2px"
