"""A Plan as JSON, the canonical form whose digest is the plan's."""

from __future__ import annotations

from mlgen.plan.model import (
    Cache,
    Evaluation,
    Fan,
    In,
    InputRef,
    OutRef,
    ParamRef,
    Plan,
    Retry,
    Script,
    Size,
    Task,
    Value,
)


def to_json(plan: Plan) -> dict[str, object]:
    """The plan as plain JSON data; what is not given is absent, so a new key changes no old digest."""
    return _given(
        name=plan.name,
        description=plan.description or None,
        owner=plan.owner or None,
        labels=dict(plan.labels),
        params={
            p.name: _given(
                type=p.type,
                default=p.default,
                choices=list(p.choices),
                minimum=p.minimum,
                maximum=p.maximum,
                description=p.description or None,
            )
            for p in plan.params
        },
        inputs={i.name: _given(type=i.type, uri=i.uri, digest=i.digest) for i in plan.inputs},
        tasks=[task_json(task) for task in plan.tasks],
        **{"finally": [task_json(task) for task in plan.finally_tasks]},
        gateTasks=[
            _given(
                name=g.name, consumer=g.consumer, reads=list(g.reads), evaluates=[_evaluation(e) for e in g.evaluates]
            )
            for g in plan.gate_tasks
        ],
    )


def _given(**items: object) -> dict[str, object]:
    # An empty text is given: the default "" is another thing than none.
    return {key: value for key, value in items.items() if value is not None and value not in ([], {})}


def task_json(task: Task) -> dict[str, object]:
    """A task as in the plan's JSON."""
    run: object = task.run.text if isinstance(task.run, Script) else list(task.run.args)
    return _given(
        name=task.name,
        run=run,
        **{"in": [_in(i) for i in task.ins]},
        out=[_given(name=o.name, type=o.type, optional=o.optional or None, maxBytes=o.max_bytes) for o in task.outs],
        reads=list(task.reads),
        after=list(task.after),
        conditions=[_given(text=c.text, evaluator=c.evaluator, index=c.index) for c in task.conditions],
        evaluates=[_evaluation(e) for e in task.evaluates],
        image=_given(reference=task.image.reference, digest=task.image.digest) if task.image else None,
        code=_given(folders=list(task.code.folders), digest=task.code.digest) if task.code else None,
        cpuMillis=task.cpu_millis,
        memory=_size(task.memory),
        disk=_size(task.disk),
        shm=_size(task.shm),
        gpu=_given(pool=task.gpu.pool, count=task.gpu.count) if task.gpu else None,
        timeoutSeconds=task.timeout_seconds,
        retries=task.retries,
        retry=_retry(task.retry) if task.retry else None,
        idempotent=None if task.idempotent else False,
        checkpoint=_given(name=task.checkpoint.name, everySeconds=task.checkpoint.every_seconds)
        if task.checkpoint
        else None,
        spot=task.spot or None,
        workspace=_given(kind=task.workspace.kind, size=_size(task.workspace.size)) if task.workspace else None,
        priority=task.priority,
        queue=task.queue,
        nodes=task.nodes if task.nodes > 1 else None,
        env=dict(task.env),
        secrets={s.variable: f"{s.secret}/{s.key}" for s in task.secrets},
        fan=_fan(task.fan) if task.fan else None,
        cache=_cache(task.cache) if task.cache else None,
    )


def _fan(fan: Fan) -> dict[str, object]:
    """Without items there is `rows: []`, which is another thing than no rows."""
    lists = [{"from": str(source)} if isinstance(source, OutRef) else list(source) for source in fan.lists]
    return {
        "kind": fan.kind,
        "variables": [{"name": v.name, "type": v.type} for v in fan.variables],
        **({} if fan.rows is None else {"rows": [list(row) for row in fan.rows]}),
        **_given(
            lists=lists,
            parallel=fan.parallel,
            failures=fan.failures or None,
            search=fan.search.to_json() if fan.search else None,
            pick=f"{'max' if fan.pick.highest else 'min'} {fan.pick.metric}" if fan.pick else None,
        ),
    }


def _cache(cache: Cache) -> dict[str, object]:
    found: dict[str, object] = {"on": True, **_given(maxAgeSeconds=cache.max_age_seconds)}
    match cache.key:
        case Value(type=kind, text=text):
            found["key"] = {"type": str(kind), "value": text}
        case ParamRef():
            found["key"] = {"from": str(cache.key)}
    return found


def _retry(retry: Retry) -> dict[str, object]:
    found = _given(backoffSeconds=retry.backoff_seconds or None)
    if retry.codes is not None:
        found |= {"infrastructure": retry.infrastructure, "codes": list(retry.codes)}
    return found


def _size(size: Size | None) -> str | None:
    return size.text if size else None


def _evaluation(evaluation: Evaluation) -> dict[str, object]:
    return {"index": evaluation.index, "gate": evaluation.text, "types": {ref: str(t) for ref, t in evaluation.types}}


def _in(item: In) -> dict[str, object]:
    source = item.source
    match source:
        case Value():
            where: dict[str, object] = {"value": source.text}
        case ParamRef() | InputRef() | OutRef():
            where = {"from": str(source)}
    return _given(
        name=item.name,
        type=item.type,
        optional=item.optional or None,
        late=item.late or None,
        many=item.many or None,
        **where,
    )
