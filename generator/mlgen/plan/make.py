"""Pipeline → Plan: references resolved, order fixed, defaults filled in, gates split."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import cast

from mlgen import canonical
from mlgen.diagnostic import Diagnostic, Findings
from mlgen.plan import fans, gating
from mlgen.plan.model import (
    Cache,
    Checkpoint,
    Code,
    Command,
    Evaluation,
    Gpu,
    Image,
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
    Workspace,
)
from mlgen.registry.reference import IMAGE
from mlgen.schedules.model import Schedule
from mlgen.spec import model as spec
from mlgen.spec import quantities
from mlgen.spec.checks.arguments import is_remote, split_digest
from mlgen.spec.checks.caching import ask_of
from mlgen.spec.checks.context import type_of
from mlgen.spec.checks.names import MAX_NODE
from mlgen.spec.checks.wiring import names_read, needs
from mlgen.spec.fans import is_many
from mlgen.spec.graph import order
from mlgen.spec.paths import resolve
from mlgen.spec.schedules import CATCH_UP_SECONDS, ZONE
from mlgen.spec.settings import INFRASTRUCTURE, Amount, CheckpointAsk, GpuAsk, Retries, SecretKey, WorkspaceAsk
from mlgen.triggers.model import Trigger
from mlgen.values import Type

DEFAULT_TIMEOUT_SECONDS = 3600
DEFAULT_CPU_MILLIS = 1000
DEFAULT_EVERY_SECONDS = 300
DEFAULT_MEMORY = Size("1Gi", 1 << 30)


def make(pipeline: spec.Pipeline, files: spec.Files, lock: Mapping[str, str], *, spec_digest: str) -> Plan:
    """The plan of a pipeline that `check` found no error in.

    files: the repository, for the digests of code and inputs. lock: image reference -> digest.
    Raises Findings when a gate needs a pod of its own whose name is taken or too long.
    """
    maker = _Maker(pipeline, files, lock)
    return maker.plan(spec_digest)


class _Maker:
    def __init__(self, pipeline: spec.Pipeline, files: spec.Files, lock: Mapping[str, str]) -> None:
        self.pipeline, self.files, self.lock = pipeline, files, lock
        self.codes: dict[tuple[str, ...], Code] = {}
        self.reads = {t.name: self.read_by(t) for t in pipeline.all_tasks}
        self.late = {t.name for t in pipeline.all_tasks if t.fan or (ask_of(t) and "gpu" in t.settings)}
        self.split = gating.split(
            {
                t.name: (t.gate.gate, () if t.final else self.reads[t.name])
                for t in pipeline.all_tasks
                if t.gate and t.gate.gate
            },
            self.type_of,
            self.late,
        )
        self.check_gate_tasks()

    def read_by(self, task: spec.Task) -> tuple[str, ...]:
        return tuple(sorted({owner for owner, _ in names_read(task) if owner in self.pipeline.tasks}))

    def type_of(self, owner: str, name: str) -> Type:
        found = type_of(self.pipeline, owner, name)
        assert found is not None, f"{owner}.{name} was checked"
        return found

    def check_gate_tasks(self) -> None:
        found = []
        known = {t.name: t for t in self.pipeline.all_tasks}
        for gate_task in self.split.gate_tasks:
            gate = known[gate_task.consumer].gate
            assert gate is not None
            why = f'this gate is decided by a pod of its own, "{gate_task.name}": no single task before it can'
            if gate_task.name in known:
                message = f'the gate of "{gate_task.consumer}" needs the name "{gate_task.name}", which is a task'
                found.append(Diagnostic("name-collision", message, gate.place.span, why, "rename that task"))
            over = len(self.pipeline.name or "") + len(gate_task.name) - MAX_NODE
            if over > 0:
                message = (
                    f'the names "{self.pipeline.name}" and "{gate_task.name}" are {over} characters too long together'
                )
                found.append(Diagnostic("name-too-long", message, gate.place.span, why, f"shorten them by {over}"))
        found += self.lookup_names(known)
        if found:
            raise Findings(found)

    def lookup_names(self, known: Mapping[str, spec.Task]) -> Iterator[Diagnostic]:
        """What stands against the names of pods that look in the cache."""
        taken = {*known, *(gate_task.name for gate_task in self.split.gate_tasks)}
        for task in known.values():
            if task.fan or not ask_of(task) or "gpu" not in task.settings:
                continue
            name, place = f"cache-{task.name}", task.settings["cache"].place
            why = f'a pod of its own, "{name}", looks for it in the cache, so that a hit takes no GPU'
            if name in taken:
                message = f'the cache of "{task.name}" needs the name "{name}", which is a task'
                yield place.key_finding("name-collision", message, why, "rename that task")
            over = len(self.pipeline.name or "") + len(name) - MAX_NODE
            if over > 0:
                message = f'the names "{self.pipeline.name}" and "{name}" are {over} characters too long together'
                yield place.key_finding("name-too-long", message, why, f"shorten them by {over}")

    def plan(self, spec_digest: str) -> Plan:
        pipeline = self.pipeline
        ordered = order(needs(pipeline))
        return Plan(
            name=pipeline.name or "",
            description=pipeline.description,
            owner=str(pipeline.owner.value) if pipeline.owner else "",
            labels=tuple(sorted(pipeline.labels.items())),
            params=tuple(self.param(p) for _, p in sorted(pipeline.params.items())),
            inputs=tuple(self.input(i) for _, i in sorted(pipeline.inputs.items())),
            tasks=tuple(self.task(pipeline.tasks[name]) for name in ordered),
            finally_tasks=tuple(self.task(t) for _, t in sorted(pipeline.finally_tasks.items())),
            gate_tasks=tuple(self.split.gate_tasks),
            source=pipeline.path,
            spec_digest=spec_digest,
            schedules=tuple(sorted(map(self.schedule, pipeline.schedules), key=lambda one: one.digest)),
            triggers=tuple(sorted(map(self.trigger, pipeline.triggers), key=lambda one: one.digest)),
        )

    def schedule(self, written: spec.Schedule) -> Schedule:
        assert written.cron is not None, "it was checked"
        texts = {given.name: given.text for given in written.params if given.text is not None}
        times = {given.name: given.of_time for given in written.params if given.of_time is not None}
        return Schedule(
            cron=str(written.cron.value),
            zone=str(written.zone.value) if written.zone else ZONE,
            concurrency=written.concurrency,
            catch_up_seconds=int(str(written.catch_up.value)) if written.catch_up else CATCH_UP_SECONDS,
            params=tuple(sorted(texts.items())),
            scheduled=tuple(sorted(times.items())),
        )

    def trigger(self, written: spec.Trigger) -> Trigger:
        assert written.kind is not None, "it was checked"
        assert written.what is not None, "it was checked"
        secret = written.secret.value if written.secret else None
        fields = {given.name: given.field for given in written.params if given.field is not None}
        return Trigger(
            kind=written.kind,
            what=str(written.what.value),
            secret=(secret.secret, secret.key) if isinstance(secret, SecretKey) else None,
            events=tuple(sorted({str(one.value) for one in written.events})),
            tests=tuple(test for _, test in written.tests),
            concurrency=written.concurrency,
            params=tuple(sorted((given.name, given.text) for given in written.params if given.text is not None)),
            fields=tuple(sorted(fields.items())),
            required=tuple(sorted(name for name in fields if self.pipeline.params[name].is_required)),
            id=written.id,
        )

    def param(self, param: spec.Param) -> Param:
        assert param.type is not None
        return Param(
            param.name, param.type, param.default, param.choices, param.minimum, param.maximum, param.description
        )

    def input(self, item: spec.Input) -> Input:
        assert item.type is not None
        if item.uri is None:
            return Input(item.name, item.type, None, item.digest)
        uri, digest = split_digest(item.uri)
        if not is_remote(uri):
            uri = resolve(uri, item.place.document.file)
            # Pinned, so that a run reads the bytes that were reviewed (design §2: published like code).
            digest = digest or item.digest or self.files.sha256(uri)
        return Input(item.name, item.type, uri, digest or item.digest)

    def task(self, task: spec.Task) -> Task:
        get = {key: setting.value for key, setting in task.settings.items()}.get
        memory = _size(cast(Amount | None, get("memory"))) or DEFAULT_MEMORY
        gpu = cast(GpuAsk | None, get("gpu"))
        shm = _size(cast(Amount | None, get("shm")))
        if shm is None and gpu:
            shm = Size(quantities.size_text(memory.bytes // 4), memory.bytes // 4)
        reads = self.reads[task.name]
        retries = cast(Retries | None, get("retries")) or Retries(0)
        return Task(
            name=task.name,
            run=_run(task.step),
            ins=tuple(sorted((self.in_(item) for item in task.ins), key=lambda i: i.name)),
            outs=tuple(Out(o.name, cast(Type, o.type), o.optional, o.max_bytes) for _, o in sorted(task.outs.items())),
            reads=reads,
            after=tuple(sorted({str(s.value) for s in task.after} - set(reads))),
            conditions=self.split.conditions.get(task.name, ()),
            evaluates=self.evaluations(task.name),
            image=self.image(cast(str | None, get("image"))),
            code=self.code(task),
            cpu_millis=cast(int | None, get("cpu")) or DEFAULT_CPU_MILLIS,
            memory=memory,
            disk=_size(cast(Amount | None, get("disk"))),
            shm=shm,
            gpu=Gpu(gpu.pool, gpu.count) if gpu else None,
            timeout_seconds=cast(int | None, get("timeout")) or DEFAULT_TIMEOUT_SECONDS,
            retries=retries.count,
            env=tuple(sorted((n, str(s.value)) for n, s in _settings(get("env")).items())),
            secrets=tuple(_secret(n, s) for n, s in sorted(_settings(get("secrets")).items())),
            file=task.file.path if task.file else task.place.document.file if task.callers else "",
            group=tuple(caller.name for caller in task.callers),
            fan=fans.fan(task),
            cache=_cache(task),
            retry=_retry(retries),
            idempotent=get("idempotent") is not False,
            checkpoint=_checkpoint(cast(CheckpointAsk | None, get("checkpoint"))),
            spot=get("spot") is True,
            workspace=_workspace(cast(WorkspaceAsk | None, get("workspace"))),
            priority=cast(str | None, get("priority")),
            queue=cast(str | None, get("queue")),
            nodes=cast(int | None, get("nodes")) or 1,
        )

    def evaluations(self, name: str) -> tuple[Evaluation, ...]:
        return tuple(self.split.evaluations.get(name, {}).values())

    def in_(self, item: spec.In) -> In:
        match item.source:
            case spec.Literal(type=kind, text=text):
                return In(item.name, Value(kind, text), kind)
            case spec.Ref(owner=owner, name=name):
                source: Source = OutRef(owner, name)
                if owner in ("params", "inputs"):
                    source = ParamRef(name) if owner == "params" else InputRef(name)
                producer = self.pipeline.tasks.get(owner) if isinstance(source, OutRef) else None
                many = is_many(producer)
                out = producer.outs.get(name) if producer else None  # None also for a winner's variable
                optional = out is not None and out.optional and not many
                return In(item.name, source, self.type_of(owner, name), optional, owner in self.late, many)
        raise AssertionError(f"{item.name} was checked")

    def image(self, reference: str | None) -> Image | None:
        if reference is None:
            return None
        match = IMAGE.fullmatch(reference)
        return Image(reference, (match and match["digest"]) or self.lock.get(reference))

    def code(self, task: spec.Task) -> Code | None:
        setting = task.settings.get("code")
        if setting is None:
            return None
        written = cast("tuple[tuple[str, spec.Place], ...]", setting.value)
        folders = tuple(resolve(path, place.document.file) for path, place in written)
        if folders not in self.codes:
            files = {name: sha for folder in folders for name, sha in self.files.listing(folder).items()}
            self.codes[folders] = Code(folders, canonical.folder_digest(files))
        return self.codes[folders]


def _run(step: spec.Step | None) -> Script | Command:
    assert step is not None
    return Script(step.script) if step.script is not None else Command(step.args or ())


def _retry(retries: Retries) -> Retry | None:
    """None where it says no more than a count: equal meaning is an equal plan."""
    if retries.on is None:
        return Retry(retries.backoff_seconds) if retries.backoff_seconds else None
    codes = tuple(sorted(end for end in retries.on if isinstance(end, int)))
    return Retry(retries.backoff_seconds, INFRASTRUCTURE in retries.on, codes)


def _checkpoint(asked: CheckpointAsk | None) -> Checkpoint | None:
    return Checkpoint(asked.name, asked.every_seconds or DEFAULT_EVERY_SECONDS) if asked else None


def _size(amount: Amount | None) -> Size | None:
    return Size(amount.text, amount.bytes) if amount else None


def _cache(task: spec.Task) -> Cache | None:
    ask = ask_of(task)
    if ask is None:
        return None
    key: ParamRef | Value | None = None
    if ask.key is not None:
        kind, text = ask.key
        key = Value(kind, text) if kind is not None else ParamRef(text.removeprefix("params."))
    return Cache(ask.max_age_seconds, key)


def _workspace(ask: WorkspaceAsk | None) -> Workspace | None:
    return Workspace(ask.kind, Size(ask.amount.text, ask.amount.bytes)) if ask else None


def _settings(value: object) -> dict[str, spec.Setting]:
    return cast("dict[str, spec.Setting]", value or {})


def _secret(variable: str, setting: spec.Setting) -> SecretRef:
    key = cast(SecretKey, setting.value)
    return SecretRef(variable, key.secret, key.key)
