"""Plans made by hand: what the engine's tests run, without a spec to read."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from mlgen.gates import parse_gate
from mlgen.plan.model import (
    Checkpoint,
    Code,
    Command,
    Condition,
    Evaluation,
    GateTask,
    In,
    Input,
    InputRef,
    Out,
    OutRef,
    Param,
    ParamRef,
    Plan,
    Retry,
    Script,
    SecretRef,
    Size,
    Source,
    Task,
    Value,
)
from mlgen.values import Type

GIB = Size("1Gi", 1 << 30)


def source(text: str) -> Source:
    """`params.x`, `inputs.x` or `task.out`."""
    owner, _, name = text.partition(".")
    if owner == "params":
        return ParamRef(name)
    return InputRef(name) if owner == "inputs" else OutRef(owner, name)


def in_(name: str, ref: str | Value, type_: Type = Type.STRING, *, optional: bool = False) -> In:
    return In(name, ref if isinstance(ref, Value) else source(ref), type_, optional)


def out(name: str, type_: Type = Type.STRING, *, optional: bool = False, max_bytes: int | None = None) -> Out:
    if max_bytes is None and type_ in (Type.STRING, Type.JSON):
        max_bytes = 128
    return Out(name, type_, optional, max_bytes)


def task(
    name: str,
    run: str | list[str] = "true",
    *,
    ins: Iterable[In] = (),
    outs: Iterable[Out] = (),
    after: Iterable[str] = (),
    reads: Iterable[str] = (),
    conditions: Iterable[Condition] = (),
    evaluates: Iterable[Evaluation] = (),
    code: Code | None = None,
    timeout: int = 60,
    retries: int = 0,
    env: Mapping[str, str] | None = None,
    secrets: Iterable[str] = (),
    retry: Retry | None = None,
    idempotent: bool = True,
    checkpoint: Checkpoint | None = None,
) -> Task:
    ins = tuple(ins)
    read = {i.source.task for i in ins if isinstance(i.source, OutRef)} | set(reads)
    return Task(
        name=name,
        run=Script(run) if isinstance(run, str) else Command(tuple(run)),
        ins=ins,
        outs=tuple(outs),
        reads=tuple(sorted(read)),
        after=tuple(sorted(set(after) - read)),
        conditions=tuple(conditions),
        evaluates=tuple(evaluates),
        image=None,
        code=code,
        cpu_millis=1000,
        memory=GIB,
        disk=None,
        shm=None,
        gpu=None,
        timeout_seconds=timeout,
        retries=retries,
        env=tuple(sorted((env or {}).items())),
        secrets=tuple(SecretRef(name, "vault", name.lower()) for name in secrets),
        retry=retry,
        idempotent=idempotent,
        checkpoint=checkpoint,
    )


def condition(text: str, evaluator: str | None = None, index: int | None = None) -> Condition:
    return Condition(text, parse_gate(text), evaluator, index)


def evaluation(index: int, text: str, **types: Type) -> Evaluation:
    """types: `task__out=Type.NUMBER` for the reference task.out."""
    return Evaluation(
        index, text, parse_gate(text), tuple(sorted((ref.replace("__", "."), t) for ref, t in types.items()))
    )


def plan(
    *tasks: Task,
    finally_tasks: Iterable[Task] = (),
    gate_tasks: Iterable[GateTask] = (),
    params: Iterable[Param] = (),
    inputs: Iterable[Input] = (),
    name: str = "demo",
) -> Plan:
    return Plan(
        name=name,
        description="",
        owner="",
        labels=(),
        params=tuple(params),
        inputs=tuple(inputs),
        tasks=tasks,
        finally_tasks=tuple(finally_tasks),
        gate_tasks=tuple(gate_tasks),
        source=f"pipelines/{name}.yaml",
        spec_digest="sha256:" + "5" * 64,
    )
