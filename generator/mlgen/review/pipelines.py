"""What two states of one pipeline have otherwise."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import TypeVar

from mlgen.plan.model import Input, Param, Plan, Task, Value
from mlgen.review.arguments import renamed_inputs, renamed_params, with_arguments
from mlgen.review.change import Change, Effect, Kind, of_maps, of_value, ordered, worst
from mlgen.review.names import with_names
from mlgen.review.renames import renamed_tasks
from mlgen.review.tasks import Listing, gate_text, gpu_text, source_text, task_changes

T = TypeVar("T")

RUNS, RULES, METADATA = Effect.RUNS, Effect.RULES, Effect.METADATA


@dataclass(frozen=True, slots=True)
class PipelineReview:
    """What became of a pipeline.

    before, after: its plans, None where it was not, or is no more; of a rename, of other names. changes: worst first.
    task_names: new name -> old name of renamed tasks.
    """

    before: Plan | None
    after: Plan | None
    changes: tuple[Change, ...]
    task_names: tuple[tuple[str, str], ...] = ()

    @property
    def name(self) -> str:
        plan = self.after or self.before
        assert plan is not None, "a pipeline was or is"
        return plan.name

    @property
    def kind(self) -> Kind:
        if self.before is None:
            return Kind.NEW
        if self.after is None:
            return Kind.REMOVED
        return Kind.CHANGED if self.before.name == self.after.name else Kind.RENAMED

    @property
    def effect(self) -> Effect:
        return worst(self.changes)


def compare(before: Plan | None, after: Plan | None, old_code: Listing, new_code: Listing) -> PipelineReview:
    """The review of a pipeline of which at least one state is there."""
    if before is None or after is None:
        plan = after or before
        assert plan is not None
        kind = Kind.NEW if before is None else Kind.REMOVED
        found = [Change(RUNS, kind, task.name, "", note=_about(task, plan)) for task in plan.all_tasks]
        return PipelineReview(before, after, tuple(found))
    names = renamed_tasks(before, after)
    old = with_names(before, {was: now for now, was in names.items()})
    params, inputs = renamed_params(old, after), renamed_inputs(old, after)
    read = with_arguments(old, {was: now for now, was in params.items()}, {was: now for now, was in inputs.items()})
    found = [*_renamed(before, after), *_tasks(read, after, names, old_code, new_code)]
    found += _arguments(old, after, params, inputs)
    found += _schedules(old, after)
    found += of_value(before.description or None, after.description or None, METADATA, "description")
    found += of_value(before.owner or None, after.owner or None, METADATA, "owner")
    found += of_maps(before.labels, after.labels, METADATA, key="labels")
    if not [change for change in found if change.effect is not Effect.NONE]:
        found += _unsaid(before, after)
    return PipelineReview(before, after, ordered(_once(found, old, after)), tuple(sorted(names.items())))


def _once(found: list[Change], old: Plan, new: Plan) -> list[Change]:
    """An edited gate is told of the task that has it, with who decides it; that of who decides it follows from it."""
    gates = ({task.name: {c.text for c in task.conditions} for task in plan.all_tasks} for plan in (old, new))
    were, are = gates
    edited = {text for name in were.keys() & are.keys() for text in were[name] ^ are[name]}
    return [
        replace(change, implied=True)
        if change.key == "decides" and change.kind is not Kind.CHANGED and {change.before, change.after} & edited
        else change
        for change in found
    ]


def _unsaid(before: Plan, after: Plan) -> Iterator[Change]:
    """Of plans that are the same, or that differ in what nothing else tells of."""
    if before.digest != after.digest:
        yield Change(RUNS, Kind.CHANGED, "", "plan")
    elif before.spec_digest != after.spec_digest:
        yield Change(
            METADATA, Kind.CHANGED, "", "spec", note="comments, order or layout; the plan is the same, to the digest"
        )


def _renamed(before: Plan, after: Plan) -> list[Change]:
    return of_value(before.name, after.name, RUNS, "name", note="its runs, records and artifacts go under the new name")


def _tasks(old: Plan, new: Plan, names: dict[str, str], old_code: Listing, new_code: Listing) -> Iterator[Change]:
    were = {task.name: task for task in old.all_tasks}
    are = {task.name: task for task in new.all_tasks}
    final = ({task.name for task in plan.finally_tasks} for plan in (old, new))
    was_final, is_final = final
    for task in new.all_tasks:
        if task.name not in were:
            yield Change(RUNS, Kind.NEW, task.name, "", note=_about(task, new))
            continue
        if task.name in names:
            yield Change(RUNS, Kind.RENAMED, task.name, "", names[task.name], task.name)
        if (task.name in was_final) != (task.name in is_final):
            sections = ("tasks", "finally")
            places = [sections[task.name in finals] for finals in (was_final, is_final)]
            yield Change(RUNS, Kind.CHANGED, task.name, "section", places[0], places[1])
        yield from task_changes(were[task.name], task, old_code, new_code)
    for task in old.all_tasks:
        if task.name not in are:
            yield Change(RUNS, Kind.REMOVED, task.name, "", note=_about(task, old))
    if [g.name for g in old.gate_tasks] != [g.name for g in new.gate_tasks]:
        changed = {g.name for g in old.gate_tasks} ^ {g.name for g in new.gate_tasks}
        for name in sorted(changed):
            kind = Kind.NEW if name in {g.name for g in new.gate_tasks} else Kind.REMOVED
            yield Change(RUNS, kind, name, "", note="a pod that only decides a gate")


def _about(task: Task, plan: Plan) -> str:
    """What a task is, in a few words: reads …, gpu …, if …, finally."""
    reads = sorted({source_text(item) for item in task.ins if not isinstance(item.source, Value)})
    said = [
        *(["finally"] if task in plan.finally_tasks else []),
        *([f"reads {', '.join(reads)}"] if reads else []),
        *([f"after {', '.join(task.after)}"] if task.after else []),
        *([f"gpu {gpu_text(task)}"] if task.gpu else []),
        *([f"if {gate_text(task)}"] if task.conditions else []),
    ]
    return ", ".join(said)


def _arguments(old: Plan, new: Plan, renamed: Mapping[str, str], renamed_in: Mapping[str, str]) -> Iterator[Change]:
    params = ({param.name: param for param in plan.params} for plan in (old, new))
    were, are = params
    yield from _under(renamed, were, "params")
    for name in sorted({*were, *are}):
        key = f"params.{name}"
        if name not in were:
            yield Change(RUNS, Kind.NEW, "", key, None, _param(are[name]))
        elif name not in are:
            yield Change(RUNS, Kind.REMOVED, "", key, _param(were[name]), None)
        else:
            yield from _param_changes(were[name], are[name], key)
    inputs = ({item.name: item for item in plan.inputs} for plan in (old, new))
    old_inputs, new_inputs = inputs
    yield from _under(renamed_in, old_inputs, "inputs")
    for name in sorted({*old_inputs, *new_inputs}):
        yield from _input_changes(old_inputs.get(name), new_inputs.get(name), f"inputs.{name}")


def _under(renamed: Mapping[str, str], were: dict[str, T], owner: str) -> Iterator[Change]:
    """What is called otherwise; from then on `were` has it by its new name."""
    for now, was in sorted(renamed.items()):
        were[now] = were.pop(was)
        note = "runs have to be given it by that name"
        yield Change(RUNS, Kind.RENAMED, "", f"{owner}.{now}", f"{owner}.{was}", f"{owner}.{now}", note=note)


def _schedules(old: Plan, new: Plan) -> Iterator[Change]:
    """When runs start by themselves; one that is edited is told as what it was and what it is."""
    were, are = ({one.digest: one for one in plan.schedules} for plan in (old, new))
    gone = [str(were[key]) for key in were if key not in are]
    come = [str(are[key]) for key in are if key not in were]
    yield from _starts(gone, come, "schedule")
    yield from _starts(
        sorted({*map(str, old.triggers)} - {*map(str, new.triggers)}),
        sorted({*map(str, new.triggers)} - {*map(str, old.triggers)}),
        "on",
    )


def _starts(gone: list[str], come: list[str], name: str) -> Iterator[Change]:
    for index in range(max(len(gone), len(come))):
        before, after = (found[index] if index < len(found) else None for found in (gone, come))
        yield from of_value(before, after, RUNS, name)


def _param(param: Param) -> str:
    said = [str(param.type), "required" if param.default is None else f"default {param.default}"]
    return ", ".join(said)


def _param_changes(old: Param, new: Param, key: str) -> Iterator[Change]:
    yield from of_value(str(old.type), str(new.type), RUNS, f"{key}.type")
    if old.default is None and new.default is not None:
        yield Change(RUNS, Kind.CHANGED, "", key, "required", new.default, note="a run need not be given it any more")
    elif old.default is not None and new.default is None:
        yield Change(RUNS, Kind.CHANGED, "", key, old.default, "required", note="every run must be given it now")
    else:
        yield from of_value(old.default, new.default, RUNS, key)
    choices = [", ".join(param.choices) or None for param in (old, new)]
    yield from of_value(choices[0], choices[1], RULES, f"{key}.choices")
    yield from of_value(_number(old.minimum), _number(new.minimum), RULES, f"{key}.minimum")
    yield from of_value(_number(old.maximum), _number(new.maximum), RULES, f"{key}.maximum")
    yield from of_value(old.description or None, new.description or None, METADATA, f"{key}.description")


def _number(value: float | None) -> str | None:
    return None if value is None else f"{value:.17g}"


def _input_changes(old: Input | None, new: Input | None, key: str) -> Iterator[Change]:
    if old is None or new is None:
        yield from of_value(_input(old) if old else None, _input(new) if new else None, RUNS, key)
        return
    yield from of_value(str(old.type), str(new.type), RUNS, f"{key}.type")
    yield from of_value(old.uri or "required", new.uri or "required", RUNS, key)
    yield from of_value(old.digest, new.digest, RUNS, f"{key}.digest")


def _input(item: Input) -> str:
    return f"{item.type}, {item.uri or 'required'}"
