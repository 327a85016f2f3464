"""The documents of a plan's tasks: what a renderer writes into manifests and the local engine hands over.

Apart from `protocol`, so that no pod loads what a plan is made of.
"""

from __future__ import annotations

from dataclasses import replace

from mlgen import canonical
from mlgen.plan import model
from mlgen.runtime.attempts.retrying import Policy
from mlgen.runtime.cache.key import INDEX_PART, known_digests, make, of_text
from mlgen.runtime.fans.items import CHUNK, MOST_OF_A_RUN
from mlgen.runtime.fans.model import Count, FanDocument, Late, ListDocument
from mlgen.runtime.pod.contract import NOT_IN_PARAMS, Platform
from mlgen.runtime.protocol import (
    GATE_TIMEOUT_SECONDS,
    RECORD_TIMEOUT_SECONDS,
    CacheDocument,
    CheckpointDocument,
    Evaluation,
    Execution,
    In,
    Out,
    Statuses,
    TaskDocument,
)
from mlgen.values import Type

INDEX = "MLGEN_INDEX"  # the variable that holds an item's number


def of_task(
    task: model.Task,
    *,
    pipeline: str,
    env: str,
    artifacts: str,
    platform: Platform | None = None,
    plan: model.Plan | None = None,
    final: bool = False,
) -> TaskDocument:
    """The document of a plan's task in an environment. plan: for an engine that learns of late tasks in the bucket.

    final: a finally task.
    """
    return TaskDocument(
        pipeline=pipeline,
        env=env,
        task=task.name,
        ins=tuple(
            In(i.name, _kind(i), i.type, i.optional, _late(i.source, plan) if i.late else None) for i in task.ins
        ),
        outs=tuple(Out(o.name, o.type, o.optional, o.max_bytes) for o in task.outs),
        evaluates=_evaluations(task.evaluates),
        artifacts=artifacts,
        code_digest=task.code.digest if task.code else None,
        image=task.image.reference if task.image else None,
        image_digest=task.image.digest if task.image else None,
        timeout_seconds=task.timeout_seconds,
        platform=platform,
        cache=_cache(task, env, on_this_machine=platform is None),
        late=platform is not None and task.looked_up,
        retry=policy_of(task),
        checkpoint=_checkpoint(task, env, on_this_machine=platform is None),
        fan=_fan(task, plan) if task.fan else None,
        counts=counts(task.name, plan) if plan else (),
        statuses=_statuses(plan) if plan and final and is_told_by_file(task, plan) else None,
    )


def is_told_by_file(task: model.Task, plan: model.Plan) -> bool:
    """Whether a finally task's script learns of the others by a file: Tekton has a fan as several tasks, or skipped.

    Exec form cannot: it is told what Tekton says of the first of these.
    """
    return isinstance(task.run, model.Script) and any(one.late for one in plan.tasks)


def _statuses(plan: model.Plan) -> Statuses:
    cut = tuple(
        Count(index, task.name, chunk_of(task.fan), is_square(task.fan), ())
        for index, task in enumerate(plan.tasks)
        if task.fan and task.fan.of is None
    )
    return Statuses(cut, tuple(t.name for t in plan.tasks if t.looked_up and t.image and t.image.digest))


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
    parts = _parts(task, env, on_this_machine=on_this_machine)
    key, param = task.cache.key, None
    if isinstance(key, model.Value):
        parts["key"] = of_text(key.text)
    elif key is not None:
        param = key.name
    return CacheDocument(tuple(sorted(parts.items())), param, task.cache.max_age_seconds)


def _checkpoint(task: model.Task, env: str, *, on_this_machine: bool) -> CheckpointDocument | None:
    if task.checkpoint is None:
        return None
    asked = CheckpointDocument(task.checkpoint.name, task.checkpoint.every_seconds)
    if on_this_machine:  # its engine has the plan, see `identity`
        return asked
    parts = _parts(task, env, on_this_machine=False)
    if task.image is not None:  # a tag will do: it is the same task, which a run takes up, and no key of others
        parts.setdefault("image", task.image.reference)
    return replace(asked, parts=tuple(sorted(parts.items())))


def identity(task: model.Task, document: TaskDocument, execution: Execution) -> str | None:
    """The digest of what an execution on this machine computes from; None where an in is not known by its digest."""
    parts = _parts(task, document.env, on_this_machine=True)
    digests = known_digests(document, execution)
    whole = replace(document, cache=CacheDocument(tuple(sorted(parts.items()))))
    return None if digests is None else make(whole, execution, digests).digest


def _parts(task: model.Task, env: str, *, on_this_machine: bool) -> dict[str, str]:
    """What a task computes from, as far as no run decides it."""
    parts = {"env": env, "code": task.code.digest if task.code else ""}
    if not on_this_machine and task.image and task.image.digest:
        parts["image"] = task.image.digest
    run = task.run.text if isinstance(task.run, model.Script) else list(task.run.args)
    parts["run"] = canonical.digest(run)
    if task.fan is not None and INDEX in str(run):
        parts[INDEX_PART] = ""  # each item has its own
    parts |= {f"env {name}": of_text(text) for name, text in task.env}
    parts |= {f"secret {s.variable}": f"{s.secret}/{s.key}" for s in task.secrets}
    parts |= {f"in {i.name}": of_text(i.source.text) for i in task.ins if isinstance(i.source, model.Value)}
    if task.nodes > 1:
        parts["nodes"] = str(task.nodes)
    for out in task.outs:
        most = f", at most {out.max_bytes} bytes" if out.max_bytes is not None else ""
        parts[f"out {out.name}"] = f"{out.type}{', optional' if out.optional else ''}{most}"
    return parts


