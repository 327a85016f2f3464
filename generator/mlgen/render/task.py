"""Kind Task: of an author's task, of a gate, and of the final record."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from mlgen.plan.model import GateTask, InputRef, Plan, Task, Value
from mlgen.render import fans, lookups, main, nodes, placement, staging
from mlgen.render.names import TASK_ANNOTATIONS, task_labels, task_name
from mlgen.render.staging import ROOT_MOUNT, SECURITY, STATE_MOUNT, STATE_VOLUME, WORK_VOLUME, Data
from mlgen.runtime import documents, protocol
from mlgen.runtime.fans import counting
from mlgen.runtime.pod import contract as pod
from mlgen.runtime.protocol import TaskDocument
from mlgen.spec.project import Environment
from mlgen.spec.quantities import duration_text

RUN_PARAMS = ("mlgen-run", "mlgen-run-uid")
FINAL_PARAMS = ("mlgen-run-status", "mlgen-tasks")
RECORD = "record"

_STEP_TEMPLATE: Data = {"computeResources": {}, "securityContext": SECURITY}
_ROW: Data = {"name": fans.ROW, "type": "string", "default": "0"}
_VALUES: Data = {"name": "mlgen-values", "type": "array"}


def author_task(plan: Plan, task: Task, environment: Environment, *, final: bool) -> Data:
    """The Task of a task or finally task."""
    document = _document(plan, task, environment, folds=environment.ledger.fold == "task", final=final)
    env = staging.execution_variables(document, environment, lists=bool(fans.list_refs(task, plan)))
    secrets = staging.secret_variables(task)
    item = _item_values(task)
    ours = [
        staging.stage_in(document, environment, env, item),
        staging.stage_out(environment, env + secrets, item),
        staging.results(task, document, environment, env + secrets, item),
    ]
    if task.disk:
        ours = [staging.with_disk(one) for one in ours]
    stage_in, stage_out, results = ours
    step = main.main(task, environment, final=final, cached=document.cache is not None)
    if document.statuses is not None:
        step = main.told_by_file(step, main.TASKS)
    spec: Data = {
        "params": [
            *_strings(i.name for i in task.ins if not isinstance(i.source, Value) and not i.late),
            *_strings([fans.INDEX, *fans.by_param(task)] if task.fan else ()),
            *([_ROW] if document.fan and document.fan.of is None else []),
            *_strings(RUN_PARAMS),
            *_strings(FINAL_PARAMS if final else ()),
            _VALUES,
        ],
        "results": _strings([pod.OUTCOME]) if task.fan else [*_strings(_results(task)), *_counts(document)],
        "stepTemplate": _STEP_TEMPLATE,
        "steps": [stage_in, step, stage_out],
        "sidecars": [results],
        "volumes": [
            placement.work_volume(task, environment),
            {"name": STATE_VOLUME, "emptyDir": {}},
            *main.volumes(task),
            *staging.ledger_volume(document, environment),
        ],
    }
    return _task(plan, environment, task.name, spec)


def other_ranks(plan: Plan, task: Task, environment: Environment) -> Data:
    """The Task of all ranks but 0 of a task on several nodes: the same program, of which nothing is kept."""
    document = nodes.of_other(_document(plan, task, environment, folds=False))
    env = staging.rank_variables(document, environment)
    secrets = staging.secret_variables(task)
    stage_in = staging.stage_in(document, environment, env, [], values=False)
    ours = [
        staging.whether_to_run(stage_in),
        staging.stage_out(environment, env + secrets, [], values=False),
        staging.results(task, document, environment, env + secrets, [], values=False),
    ]
    if task.disk:
        ours = [staging.with_disk(one) for one in ours]
    stage_in, stage_out, results = ours
    rank = f"$(params.{nodes.RANK})"
    spec: Data = {
        "params": [
            *_strings(i.name for i in task.ins if not isinstance(i.source, Value) and not i.late),
            # No name of the run: by that one knows the tasks that leave a record.
            *_strings([RUN_PARAMS[1], nodes.RANK]),
        ],
        "stepTemplate": _STEP_TEMPLATE,
        "steps": [stage_in, main.main(task, environment, final=False, cached=True, rank=rank), stage_out],
        "sidecars": [results],
        "volumes": [
            placement.work_volume(task, environment),
            {"name": STATE_VOLUME, "emptyDir": {}},
            *main.volumes(task),
        ],
    }
    return _task(plan, environment, task.name, spec)


def _document(plan: Plan, task: Task, environment: Environment, *, folds: bool, final: bool = False) -> TaskDocument:
    inputs = any(isinstance(i.source, InputRef) for i in task.ins)
    document = documents.of_task(
        task,
        pipeline=plan.name,
        env=environment.name,
        artifacts=environment.artifacts,
        platform=staging.platform(environment, inputs=inputs, folds=folds),
        plan=plan,
        final=final,
    )
    return replace(document, nodes=nodes.document_of(task, environment))


def lookup_task(plan: Plan, task: Task, environment: Environment) -> Data:
    """The Task of a pod that looks for a task in the cache: one step, no sidecar; of a hit it makes the record."""
    document = _document(plan, task, environment, folds=False)
    env = staging.execution_variables(document, environment)
    env += [*staging.NO_CACHE_VARIABLE, *staging.input_credentials(document, environment)]
    arguments = ["lookup", f"$(params.{lookups.WHEN}[*])", "$(params.mlgen-values[*])"]
    step = staging.container("lookup", environment, arguments, env, [])
    spec: Data = {
        "params": [
            *_strings(i.name for i in task.ins if not isinstance(i.source, Value) and not i.late),
            *_strings(RUN_PARAMS),
            {"name": lookups.WHEN, "type": "array"},
            _VALUES,
        ],
        "results": _strings([pod.RUN, pod.HIT]),
        "stepTemplate": _STEP_TEMPLATE,
        "steps": [_timed(step, protocol.GATE_TIMEOUT_SECONDS)],
    }
    return _task(plan, environment, task.lookup_name, spec)


def gate_task(plan: Plan, gate: GateTask, environment: Environment) -> Data:
    """The Task of a pod that only evaluates: one step, no sidecar, no record."""
    late = any(plan.task(name).late for name in gate.reads)
    document = documents.of_gate_task(
        gate,
        pipeline=plan.name,
        env=environment.name,
        artifacts=environment.artifacts,
        platform=staging.platform(environment, inputs=False, folds=False) if late else None,
        plan=plan,
    )
    results = _strings(f"if-{e.index}" for e in gate.evaluates)
    return _task(plan, environment, gate.name, _deciding(document, environment, results, bucket=late))


def counting_task(plan: Plan, name: str, fan: str, environment: Environment) -> Data:
    """The Task of a pod that only counts the items of a fan, where no producer of its lists can."""
    document = documents.of_counting_task(
        name,
        fan,
        pipeline=plan.name,
        env=environment.name,
        artifacts=environment.artifacts,
        platform=staging.platform(environment, inputs=False, folds=False),
        plan=plan,
    )
    return _task(plan, environment, name, _deciding(document, environment, _counts(document), bucket=True))


def _deciding(document: TaskDocument, environment: Environment, results: list[Data], *, bucket: bool) -> Data:
    """A spec of one step. bucket: whether it reads there, or writes."""
    arguments = ["stage-out", "$(params.mlgen-values[*])"]
    env = [staging.DOLLAR_VARIABLE, staging.document_variable(document)]
    if bucket:
        env += [staging.RUN_VARIABLES[1], *staging.credentials(environment.s3)]
    step = staging.container("stage-out", environment, arguments, env, [])
    return {
        # No name of the run: by that one knows the tasks that leave a record.
        "params": [*_strings(RUN_PARAMS[1:] if bucket else ()), _VALUES],
        "results": results,
        "stepTemplate": _STEP_TEMPLATE,
        "steps": [_timed(step, protocol.GATE_TIMEOUT_SECONDS)],
    }


def record_task(plan: Plan, environment: Environment) -> Data:
    """The Task of the finally task `record`, which writes run.json."""
    platform = staging.platform(environment, inputs=False, folds=environment.ledger.fold in ("task", "run"))
    document = documents.of_record(
        pipeline=plan.name, env=environment.name, artifacts=environment.artifacts, platform=platform, plan=plan
    )
    env = [
        staging.document_variable(document),
        *staging.RUN_VARIABLES,
        *staging.LABEL_VARIABLES,
        staging.variable("MLGEN_RUN_STATUS", "$(params.mlgen-run-status)"),
        staging.variable("MLGEN_TASKS", "$(params.mlgen-tasks)"),
        *staging.credentials(environment.s3),
    ]
    ledger = staging.ledger_volume(document, environment)
    mounts = [ROOT_MOUNT, STATE_MOUNT, *([staging.LEDGER_MOUNT] if ledger else [])]
    step = staging.container(RECORD, environment, [RECORD, "$(params.mlgen-values[*])"], env, mounts)
    spec: Data = {
        "params": [*_strings(RUN_PARAMS), *_strings(FINAL_PARAMS), _VALUES],
        "stepTemplate": _STEP_TEMPLATE,
        "steps": [_timed(step, protocol.RECORD_TIMEOUT_SECONDS)],
        "volumes": [
            {"name": WORK_VOLUME, "emptyDir": {}},
            {"name": STATE_VOLUME, "emptyDir": {}},
            *ledger,
        ],
    }
    return _task(plan, environment, RECORD, spec)


def _results(task: Task) -> list[str]:
    return [*(out.name for out in task.outs), *(f"if-{e.index}" for e in task.evaluates)]


def _counts(document: TaskDocument) -> list[Data]:
    found: list[Data] = []
    for count in document.counts:
        named = counting.names(count.index, square=count.square)
        found += _strings([named.full, named.over])
        found += [{"name": one, "type": "array"} for one in named.arrays]
    return found


def _item_values(task: Task) -> list[str]:
    """What ours are told of an item's variables, where they are params."""
    types = {v.name: v.type for v in task.fan.variables} if task.fan else {}
    return [pod.value(f"{pod.ITEM}.{name}", types[name], f"$(params.{name})") for name in fans.by_param(task)]


def _timed(step: Data, seconds: int) -> Data:
    return step | {"timeout": duration_text(seconds)}


def _strings(names: Iterable[str]) -> list[Data]:
    return [{"name": name, "type": "string"} for name in names]


def _task(plan: Plan, environment: Environment, task: str, spec: Data) -> Data:
    spec = {key: value for key, value in spec.items() if value != []}
    return {
        "apiVersion": "tekton.dev/v1",
        "kind": "Task",
        "metadata": {
            "name": task_name(plan.name, task, spec),
            "namespace": environment.namespace,
            "labels": task_labels(plan, environment, task),
            "annotations": TASK_ANNOTATIONS,
        },
        "spec": spec,
    }
