"""A PipelineRun that carries only what must run: a rendered Pipeline without the tasks whose outs are known. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Set
from dataclasses import dataclass, field
from typing import Any

from mlgen.plan.model import GateTask, Plan, Task
from mlgen.render.fans import ALL_FULL, INDEX, Piece, Pieces
from mlgen.runtime import documents
from mlgen.runtime.fans.counting import names
from mlgen.runtime.fans.items import Counted, counted
from mlgen.runtime.pod import contract as pod
from mlgen.runtime.reused import NOT_ASKED, RESUMES, REUSED, REUSED_TASKS
from mlgen.runtime.texts import result

Object = dict[str, Any]

_RESULT = re.compile(r"\$\(tasks\.([a-z0-9-]+)\.results\.([a-z0-9_-]+)\)")
SUCCEEDED = "Succeeded"  # Tekton's status of a task, and its reason
_STATUS = re.compile(r"\$\(tasks\.([a-z0-9-]+)\.(status|reason)\)")


@dataclass(frozen=True, slots=True)
class Reduced:
    """known: of tasks and gate tasks, the texts of outs and conditions. left_out: tasks that are not asked for.

    items: of fans that run for others of their items, the numbers of those that need not run.
    """

    known: Mapping[str, Mapping[str, str | None]]
    left_out: frozenset[str]
    resumes: str
    items: Mapping[str, Set[int]] = field(default_factory=dict)
    before: tuple[str, ...] = ()


def holds_variable(text: str) -> str | None:
    """Why a text cannot be handed on as a param, None where it can."""
    found = pod.NOT_IN_PARAMS.search(text)
    return None if found is None else f"it left {found[0][:80]}, which Tekton would take for a variable"


def resumed(run: Object, pipeline: Object, plan: Plan, reduced: Reduced) -> Object:
    """A rendered PipelineRun of a rendered Pipeline, reduced. None of the arguments is changed."""
    writer = _Writer(plan, reduced)
    spec = json.loads(json.dumps(pipeline["spec"]))
    spec["tasks"] = writer.entries(spec["tasks"])
    spec["finally"] = writer.entries(spec["finally"])
    left = {entry["name"] for entry in (*spec["tasks"], *spec["finally"])}
    run = json.loads(json.dumps(run))
    reused = sorted(task.name for task in plan.tasks if task.name in reduced.known)
    run["metadata"]["annotations"] |= {
        RESUMES: ",".join((reduced.resumes, *reduced.before)),
        REUSED_TASKS: ",".join(reused),
    }
    placed = [one for one in run["spec"].pop("taskRunSpecs", []) if one["pipelineTaskName"] in left]
    del run["spec"]["pipelineRef"]
    run["spec"] = {"pipelineSpec": spec, **run["spec"], **({"taskRunSpecs": placed} if placed else {})}
    return run


def counted_by(task: str, plan: Plan, texts: Mapping[str, str | None]) -> dict[str, Counted]:
    """How many items each fan has that goes through lists of a task that need not run. texts: of its outs.

    Raises StagingError where such a list is none.
    """
    own = {f"{task}.{name}": text for name, text in texts.items()}
    return {count.task: counted(count, lambda one: own.get(str(one.source))) for count in documents.counts(task, plan)}


def counted_in(plan: Plan, known: Mapping[str, Mapping[str, str | None]]) -> dict[str, Counted]:
    """The same of all tasks: nobody counts these in the run."""
    found: dict[str, Counted] = {}
    for task in plan.tasks:
        if task.name in known and not task.late:
            found |= counted_by(task.name, plan, known[task.name])
    return found


def _told(task: str, plan: Plan, known: Mapping[str, Mapping[str, str | None]]) -> Iterator[tuple[str, str]]:
    """The results by which pieces know whether they have items."""
    if task not in known or plan.task(task).late:
        return
    found = counted_by(task, plan, known[task])
    for count in documents.counts(task, plan):
        named = names(count.index, square=count.square)
        yield named.full, str(found[count.task].full)
        yield named.over, str(len(found[count.task].rest))


def _numbers(task: Task, piece: Piece, count: Counted | None) -> Iterable[int]:
    """The items of a piece. count: of a fan of which else only the run would know them."""
    if count is None:
        assert isinstance(piece.items, range), "known beforehand"
        return piece.items
    assert task.fan is not None, "of fans"
    full = count.full * documents.chunk_of(task.fan)
    if isinstance(piece.items, range):
        return piece.items if piece.items.stop <= full else ()
    return range(full) if piece.items == ALL_FULL else count.rest


def _index(row: Object) -> int:
    """Which item a row of a matrix is."""
    return int(next(one["value"] for one in row["params"] if one["name"] == INDEX))


class _Writer:
    def __init__(self, plan: Plan, reduced: Reduced) -> None:
        self._reduced = reduced
        nodes: list[Task | GateTask] = [*plan.tasks, *plan.gate_tasks]
        self._nodes = {node.name: node for node in nodes}
        gone = {gate.name for gate in plan.gate_tasks if gate.consumer in reduced.left_out}
        lookups = {task.lookup_name for task in plan.tasks if task.name in {*reduced.known, *reduced.left_out}}
        self._gone = {*reduced.known, *reduced.left_out, *gone, *lookups}
        pieces = Pieces(plan)
        for task in [t for t in plan.tasks if t.name in self._gone]:  # those of a fan, and what is there for it alone
            more = [pieces.counting.get(task.name), task.lookup_name if task.looked_up else None]
            self._gone |= {*pieces.entries(task.name), *filter(None, more)}
        self._owners = {piece.name: task.name for task in plan.tasks for piece in pieces.of(task.name)}
        # Pieces of fans of which all items are known, though not of the whole fan: who waited for one waits for those
        # that it waited for.
        self._emptied: dict[str, tuple[str, ...]] = {}
        self._left: dict[str, list[int]] = {}  # the items of the others, where the run is not to count them
        self._called: dict[str, str] = {}
        counted = counted_in(plan, reduced.known)
        for task in plan.tasks:
            if task.name in self._gone or not (task.name in counted or task.name in reduced.items):
                continue
            known = reduced.items.get(task.name, ())
            for piece in pieces.of(task.name):
                left = [i for i in _numbers(task, piece, counted.get(task.name)) if i not in known]
                if left:
                    self._left[piece.name] = left
                else:
                    self._emptied[piece.name] = piece.after
            first = next((piece.name for piece in pieces.of(task.name) if piece.name in self._left), task.name)
            if first != task.name:  # by its first piece a fan is known to who looks at the run
                self._called[first] = task.name
        self._counts = {
            f"{task.name}.{name}": text for task in plan.tasks for name, text in _told(task.name, plan, reduced.known)
        }

    def entries(self, entries: Iterable[Object]) -> list[Object]:
        left = (entry for entry in entries if entry["name"] not in self._gone)
        return [self._entry(entry) for entry in left if entry["name"] not in self._emptied]

    def _entry(self, entry: Object) -> Object:
        entry = {key: self._texts(value) if key in ("params", "when") else value for key, value in entry.items()}
        if (left := self._left.get(entry["name"])) is not None:
            rows = {_index(row): row for row in entry["matrix"].get("include", ())}
            include = [rows.get(i, {"params": [{"name": INDEX, "value": str(i)}]}) for i in left]
            entry |= {"matrix": {"include": include}, "name": self._called.get(entry["name"], entry["name"])}
        after = self._after(entry.pop("runAfter", ()))
        # In the order of the rendered one, which is the fixed point of the webhook's.
        return {**entry, **({"runAfter": after} if after else {})}

    def _after(self, names: Iterable[str]) -> list[str]:
        found: dict[str, None] = {}
        work = [*names][::-1]
        while work:
            name = work.pop()
            if name in self._emptied:
                work += self._emptied[name][::-1]
            elif name not in self._gone:
                found[self._called.get(name, name)] = None
        return list(found)

    def _texts(self, value: Any) -> Any:
        if isinstance(value, str):
            return _STATUS.sub(self._status, _RESULT.sub(self._result, value))
        if isinstance(value, list):
            return [self._texts(one) for one in value]
        return {key: self._texts(one) for key, one in value.items()} if isinstance(value, dict) else value

    def _result(self, match: re.Match[str]) -> str:
        task, name = match.groups()
        if task not in self._reduced.known:
            return match[0]
        if (count := self._counts.get(f"{task}.{name}")) is not None:
            return count
        text, node = self._reduced.known[task][name], self._nodes[task]
        optional = isinstance(node, Task) and any(out.name == name and out.optional for out in node.outs)
        return pod.escape(result(text, optional=optional))

    def _status(self, match: re.Match[str]) -> str:
        task, what = match.groups()
        if task in self._emptied:
            return SUCCEEDED  # in both words: the others of its pieces say how the fan ended
        task = self._owners.get(task, task)
        if task in self._reduced.known:
            return "Succeeded" if what == "status" else REUSED
        if task in self._reduced.left_out:
            return "None" if what == "status" else NOT_ASKED
        called = match.group(1)
        return f"$(tasks.{self._called.get(called, called)}.{what})"