def of_gate_task(
    task: model.GateTask,
    *,
    pipeline: str,
    env: str,
    artifacts: str,
    platform: Platform | None = None,
    plan: model.Plan | None = None,
) -> TaskDocument:
    """The document of a task that only evaluates: no outs, no main; its ins are the late outs that it reads, by ref."""
    evaluations = _evaluations(task.evaluates)
    ins = tuple(
        In(ref, "value", type_, optional=True, late=_late(source, plan))
        for ref, type_ in gate_refs(task)
        if plan is not None and (source := out_ref(ref)) is not None and plan.task(source.task).late
    )
    return TaskDocument(
        pipeline, env, task.name, ins, (), evaluations, artifacts, None, None, None, GATE_TIMEOUT_SECONDS, platform
    )


def of_counting_task(
    name: str, fan: str, *, pipeline: str, env: str, artifacts: str, platform: Platform | None, plan: model.Plan
) -> TaskDocument:
    """The document of a task that only counts the items of a fan, where no producer of its lists can."""
    found = (_count(0, plan.task(fan), plan),)
    return TaskDocument(
        pipeline, env, name, (), (), (), artifacts, None, None, None, GATE_TIMEOUT_SECONDS, platform, counts=found
    )


def gate_refs(task: model.GateTask) -> list[tuple[str, Type]]:
    """What a gate's pod reads: refs and their types, sorted."""
    return sorted({(ref, type_) for evaluation in task.evaluates for ref, type_ in evaluation.types})


def out_ref(ref: str) -> model.OutRef | None:
    """The out that a gate's reference means; None for a param."""
    owner, name = ref.split(".")
    return None if owner == "params" else model.OutRef(owner, name)


def of_record(
    *, pipeline: str, env: str, artifacts: str, platform: Platform, plan: model.Plan | None = None
) -> TaskDocument:
    """The document of the finally task `record`, which writes run.json.

    Of the fans of which only the run knows how many items they have, it is told how they are cut.
    """
    statuses = _statuses(plan) if plan else Statuses()
    return TaskDocument(
        pipeline,
        env,
        "record",
        (),
        (),
        (),
        artifacts,
        None,
        None,
        None,
        RECORD_TIMEOUT_SECONDS,
        platform,
        counts=statuses.counts,
        lookups=statuses.lookups,
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


def counter(fan: model.Task, plan: model.Plan) -> str | None:
    """The task that tells how many items a fan over lists of the run has, when it ends; None: a pod of its own must.

    It must know all the lists, and its results must be those of one TaskRun.
    """
    assert fan.fan is not None, "of fans"
    owners = {source.task for source in fan.fan.lists if isinstance(source, model.OutRef)}
    owner = owners.pop()
    return owner if not owners and not plan.task(owner).late else None


def counts(task: str, plan: model.Plan) -> tuple[Count, ...]:
    """Of which fans a task tells how many items they have."""
    fans = [t for t in plan.tasks if t.fan and t.fan.of is None and t.fan.lists and counter(t, plan) == task]
    return tuple(_count(index, fan, plan) for index, fan in enumerate(fans))


def _count(index: int, fan: model.Task, plan: model.Plan) -> Count:
    assert fan.fan is not None, "of fans"
    return Count(index, fan.name, chunk_of(fan.fan), is_square(fan.fan), _lists(fan.fan, plan))


def chunk_of(fan: model.Fan) -> int:
    """How many items a full chunk of a fan over lists of the run has."""
    return min(fan.parallel or CHUNK, CHUNK)


def is_square(fan: model.Fan) -> bool:
    """Whether all full chunks of a fan over lists of the run may run at once: one of Tekton's tasks runs them."""
    return fan.parallel is None or fan.parallel >= MOST_OF_A_RUN


def _late(source: model.Source, plan: model.Plan | None) -> Late | None:
    if plan is None or not isinstance(source, model.OutRef):
        return None
    fan = plan.task(source.task).fan
    if fan is None:
        return Late(source.task, source.out, fan=False)
    if fan.pick is None:
        return Late(source.task, source.out, fan=True, of=fan.of)
    return Late(source.task, source.out, True, fan.pick.metric, fan.pick.highest, fan.of)


def _fan(task: model.Task, plan: model.Plan | None) -> FanDocument:
    fan = task.fan
    assert fan is not None, "of fans"
    return FanDocument(
        variables=tuple((v.name, v.type) for v in fan.variables),
        failures=fan.failures,
        pick=f"{'max' if fan.pick.highest else 'min'} {fan.pick.metric}" if fan.pick else None,
        of=fan.of,
        retries=task.retries,
        lists=_lists(fan, plan) if plan and fan.of is None else (),
        coded=coded(fan),
        search=fan.search,
    )


def coded(fan: model.Fan) -> tuple[str, ...]:
    """The variables with a text that Tekton would take for one of its own variables."""
    rows = fan.rows or ()
    return tuple(v.name for at, v in enumerate(fan.variables) if any(NOT_IN_PARAMS.search(row[at]) for row in rows))


def _lists(fan: model.Fan, plan: model.Plan) -> tuple[ListDocument, ...]:
    return tuple(
        _list(source, plan) if isinstance(source, model.OutRef) else ListDocument(source) for source in fan.lists
    )


def _list(source: model.OutRef, plan: model.Plan) -> ListDocument:
    producer = plan.task(source.task)
    if not producer.late:
        return ListDocument(str(source))
    types = {out.name: out.type for out in producer.outs}
    types |= {v.name: v.type for v in producer.fan.variables} if producer.fan else {}
    return ListDocument(str(source), _late(source, plan), types[source.out])
