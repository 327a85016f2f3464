"""Kind Pipeline: the graph, its params, its gates."""

from __future__ import annotations

from collections.abc import Iterable

from mlgen.gates import Literal, Ref
from mlgen.plan.gating import when_operands
from mlgen.plan.model import Condition, GateTask, In, Input, InputRef, OutRef, Param, ParamRef, Plan, Task, Value
from mlgen.render import fans, lookups, nodes, timeouts
from mlgen.render.fans import Piece, Pieces
from mlgen.render.names import pipeline_labels
from mlgen.render.staging import Data
from mlgen.render.task import RECORD
from mlgen.render.waits import Waits
from mlgen.runtime import bundle, texts
from mlgen.runtime.documents import gate_refs
from mlgen.runtime.pod import contract as pod
from mlgen.spec.project import Environment
from mlgen.spec.quantities import duration_text
from mlgen.values import Type, to_text

GPU_TASKS = "mlgen.dev/gpu-tasks"


def pipeline(plan: Plan, environment: Environment, annotations: Data, task_names: dict[str, str]) -> Data:
    """The Pipeline. task_names: of each task, gate task and `record`, what its Task is called."""
    writer = _Writer(plan, environment, task_names)
    spec: Data = {
        "description": plan.description,
        "params": [*map(_param, plan.params), *(_input(i, environment) for i in plan.inputs)],
        "tasks": [
            *map(writer.gate, plan.gate_tasks),
            *map(writer.counting, writer.pieces.counting),
            *map(writer.lookup, lookups.looked_up(plan)),
            *(entry for task in plan.tasks for entry in writer.task(task)),
        ],
        "finally": [*map(writer.final, plan.finally_tasks), writer.record()],
    }
    return {
        "apiVersion": "tekton.dev/v1",
        "kind": "Pipeline",
        "metadata": {
            "name": plan.name,
            "namespace": environment.namespace,
            "labels": pipeline_labels(plan, environment),
            "annotations": annotations | _gpu_tasks(plan, writer.pieces),
        },
        "spec": {key: value for key, value in spec.items() if value},
    }


def _gpu_tasks(plan: Plan, pieces: Pieces) -> Data:
    """Which entries have a GPU: a Pipeline has the retries, a Task the GPU, and a policy sees one of them at a time."""
    names = ",".join(entry for task in plan.all_tasks if task.gpu for entry in pieces.entries(task.name))
    return {GPU_TASKS: names} if names else {}


def _param(param: Param) -> Data:
    data: Data = {"name": param.name, "type": "string"}
    if param.description:
        data["description"] = param.description
    return data if param.default is None else data | {"default": pod.escape(param.default)}


def _input(item: Input, environment: Environment) -> Data:
    data: Data = {"name": item.name, "type": "string", "description": f"{item.type}, as URI or URI@sha256:<digest>"}
    text = input_text(item, environment)
    return data if text is None else data | {"default": pod.escape(text)}


def input_text(item: Input, environment: Environment) -> str | None:
    """The text of an input's param; None: required at run time. A file of the repository is read where it is published.

    Raises ValueError for one without a digest, which no plan has.
    """
    if item.uri is None:
        return None
    if item.path is not None:
        if item.digest is None:
            raise ValueError(f"{item.path} has no digest")
        return bundle.input_text(environment.artifacts, item.digest, item.path)
    return texts.pointer(item.uri, item.digest) if item.digest else item.uri


