"""Pipeline → Pipeline without pipelines in it: their tasks laid in, as if written out, and defaults given.

Done when checks found nothing; what only shows in the whole is told here: names too long, or taken.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import cached_property

from mlgen import gates
from mlgen.diagnostic import Diagnostic, Related
from mlgen.gates import Gate
from mlgen.spec.checks import names, types
from mlgen.spec.checks.wiring import needs
from mlgen.spec.model import Caller, Fan, GateText, In, Input, Literal, Pipeline, Ref, Setting, Task
from mlgen.values import parse

MAX_TASKS = 2000  # of a pipeline with those that are laid into it
Key = tuple[str, str]
Source = Ref | Literal


def flatten(pipeline: Pipeline) -> tuple[Pipeline, list[Diagnostic]]:
    """The pipeline with every nested one laid in and every default of a task file given; and what does not fit.

    The same object where there is neither.
    """
    used = [task.file for task in pipeline.all_tasks if task.file]
    if not any(file.nested or any(not p.is_required for p in file.ins.values()) for file in used):
        return pipeline, []
    if (count := _count(pipeline)) > MAX_TASKS:
        place = next(t.use.place for t in pipeline.tasks.values() if t.use and t.file and t.file.nested)
        message = f"there are {count:,} tasks, with those of the pipelines that are used"
        return pipeline, [place.finding("too-large", message, f"{MAX_TASKS:,} are allowed", "split the pipeline")]
    whole = _Whole()
    tasks = list(_Level(pipeline, whole).tasks())
    finals = {name: _filled(task) for name, task in pipeline.finally_tasks.items()}
    flat = replace(
        pipeline,
        tasks={task.name: task for task in tasks},
        finally_tasks=finals,
        inputs={**pipeline.inputs, **{item.name: item for item, _ in whole.inputs}},
    )
    return flat, [*_taken(pipeline, tasks, whole), *_too_long(flat), *_unset(flat)]


def _count(pipeline: Pipeline) -> int:
    """How many tasks it has, with those of nested ones; each of these is counted once, however often it is used."""
    known: dict[int, int] = {}

    def count(one: Pipeline) -> int:
        if id(one) not in known:
            nested = (t.file.nested if t.file else None for t in one.tasks.values())
            known[id(one)] = sum(count(inner) if inner else 1 for inner in nested)
        return known[id(one)]

    return count(pipeline)


def _filled(task: Task) -> Task:
    """A task with the defaults of its file for the ins that are not given."""
    given = {item.name for item in task.ins}
    added = [
        In(p.name, p.place, Literal(p.type, p.default), keyed=True)
        for p in (task.file.ins.values() if task.file else ())
        if p.name not in given and p.default is not None and p.type is not None
    ]
    return replace(task, ins=(*task.ins, *added)) if added else task


@dataclass
class _Whole:
    """What nested pipelines bring into the whole. inputs: those that no caller gives, with who uses their pipeline."""

    inputs: list[tuple[Input, Caller]] = field(default_factory=list)


@dataclass(frozen=True)
class _Level:
    """A pipeline where it is used, or the one that is planned. outside: where it is used, and the task that does."""

    pipeline: Pipeline
    whole: _Whole
    outside: tuple[_Level, Task] | None = None

    @cached_property
    def callers(self) -> tuple[Caller, ...]:
        if self.outside is None:
            return ()
        level, task = self.outside
        assert task.use is not None
        return (*level.callers, Caller(level.name(task.name), task.use.place))

    @cached_property
    def needs(self) -> dict[str, list[str]]:
        return needs(self.pipeline)

    @cached_property
    def inner(self) -> dict[str, _Level]:
        """The levels of the tasks that use a pipeline."""
        used = ((task, task.file.nested) for task in self.pipeline.tasks.values() if task.file)
        return {task.name: _Level(nested, self.whole, (self, task)) for task, nested in used if nested}

    def name(self, task: str) -> str:
        return f"{self.callers[-1].name}-{task}" if self.callers else task

    @cached_property
    def bound(self) -> dict[Key, Source]:
        """What the params and inputs of a nested pipeline are in the whole."""
        assert self.outside is not None
        level, task = self.outside
        given = {item.name: level.source(item.source) for item in task.ins if item.source is not None}
        found: dict[Key, Source] = {}
        for param in self.pipeline.params.values():
            if param.name in given:
                found["params", param.name] = given[param.name]
            elif param.default is not None and param.type is not None:
                found["params", param.name] = Literal(param.type, param.default)
        for item in self.pipeline.inputs.values():
            found["inputs", item.name] = given.get(item.name) or self._hoisted(item, self.callers[-1])
        return found

    @cached_property
    def gate(self) -> GateText | None:
        """The gate of who uses the pipeline."""
        return self.outside[0]._gate(self.outside[1]) if self.outside else None

    @cached_property
    def after(self) -> tuple[Setting, ...]:
        """What who uses the pipeline waits for."""
        return self.outside[0]._after(self.outside[1]) if self.outside else ()

    def _hoisted(self, item: Input, caller: Caller) -> Ref:
        name = f"{caller.name.replace('-', '_')}_{item.name}"
        self.whole.inputs.append((replace(item, name=name), caller))
        return Ref("inputs", name, item.place)

    def tasks(self) -> Iterator[Task]:
        """Its tasks with those of nested ones, in the order of the file."""
        for task in self.pipeline.tasks.values():
            if task.name in self.inner:
                yield from self.inner[task.name].tasks()
            else:
                yield self._laid_in(_filled(task))

    def _laid_in(self, task: Task) -> Task:
        ins = (replace(i, source=i.source and self.source(i.source)) for i in task.ins)
        return replace(
            task,
            name=self.name(task.name),
            ins=tuple(ins),
            fan=task.fan and self._fan(task.fan),
            gate=self._gate(task),
            after=self._after(task),
            callers=self.callers,
        )

    def _fan(self, fan: Fan) -> Fan:
        """A fan with the outs that it goes through as they are called in the whole."""
        sources = [self.source(axis.values) if isinstance(axis.values, Ref) else axis.values for axis in fan.axes]
        axes = zip(fan.axes, sources, strict=True)
        return replace(fan, axes=tuple(a if isinstance(new, Literal) else replace(a, values=new) for a, new in axes))

    def source(self, source: Source) -> Source:
        """What a reference of this pipeline means in the whole."""
        if isinstance(source, Literal):
            return source
        if source.owner in ("params", "inputs"):
            return self.bound[source.owner, source.name] if self.callers else source
        owner, name = self.produced(source.owner, source.name)
        return replace(source, owner=owner, name=name)

    def produced(self, owner: str, out: str) -> Key:
        """The task of the whole that leaves an out, and the out's name there."""
        level = self.inner.get(owner)
        if level is None:
            return self.name(owner), out
        source = next(item.source for item in level.pipeline.outs if item.name == out)
        assert isinstance(source, Ref), f"{owner}.{out} was checked"
        return level.produced(source.owner, source.name)

    def ends(self, owner: str) -> list[str]:
        """The tasks of the whole that nothing of a task's own follows: who comes after these comes after all."""
        level = self.inner.get(owner)
        if level is None:
            return [self.name(owner)]
        followed = {need for found in level.needs.values() for need in found}
        return [end for task in level.pipeline.tasks if task not in followed for end in level.ends(task)]

    def _after(self, task: Task) -> tuple[Setting, ...]:
        own = tuple(Setting(end, s.place) for s in task.after for end in self.ends(str(s.value)))
        return own if self.needs[task.name] else (*self.after, *own)

    def _gate(self, task: Task) -> GateText | None:
        """A task's gate in the whole: that of who uses its pipeline, and its own."""
        own = task.gate.gate if task.gate else None
        if own is None or (not self.callers and not self.inner):
            return task.gate if self.gate is None else self.gate
        parts = [self.gate.gate] if self.gate and self.gate.gate else []
        for part in gates.conjuncts(own):
            laid = self._part(part)
            if gates.refs(laid):
                parts.append(laid)
            elif not gates.evaluate(laid, lambda _ref: None):  # what is always true asks nothing
                parts.append(_false(laid))
        if not parts:
            return None
        assert task.gate is not None
        gate = parts[0] if len(parts) == 1 else gates.And(tuple(parts))
        return GateText(gates.to_text(gate), gate, task.gate.place)

    def _part(self, gate: Gate) -> Gate:
        match gate:
            case gates.Compare():
                return replace(gate, left=self._operand(gate.left), right=self._operand(gate.right))
            case gates.In():
                return replace(gate, left=self._operand(gate.left))
            case gates.Not():
                return gates.Not(self._part(gate.part))
            case gates.And() | gates.Or():
                return type(gate)(tuple(self._part(part) for part in gate.parts))

    def _operand(self, side: gates.Operand) -> gates.Operand:
        if isinstance(side, gates.Literal):
            return side
        found = self.source(Ref(side.owner, side.name, self.pipeline.place))
        if isinstance(found, Ref):
            return replace(side, owner=found.owner, name=found.name)
        value = parse(found.type, found.text)
        assert isinstance(value, str | int | float), "a gate compares no json"
        return gates.Literal(value)


