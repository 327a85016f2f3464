"""The documents of a plan's tasks: what a renderer writes into manifests and the local engine hands over.

Apart from `protocol`, so that no pod loads what a plan is made of.
"""

from __future__ import annotations

from mlgen import canonical
from mlgen.plan import model
from mlgen.runtime.cache_key import of_text
from mlgen.runtime.pod import Platform
from mlgen.runtime.protocol import (
    GATE_TIMEOUT_SECONDS,
    RECORD_TIMEOUT_SECONDS,
    CacheDocument,
    CheckpointDocument,
    Evaluation,
    In,
    Out,
    TaskDocument,
)
from mlgen.runtime.retrying import Policy


def of_task(
    task: model.Task, *, pipeline: str, env: str, artifacts: str, platform: Platform | None = None
) -> TaskDocument:
    """The document of a plan's task in an environment."""
    return TaskDocument(
        pipeline=pipeline,
        env=env,
        task=task.name,
        ins=tuple(In(i.name, _kind(i), i.type, i.optional) for i in task.ins),
        outs=tuple(Out(o.name, o.type, o.optional, o.max_bytes) for o in task.outs),
        evaluates=_evaluations(task.evaluates),
        artifacts=artifacts,
        code_digest=task.code.digest if task.code else None,
        image=task.image.reference if task.image else None,
        image_digest=task.image.digest if task.image else None,
        timeout_seconds=task.timeout_seconds,
        platform=platform,
        cache=_cache(task, env, on_this_machine=platform is None),
        retry=policy_of(task),
        checkpoint=CheckpointDocument(task.checkpoint.name, task.checkpoint.every_seconds) if task.checkpoint else None,
    )


def policy_of(task: model.Task) -> Policy | None:
    """What stages must know of a task's further attempts; None where any failure is tried again, at once."""
    if task.retry is None and task.idempotent:
        return None
    retry = task.retry or model.Retry()
    return Policy(task.retries, retry.backoff_seconds, retry.infrastructure, retry.codes, task.idempotent)


def _cache(task: model.Task, env: str, *, on_this_machine: bool) -> CacheDocument | None:
    """None where a cluster cannot say which image it would run: a tag is no key."""
    if task.cache is None or not (on_this_machine or (task.image and task.image.digest)):
        return None
    parts = {"env": env, "code": task.code.digest if task.code else ""}
    if not on_this_machine and task.image and task.image.digest:
        parts["image"] = task.image.digest
    run = task.run.text if isinstance(task.run, model.Script) else list(task.run.args)
    parts["run"] = canonical.digest(run)
    parts |= {f"env {name}": of_text(text) for name, text in task.env}
    parts |= {f"secret {s.variable}": f"{s.secret}/{s.key}" for s in task.secrets}
    parts |= {f"in {i.name}": of_text(i.source.text) for i in task.ins if isinstance(i.source, model.Value)}
    for out in task.outs:
        most = f", at most {out.max_bytes} bytes" if out.max_bytes is not None else ""
        parts[f"out {out.name}"] = f"{out.type}{', optional' if out.optional else ''}{most}"
    key, param = task.cache.key, None
    if isinstance(key, model.Value):
        parts["key"] = of_text(key.text)
    elif key is not None:
        param = key.name
    return CacheDocument(tuple(sorted(parts.items())), param, task.cache.max_age_seconds)


def of_gate_task(
    task: model.GateTask, *, pipeline: str, env: str, artifacts: str, platform: Platform | None = None
) -> TaskDocument:
    """The document of a task that only evaluates: no ins, no outs, no main."""
    evaluations = _evaluations(task.evaluates)
    return TaskDocument(
        pipeline, env, task.name, (), (), evaluations, artifacts, None, None, None, GATE_TIMEOUT_SECONDS, platform
    )


def of_record(*, pipeline: str, env: str, artifacts: str, platform: Platform) -> TaskDocument:
    """The document of the finally task `record`, which writes run.json."""
    return TaskDocument(
        pipeline, env, "record", (), (), (), artifacts, None, None, None, RECORD_TIMEOUT_SECONDS, platform
    )


def of_published(*, env: str, artifacts: str, platform: Platform) -> TaskDocument:
    """The document of the pod that looks for what manifests pin: of an environment, not of a task."""
    return TaskDocument("", env, "published", (), (), (), artifacts, None, None, None, 0, platform)


def _kind(item: model.In) -> str:
    if not item.type.is_artifact:
        return "value"
    return "input" if isinstance(item.source, model.InputRef) else "out"


def _evaluations(evaluations: tuple[model.Evaluation, ...]) -> tuple[Evaluation, ...]:
    return tuple(Evaluation(e.index, e.text, e.types) for e in evaluations)
