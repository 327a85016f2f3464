"""A PipelineRun that carries only what must run: a rendered Pipeline without the tasks whose outs are known. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from mlgen.plan.model import GateTask, Plan, Task
from mlgen.render.fans import Pieces
from mlgen.runtime.pod import contract as pod
from mlgen.runtime.reused import NOT_ASKED, RESUMES, REUSED, REUSED_TASKS
from mlgen.runtime.texts import result

Object = dict[str, Any]

_RESULT = re.compile(r"\$\(tasks\.([a-z0-9-]+)\.results\.([a-z0-9_-]+)\)")
_STATUS = re.compile(r"\$\(tasks\.([a-z0-9-]+)\.(status|reason)\)")


@dataclass(frozen=True, slots=True)
class Reduced:
    """known: of tasks and gate tasks, the texts of outs and conditions. left_out: tasks that are not asked for."""

    known: Mapping[str, Mapping[str, str | None]]
    left_out: frozenset[str]
    resumes: str


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
    run["metadata"]["annotations"] |= {RESUMES: reduced.resumes, REUSED_TASKS: ",".join(reused)}
    placed = [one for one in run["spec"].pop("taskRunSpecs", []) if one["pipelineTaskName"] in left]
    del run["spec"]["pipelineRef"]
    run["spec"] = {"pipelineSpec": spec, **run["spec"], **({"taskRunSpecs": placed} if placed else {})}
    return run


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
            self._gone |= {*(piece.name for piece in pieces.of(task.name)), *filter(None, more)}
        self._owners = {piece.name: task.name for task in plan.tasks for piece in pieces.of(task.name)}

    def entries(self, entries: Iterable[Object]) -> list[Object]:
        return [self._entry(entry) for entry in entries if entry["name"] not in self._gone]

    def _entry(self, entry: Object) -> Object:
        entry = {key: self._texts(value) if key in ("params", "when") else value for key, value in entry.items()}
        after = [name for name in entry.pop("runAfter", ()) if name not in self._gone]
        # In the order of the rendered one, which is the fixed point of the webhook's.
        return {**entry, **({"runAfter": after} if after else {})}

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
        text, node = self._reduced.known[task][name], self._nodes[task]
        optional = isinstance(node, Task) and any(out.name == name and out.optional for out in node.outs)
        return pod.escape(result(text, optional=optional))

    def _status(self, match: re.Match[str]) -> str:
        task, what = match.groups()
        task = self._owners.get(task, task)
        if task in self._reduced.known:
            return "Succeeded" if what == "status" else REUSED
        if task in self._reduced.left_out:
            return "None" if what == "status" else NOT_ASKED
        return match[0]