def _false(gate: Gate) -> Gate:
    """A gate of constants that is false, so that it needs no pod to be decided: texts and booleans compared."""
    if isinstance(gate, gates.Compare | gates.In) and all(
        isinstance(o, gates.Literal) and isinstance(o.value, str) for o in gates.operands(gate)
    ):
        return gate
    return gates.Compare("==", gates.Literal(value=False), gates.Literal(value=True))


def _taken(pipeline: Pipeline, tasks: list[Task], whole: _Whole) -> Iterator[Diagnostic]:
    """Names of laid-in tasks and inputs that something else has."""
    why = "the tasks of a pipeline that is used are called <task>-<its task>"
    seen = {task.name: task for task in (*pipeline.finally_tasks.values(), *(t for t in tasks if not t.callers))}
    for task in tasks:
        if not task.callers:
            continue
        other = seen.setdefault(task.name, task)
        if other is not task:
            message = f'"{task.name}", which is laid in here, is also another task'
            related = (Related("the other task", other.place.key_span),)
            yield task.callers[0].place.finding("name-collision", message, why, "rename one of them", related)
    inputs = {**pipeline.inputs, **pipeline.params}
    why = "an input that the caller does not give is an input of the whole, called <task>_<input>"
    for item, caller in whole.inputs:
        if item.name in inputs:
            message = f'"{item.name}", which is laid in here, is also another input or a param'
            yield caller.place.finding("name-collision", message, why, "rename that, or give the input here")
        elif not names.VARIABLE.fullmatch(item.name):
            message = f'the name "{item.name[:80]}" of an input is too long'
            yield caller.place.finding("name-too-long", message, why, "give the input here, or shorten a name")
        inputs[item.name] = item


def _too_long(flat: Pipeline) -> Iterator[Diagnostic]:
    """Tasks whose names, with those of their callers, do not fit: told where the first of them uses a pipeline."""
    for task in flat.tasks.values():
        over = len(flat.name or "") + len(task.name) - names.MAX_NODE
        if task.callers and over > 0:
            message = f'"{task.name[:80]}", which is laid in here, is {over} characters too long with "{flat.name}"'
            related = (Related("the task", task.place.key_span),)
            fix = f"shorten one of the names by {over}"
            yield task.callers[0].place.finding("name-too-long", message, names.LENGTH_RULE, fix, related)


def _unset(flat: Pipeline) -> Iterator[Diagnostic]:
    """Optional outs that a nested pipeline's command lists get from outside."""
    for task in flat.tasks.values():
        for one in types.optional_ins_of(task, flat) if task.callers else ():
            yield replace(one, related=(*one.related, Related("it is used here", task.callers[0].place.span)))
