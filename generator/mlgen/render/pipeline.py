"""Kind Pipeline: the graph, its params, its gates."""

from __future__ import annotations

from collections.abc import Iterable

from mlgen.gates import Literal, Ref
from mlgen.plan.gating import when_operands
from mlgen.plan.model import Condition, GateTask, In, Input, InputRef, OutRef, Param, ParamRef, Plan, Task, Value
from mlgen.render import timeouts
from mlgen.render.names import pipeline_labels
from mlgen.render.staging import Data
from mlgen.render.task import RECORD
from mlgen.runtime import bundle, pod, texts
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
        "tasks": [*map(writer.gate, plan.gate_tasks), *map(writer.task, plan.tasks)],
        "finally": [*map(writer.final, plan.finally_tasks), writer.record()],
    }
    return {
        "apiVersion": "tekton.dev/v1",
        "kind": "Pipeline",
        "metadata": {
            "name": plan.name,
            "namespace": environment.namespace,
            "labels": pipeline_labels(plan, environment),
            "annotations": annotations | _gpu_tasks(plan),
        },
        "spec": {key: value for key, value in spec.items() if value},
    }


def _gpu_tasks(plan: Plan) -> Data:
    """Which entries have a GPU: a Pipeline has the retries, a Task the GPU, and a policy sees one of them at a time."""
    names = ",".join(task.name for task in plan.all_tasks if task.gpu)
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
        # In all tasks alike, so in memory once.
        self.values = [pod.value(f"params.{p.name}", p.type, f"$(params.{p.name})") for p in plan.params]
        self.run: list[Data] = [
            {"name": "mlgen-run", "value": "$(context.pipelineRun.name)"},
            {"name": "mlgen-run-uid", "value": "$(context.pipelineRun.uid)"},
        ]
        self.values_param: Data = {"name": "mlgen-values", "value": self.values}
        tasks = ",".join(_status(task.name) for task in plan.tasks)
        self.final_params: list[Data] = [
            {"name": "mlgen-run-status", "value": "$(tasks.status)"},
            {"name": "mlgen-tasks", "value": f"{{{tasks}}}"},
        ]

    def task(self, task: Task) -> Data:
        return self._author(task, [])

    def final(self, task: Task) -> Data:
        return self._author(task, self.final_params)

    def _author(self, task: Task, final_params: list[Data]) -> Data:
        params = [_in(i) for i in task.ins if not isinstance(i.source, Value)]
        return self._entry(
            task.name,
            [*params, *self.run, *final_params, self.values_param],
            timeout_seconds=timeouts.of_task(task, self.environment),
            retries=task.retries,
            when=[self._when(condition) for condition in task.conditions],
            run_after=task.after,
        )

    def gate(self, gate: GateTask) -> Data:
        refs = dict.fromkeys((ref, type_) for evaluation in gate.evaluates for ref, type_ in evaluation.types)
        values = [self._gate_value(ref, type_) for ref, type_ in sorted(refs)]
        seconds = timeouts.of_gate_task(self.environment)
        params: list[Data] = [{"name": "mlgen-values", "value": values}]
        return self._entry(gate.name, params, timeout_seconds=seconds, retries=timeouts.OUR_RETRIES)

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
    ) -> Data:
        entry: Data = {
            "name": name,
            # Without apiVersion: with it, Tekton takes the task for one of another controller.
            "taskRef": {"kind": "Task", "name": self.task_names[name]},
            "params": params,
            "when": list(when),
            "runAfter": list(run_after),
            "retries": retries,
            "timeout": duration_text(timeout_seconds),
        }
        return {key: value for key, value in entry.items() if value}

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


def _status(task: str) -> str:
    return f'"{task}":{{"status":"$(tasks.{task}.status)","reason":"$(tasks.{task}.reason)"}}'
