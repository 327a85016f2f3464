"""What pods, Tekton or an environment would refuse, as plain data: the caller knows the places in the spec."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mlgen import canonical
from mlgen.plan.model import Command, Out, Plan, Task
from mlgen.registry.reference import with_registry
from mlgen.runtime.outs import MAX_SCALAR_BYTES
from mlgen.runtime.pod import contract as pod
from mlgen.runtime.pod.results import MAX_RESULTS_BYTES, json_bytes
from mlgen.spec.checks.platform import TEKTON
from mlgen.spec.project import Environment
from mlgen.spec.quantities import duration_text, size_text
from mlgen.spec.settings import DEFAULT_KIND
from mlgen.values import Type

if TYPE_CHECKING:  # the other commands check limits too, and render nothing
    from mlgen.render.manifests import Manifest

Route = tuple[str | int, ...]

MAX_OBJECT_BYTES = 1_000_000  # etcd refuses 1.5 MiB, and a run's status repeats the Pipeline
RUN_AND_TASK = 51  # characters: "<run>-<task>-pod-retryN" has to fit into a pod's 63


@dataclass(frozen=True, slots=True)
class Problem:
    """A finding without its place. route: of a key of the spec, such as ("tasks", "train", "gpu").

    The key may be written elsewhere (in `defaults`, in a task file) or nowhere, where a default is meant.
    """

    code: str
    route: Route
    message: str
    why: str
    fix: str


def check_all(plan: Plan, environments: Iterable[Environment]) -> list[Problem]:
    """As `check_limits`, of all environments; what several say alike once. Without any: what no cluster would take."""
    found = dict.fromkeys(check_limits(plan, None))
    for environment in environments:
        found |= dict.fromkeys(check_limits(plan, environment))
    return list(found)


def check_limits(plan: Plan, environment: Environment | None) -> list[Problem]:
    """Everything about a plan that a cluster would not take; with no environment, what none would."""
    found = list(_arguments(plan))
    for section, tasks in (("tasks", plan.tasks), ("finally", plan.finally_tasks)):
        for task in tasks:
            route = (section, task.name)
            found += _results(plan, task, route)
            if environment is not None:
                found += _nodes(task, environment, route)
                found += [*_image(task, environment, route), *_gpu(task, environment, route)]
                found += _placing(task, environment, route)
                found += _amounts(task, environment, route)
    return found


def check_objects(plan: Plan, manifests: Iterable[Manifest]) -> list[Problem]:
    """The objects that Kubernetes would not store."""
    found = []
    for manifest in manifests:
        size = len(canonical.encode(manifest.data))
        if size > MAX_OBJECT_BYTES:
            found.append(_too_large(plan, manifest, size))
    return found


def _too_large(plan: Plan, manifest: Manifest, size: int) -> Problem:
    kind = manifest.data["kind"]
    message = f"its {kind} has {size:,} bytes, more than {MAX_OBJECT_BYTES:,}"
    why = "Kubernetes stores objects up to about 1 MB"
    for section, tasks in (("tasks", plan.tasks), ("finally", plan.finally_tasks)):
        if manifest.task in {task.name for task in tasks}:
            route, message = (section, manifest.task), f'task "{manifest.task}" is too large: {message}'
            fix = "put long arguments and variables into files of a `code` folder"
            return Problem("object-too-large", route, message, why, fix)
    fix = "split the pipeline: one hands its artifacts to the next as inputs"
    return Problem("object-too-large", ("tasks",), f'the pipeline "{plan.name}" is too large: {message}', why, fix)


def results_bytes(plan: Plan, task: Task) -> int:
    """The JSON of all results of a task, in bytes, as long as they may get.

    Every byte of a text counts as two: a quote, a backslash, a line's end or a doubled $ takes so many in JSON. What
    takes more is rare, and stage-out refuses it with the real size.
    """
    entries = [(out.name, _text_bytes(plan, task, out)) for out in task.outs]
    entries += [(f"if-{evaluation.index}", len("false")) for evaluation in task.evaluates]
    entries += [(name, json_bytes(text)) for told in _counts(plan, task) for name, text in told.items()]
    return 2 + sum(len('{"key":"","value":"","type":1},') + len(name) + size for name, size in entries)


def _counts(plan: Plan, task: Task) -> list[dict[str, str]]:
    """For each fan whose items it counts, as only the run can: the results that say so, as long as they may get."""
    if not any(one.fan and one.fan.lists for one in plan.tasks):
        return []
    # Here: few plans have such a fan, and the other commands check limits too.
    from mlgen.runtime.documents import counts
    from mlgen.runtime.fans.counting import longest

    return [longest(count) for count in counts(task.name, plan)]


def _text_bytes(plan: Plan, task: Task, out: Out) -> int:
    mark = 1 if out.optional else 0
    if out.type.is_artifact:
        # <pipeline>/<run>/<task>.<8>/<out>@sha256:<64>
        return mark + len(plan.name) + RUN_AND_TASK + len(out.name) + len("//./@sha256:") + 8 + 64
    if out.max_bytes is not None:
        return mark + 2 * out.max_bytes
    return mark + (len("false") if out.type is Type.BOOLEAN else MAX_SCALAR_BYTES)


def _results(plan: Plan, task: Task, route: Route) -> Iterator[Problem]:
    if task.fan is not None:  # what its items leave goes through the bucket
        return
    size = results_bytes(plan, task)
    if size > MAX_RESULTS_BYTES:
        message = f'the outs of "{task.name}" may take {size:,} bytes as results, {MAX_RESULTS_BYTES:,} are handed on'
        why = (
            "results travel in a small message of Kubernetes: an artifact takes about 200 bytes, a text twice its `max`"
        )
        fix = "put several files into one folder, small values into one json out, lower a `max`, or split the task"
        if count := len(_counts(plan, task)):
            why += f", and how often its lists are gone through up to 500 for each `for`, of which there are {count}"
            fix += "; a task between, that copies the list, can tell of some of them"
        yield Problem("results-too-large", (*route, "out"), message, why, fix)


def _arguments(plan: Plan) -> Iterator[Problem]:
    texts = [("params", p.name, text) for p in plan.params for text in (p.default, *p.choices)]
    texts += [("inputs", i.name, i.uri) for i in plan.inputs if i.path is None]
    for section, name, text in dict.fromkeys(texts):
        # Tekton's own variables are told by `check`, wherever they stand.
        if text and (match := pod.NOT_IN_PARAMS.search(text)) and not TEKTON.search(text):
            message = f"{match[0]} in a {section.removesuffix('s')} looks like a variable of Tekton"
            why = "Tekton refuses the run when a param holds such a text; in a script or a literal it may stand"
            yield Problem("tekton-variable", (section, name), message, why, "write it with a space after the $(")


def _nodes(task: Task, environment: Environment, route: Route) -> Iterator[Problem]:
    if task.nodes > 1 and isinstance(task.run, Command):
        message = f'task "{task.name}" has {task.nodes} nodes and a command list, which "{environment.name}" cannot end'
        why = "in a cluster, what ends a program when another node failed is a line above its script; a list has none"
        fix = "write `run` as a script, a string: exec python train.py"
        yield Problem("nodes-need-script", (*route, "run"), message, why, fix)


def _image(task: Task, environment: Environment, route: Route) -> Iterator[Problem]:
    if task.image is None:
        why = "only the local engine runs without images"
        fix = "add `image` to the task, or to `defaults` for all tasks"
        yield Problem("missing-image", route, f'task "{task.name}" has no image', why, fix)
    elif environment.registries and not _allowed(task.image.reference, environment.registries):
        allowed = ", ".join(environment.registries)
        message = f'"{task.image.reference}" is not from a registry of "{environment.name}"'
        fix = "copy the image there, or add the registry to mlgen.yaml"
        yield Problem("image-registry", (*route, "image"), message, f"it allows: {allowed}", fix)


def _allowed(reference: str, registries: Iterable[str]) -> bool:
    full = with_registry(reference)
    # A prefix ends at a slash, so that ghcr.io/acme does not allow ghcr.io/acme-evil.
    return any(full.startswith(registry.rstrip("/") + "/") for registry in registries)


def _gpu(task: Task, environment: Environment, route: Route) -> Iterator[Problem]:
    if task.gpu is None:
        return
    if environment.pool(task.gpu.pool) is None:
        known = ", ".join(name for name, _ in environment.gpus) or "none"
        message = f'the environment "{environment.name}" has no GPU pool "{task.gpu.pool}"'
        fix = f"add it to `gpus` of that environment in mlgen.yaml, or ask for another: gpu: pool:{task.gpu.count}"
        yield Problem("unknown-pool", (*route, "gpu"), message, f"its pools: {known}", fix)
    count = task.gpu.count * task.nodes
    if environment.limits.gpu is not None and count > environment.limits.gpu:
        yield _over(task, environment, (*route, "gpu"), f"{count} GPUs", str(environment.limits.gpu))


def _placing(task: Task, environment: Environment, route: Route) -> Iterator[Problem]:
    """Names that the environment gives no meaning. One that has no priorities or no queues at all needs none."""
    workspace = task.workspace.kind if task.workspace else None
    asked = {
        "workspace": (workspace if workspace != DEFAULT_KIND else None, environment.workspaces, "workspaces"),
        "priority": (task.priority if environment.priorities else None, environment.priorities, "priorities"),
        "queue": (task.queue if environment.queues else None, environment.queues, "kueue.queues"),
    }
    for key, (name, known, where) in asked.items():
        if name is not None and name not in dict(known):
            message = f'the environment "{environment.name}" has no {key} "{name}"'
            why = f"its {where}: {', '.join(n for n, _ in known) or 'none'}"
            fix = f"add it to `{where}` of that environment in mlgen.yaml, or ask for another"
            yield Problem(f"unknown-{key}", (*route, key), message, why, fix)


def _amounts(task: Task, environment: Environment, route: Route) -> Iterator[Problem]:
    limits = environment.limits
    if limits.memory_bytes is not None and task.memory.bytes > limits.memory_bytes:
        yield _over(task, environment, (*route, "memory"), task.memory.text, size_text(limits.memory_bytes))
    if limits.timeout_seconds is not None and task.timeout_seconds > limits.timeout_seconds:
        asked, most = duration_text(task.timeout_seconds), duration_text(limits.timeout_seconds)
        yield _over(task, environment, (*route, "timeout"), f"a timeout of {asked}", most)


def _over(task: Task, environment: Environment, route: Route, asked: str, most: str) -> Problem:
    message = f'task "{task.name}" asks for {asked}, more than the {most} that "{environment.name}" allows'
    fix = "ask for less, or raise the limit of that environment in mlgen.yaml"
    return Problem("over-limit", route, message, "mlgen.yaml limits what one task may ask for", fix)