class _Writer:
    def __init__(self, plan: Plan, environment: Environment, task_names: dict[str, str]) -> None:
        self.plan, self.environment, self.task_names = plan, environment, task_names
        self.pieces = Pieces(plan)
        self.late = {task.name: task for task in plan.tasks if task.late}
        self.waits = Waits(plan, self.pieces, self._when)
        # In all tasks alike, so in memory once.
        self.values = [pod.value(f"params.{p.name}", p.type, f"$(params.{p.name})") for p in plan.params]
        self.run: list[Data] = [
            {"name": "mlgen-run", "value": "$(context.pipelineRun.name)"},
            {"name": "mlgen-run-uid", "value": "$(context.pipelineRun.uid)"},
        ]
        self.values_param: Data = {"name": "mlgen-values", "value": self.values}
        tasks = ",".join(f'"{task.name}":{_status(self.pieces, task.name)}' for task in plan.tasks)
        self.final_params: list[Data] = [
            {"name": "mlgen-run-status", "value": "$(tasks.status)"},
            {"name": "mlgen-tasks", "value": f"{{{tasks}}}"},
        ]

    def task(self, task: Task) -> list[Data]:
        """A task's entry; the entries of a fan's pieces, and of several nodes."""
        if task.fan is None:
            return [self._author(task, []), *([self._others(task)] if task.nodes > 1 else [])]
        counts = fans.counted(task, self.plan, self.pieces)
        found = []
        for at, piece in enumerate(self.pieces.of(task.name)):
            entry = self._author(task, [], piece, [counts.when(piece, at)] if counts else [])
            found.append(entry | {"matrix": fans.matrix(task.fan, piece, counts)})
        return found

    def _others(self, task: Task) -> Data:
        """Of the other ranks of a task on several nodes: they need what rank 0 needs, and nobody needs them."""
        entry = self._entry(
            self.pieces.others[task.name],
            [*(_in(i) for i in task.ins if not isinstance(i.source, Value) and not i.late), self.run[1]],
            timeout_seconds=timeouts.of_task(task, self.environment),
            retries=task.retries,
            when=self.waits.when(task),
            run_after=self.waits.run_after(task),
        )
        return entry | {"matrix": nodes.matrix(task)}

    def final(self, task: Task) -> Data:
        return self._author(task, self.final_params)

    def _author(
        self, task: Task, final_params: list[Data], piece: Piece | None = None, when: Iterable[Data] = ()
    ) -> Data:
        params = [_in(i) for i in task.ins if not isinstance(i.source, Value) and not i.late]
        lists = [pod.value(str(ref), Type.JSON, _result(ref.task, ref.out)) for ref in fans.list_refs(task, self.plan)]
        values: Data = {"name": "mlgen-values", "value": [*lists, *self.values]} if lists else self.values_param
        return self._entry(
            task.name,
            [*params, *self.run, *final_params, values],
            timeout_seconds=timeouts.of_task(task, self.environment),
            retries=task.retries,
            when=[*self.waits.when(task), *when],
            run_after=[*self.waits.run_after(task), *(piece.after if piece else ())],
            entry=piece.name if piece else task.name,
        )

    def counting(self, fan: str) -> Data:
        """Of the pod that counts the items of a fan, where no producer of its lists can."""
        task = self.plan.task(fan)
        refs = fans.list_refs(task, self.plan)
        values = [pod.value(str(ref), Type.JSON, _result(ref.task, ref.out)) for ref in refs]
        return self._entry(
            self.pieces.counting[fan],
            [*self.run[1:], {"name": "mlgen-values", "value": values}],
            timeout_seconds=timeouts.of_gate_task(self.environment),
            retries=timeouts.OUR_RETRIES,
            when=self.waits.when(task),
            run_after=self.waits.run_after(task),
        )

    def lookup(self, task: Task) -> Data:
        """Of the pod that looks for a task in the cache."""
        params = [_in(i) for i in task.ins if not isinstance(i.source, Value) and not i.late]
        return self._entry(
            task.lookup_name,
            [*params, *self.run, lookups.when_param(task, _result), self.values_param],
            timeout_seconds=timeouts.of_gate_task(self.environment),
            retries=timeouts.OUR_RETRIES,
            when=self.waits.wanted(task),
            run_after=self.waits.run_after(task),
        )

    def gate(self, gate: GateTask) -> Data:
        refs = [(ref, type_) for ref, type_ in gate_refs(gate) if ref.split(".")[0] not in self.late]
        values = [self._gate_value(ref, type_) for ref, type_ in refs]
        seconds = timeouts.of_gate_task(self.environment)
        params: list[Data] = [{"name": "mlgen-values", "value": values}]
        if any(name in self.late for name in gate.reads):
            params = [*self.run[1:], *params]
        return self._entry(
            gate.name,
            params,
            timeout_seconds=seconds,
            retries=timeouts.OUR_RETRIES,
            when=self.waits.to_read(gate.reads),
            run_after=self.waits.ends(gate.reads),
        )

    def record(self) -> Data:
        params = [*self.run, *self.final_params, self.values_param]
        seconds = timeouts.of_record(self.environment)
        return self._entry(RECORD, params, timeout_seconds=seconds, retries=timeouts.OUR_RETRIES)

    def _entry(
        self,
        name: str,
        params: list[Data],
        *,
        timeout_seconds: int,
        retries: int,
        when: Iterable[Data] = (),
        run_after: Iterable[str] = (),
        entry: str = "",
    ) -> Data:
        """name: of whose Task it runs. entry: what the Pipeline calls it, if not so."""
        data: Data = {
            "name": entry or name,
            # Without apiVersion: with it, Tekton takes the task for one of another controller.
            "taskRef": {"kind": "Task", "name": self.task_names[name]},
            "params": params,
            "when": list(when),
            "runAfter": list(run_after),
            "retries": retries,
            "timeout": duration_text(timeout_seconds),
        }
        return {key: value for key, value in data.items() if value}

    def _gate_value(self, ref: str, type_: Type) -> str:
        owner, name = ref.split(".")
        if owner == "params":
            return pod.value(ref, type_, f"$(params.{name})")
        optional = self.plan.task(owner).out(name).optional
        return pod.value(ref, type_, _result(owner, name), optional=optional)

    def _when(self, condition: Condition) -> Data:
        if condition.evaluator is not None:
            result = _result(condition.evaluator, f"if-{condition.index}")
            return {"input": result, "operator": "in", "values": ["true"]}
        operands = when_operands(condition.gate, lambda _owner, name: self.plan.param(name).type)
        if operands is None:
            raise ValueError(f"{condition.text}: only a `when` has no evaluator")
        left, positive, values = operands
        return {"input": _operand(left), "operator": "in" if positive else "notin", "values": [*map(_operand, values)]}


def _in(item: In) -> Data:
    match item.source:
        case OutRef(task=task, out=out):
            return {"name": item.name, "value": _result(task, out)}
        case ParamRef(name=name) | InputRef(name=name):
            return {"name": item.name, "value": f"$(params.{name})"}
    raise ValueError(f"{item.name} is a literal, which stands in its Task")


def _result(task: str, result: str) -> str:
    return f"$(tasks.{task}.results.{result})"


def _operand(side: Ref | Literal) -> str:
    if isinstance(side, Ref):
        return f"$(params.{side.name})"
    # Escaped as the params are that it is compared with.
    return pod.escape(to_text(side.value))


def _status(pieces: Pieces, task: str) -> str:
    """JSON of what became of a task; of a fan in several pieces of each, which `record` makes one of."""
    found = [_status_of(piece.name) for piece in pieces.of(task)]
    if not found:  # no items: it has succeeded
        return '{"status":"Succeeded","reason":""}'
    if len(found) == 1:
        return f"{{{found[0]}}}"
    return f'{{{found[0]},"chunks":[{",".join(f"{{{one}}}" for one in found)}]}}'


def _status_of(entry: str) -> str:
    return f'"status":"$(tasks.{entry}.status)","reason":"$(tasks.{entry}.reason)"'
