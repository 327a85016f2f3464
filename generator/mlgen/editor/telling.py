"""What there is to say of names and values, as Markdown. What came from a file is code in it: files are hostile."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from mlgen.editor.names import Name, NameKind
from mlgen.editor.scene import Scene
from mlgen.plan import gating
from mlgen.reports.markdown import inline
from mlgen.spec.checks.context import type_of
from mlgen.spec.model import GateText, Input, Out, Param, Pipeline, Ref, Task, TaskFile
from mlgen.spec.reader import Route
from mlgen.values import Type

MOST_LISTED = 12  # names or choices that are shown


def value(scene: Scene, route: Route, given: object) -> str:
    """What is known of a value beyond its key: an image's digest, who decides a gate, a choice's meaning."""
    if route[-1] == "image":
        return _image(scene, given)
    if route[-1] == "if" and scene.pipeline is not None:
        task = next((t for t in scene.pipeline.all_tasks if t.place.route == route[:-1]), None)
        return gate(scene.pipeline, task, task.gate) if task and task.gate else ""
    return ""


def _image(scene: Scene, image: object) -> str:
    if not isinstance(image, str):
        return ""
    if "@" in image:
        return f"Image {inline(image)}: pinned here, by its digest."
    digest = scene.around.lock.get(image)
    if digest is None:
        return f"Image {inline(image)}: not in mlgen.lock, so it may change under the same tag. `mlgen lock` pins it."
    return f"Image {inline(image)}: pinned by mlgen.lock to\n\n{inline(digest)}"


def gate(pipeline: Pipeline, task: Task, text: GateText) -> str:
    """Who decides each part of a gate."""
    if text.gate is None:
        return f"This gate cannot be read: {inline(text.error.message)}" if text.error else ""

    def kind(owner: str, name: str) -> Type:
        return type_of(pipeline, owner, name) or Type.STRING

    reads = tuple(sorted({owner for owner, _ in _read(task) if owner in pipeline.tasks}))
    split = gating.split({task.name: (text.gate, () if task.final else reads)}, kind)
    lines = ["The task runs when all of this is true:"]
    for condition in split.conditions[task.name]:
        lines.append(f"- {inline(condition.text)}: {_decider(condition.evaluator, split, task)}")
    return "\n".join(lines)


def _read(task: Task) -> list[tuple[str, str]]:
    return [(i.source.owner, i.source.name) for i in task.ins if isinstance(i.source, Ref)]


def _decider(evaluator: str | None, split: gating.Split, task: Task) -> str:
    if evaluator is None:
        return "decided before any pod starts, by Tekton"
    if evaluator == gating.gate_task_name(task.name) and split.gate_tasks:
        return f"decided by a pod of its own, {inline(evaluator)}"
    return f"decided by task {inline(evaluator)} when it ends"


def name(scene: Scene, named: Name) -> str:
    """What a name means; "" where it is not known."""
    return _TOLD[named.kind](scene, named)


def _told_file(scene: Scene, named: Name) -> str:
    file = scene.around.task_file(named.name)
    return _task_file(file) if file else ""


def _told_in(scene: Scene, named: Name) -> str:
    file = scene.task_file or scene.around.task_file(named.owner)
    wanted = file.ins.get(named.name) if file else None
    return f"In of {inline(named.owner)}\n\n{param(wanted)}" if wanted else ""


def _told_param(scene: Scene, named: Name) -> str:
    found = scene.pipeline.params.get(named.name) if scene.pipeline else None
    return f"Param {param(found)}" if found else ""


def _told_input(scene: Scene, named: Name) -> str:
    found = scene.pipeline.inputs.get(named.name) if scene.pipeline else None
    return f"Input {given_input(found)}" if found else ""


def _told_task(scene: Scene, named: Name) -> str:
    found = _task_of(scene, named.name)
    return task(found) if found else ""


def _told_out(scene: Scene, named: Name) -> str:
    owner = _task_of(scene, named.owner) or scene.task_file
    found = owner.outs.get(named.name) if owner else None
    return f"Out {out(found)}" + (f" of task {inline(named.owner)}" if named.owner else "") if found else ""


def _task_of(scene: Scene, called: str) -> Task | None:
    tasks = scene.pipeline.all_tasks if scene.pipeline else ()
    return next((found for found in tasks if found.name == called), None)


def given_input(found: Input) -> str:
    where = inline(found.uri) if found.uri else "required at run time"
    return f"{inline(found.name)}: {found.type or 'unknown'}, {where}" + (", pinned" if found.digest else "")


def param(found: Param) -> str:
    text = f"{inline(found.name)}: {found.type or 'unknown'}"
    is_given = found.default is not None
    text += f", default {inline(found.default or '') or 'empty'}" if is_given else ""
    text += "" if is_given else ", optional" if found.optional else ", required"
    if found.choices:
        text += f", one of {_listed(found.choices)}"
    limits = (("at least", found.minimum), ("at most", found.maximum))
    text += "".join(f", {word} {limit}" for word, limit in limits if limit is not None)
    return text + (f"\n\n{inline(found.description)}" if found.description else "")


def out(found: Out) -> str:
    kind = f"{inline(found.name)}: {found.type or 'unknown'}"
    return (
        kind
        + (", optional" if found.optional else "")
        + (f", at most {found.max_bytes} bytes" if found.max_bytes else "")
    )


def task(found: Task) -> str:
    lines = [f"{'Finally task' if found.final else 'Task'} {inline(found.name)}"]
    if found.use is not None:
        lines.append(f"- uses {inline(str(found.use.value))}")
    if found.ins:
        lines.append(f"- in: {_listed([str(i.source) if i.source else i.name for i in found.ins])}")
    if found.outs:
        lines.append(f"- out: {', '.join(out(one) for one in list(found.outs.values())[:MOST_LISTED])}")
    texts = [
        f"{key} {inline(setting.place.document.text(setting.place.route))}"
        for key, setting in found.settings.items()
        if key in ("image", "cpu", "memory", "gpu", "timeout") and not isinstance(setting.place.value, dict | list)
    ]
    if texts:
        lines.append(f"- {', '.join(texts)}")
    return "\n".join(lines)


def _task_file(file: TaskFile) -> str:
    what = "Pipeline, whose tasks are laid in," if file.nested else "Task file"
    lines = [f"{what} {inline(file.path)}", *([inline(file.description), ""] if file.description else [])]
    lines += [f"- in {param(one)}" for one in file.ins.values()]
    lines += [f"- out {out(one)}" for one in file.outs.values()]
    return "\n".join(lines)


def _told_pool(scene: Scene, named: Name) -> str:
    lines = [f"GPU pool {inline(named.name)}"]
    for environment in scene.around.project.environments:
        pool = environment.pool(named.name)
        if pool is not None:
            lines.append(f"- in {inline(environment.name)}: {inline(pool.resource)}")
    return (
        "\n".join(lines) if len(lines) > 1 else f"GPU pool {inline(named.name)}: no environment of mlgen.yaml has it."
    )


def _listed(texts: Sequence[str]) -> str:
    every = list(texts)
    more = f" and {len(every) - MOST_LISTED} more" if len(every) > MOST_LISTED else ""
    return ", ".join(inline(text) or "empty" for text in every[:MOST_LISTED]) + more


_TOLD: dict[NameKind, Callable[[Scene, Name], str]] = {
    "param": _told_param,
    "input": _told_input,
    "task": _told_task,
    "out": _told_out,
    "in": _told_in,
    "file": _told_file,
    "pool": _told_pool,
}
