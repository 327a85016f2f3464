"""Plan → [Manifest]: all objects of a pipeline in an environment."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

from mlgen.diagnostic import visible
from mlgen.plan.model import Plan
from mlgen.render.emit import emit
from mlgen.render.fans import Pieces
from mlgen.render.lookups import looked_up
from mlgen.render.names import manifest_path, run_annotations, run_path
from mlgen.render.pipeline import pipeline
from mlgen.render.pipelinerun import pipeline_run, required
from mlgen.render.staging import Data
from mlgen.render.task import RECORD, author_task, counting_task, gate_task, lookup_task, other_ranks, record_task
from mlgen.spec.project import Environment

MADE_BY = "made by mlgen from "  # how a file of ours begins, after "# "


@dataclass(frozen=True, slots=True)
class Manifest:
    """One object and its file.

    path: posix, below the output folder. comment: lines. data: plain, shared in parts, never changed.
    task: whose Task it is, if one's.
    """

    path: str
    comment: tuple[str, ...]
    data: Data
    task: str | None = None

    @property
    def name(self) -> str:
        """The object's name; of a PipelineRun, how it begins."""
        return _name(self.data)

    @property
    def bytes(self) -> bytes:
        return emit(self.data, self.comment)


def manifests(plan: Plan, environment: Environment) -> list[Manifest]:
    """The Pipeline, its Tasks, and the PipelineRun that starts it.

    Raises ValueError for what `limits.check_limits` finds: a task without an image or with a pool that is not there.
    """
    comment = (
        f"{MADE_BY}{visible(plan.source)} for the environment {environment.name}; do not edit:",
        f"change the spec, then `mlgen render --env {environment.name}`",
    )
    tasks, owner = {name: make() for name, make in _tasks(plan, environment)}, Pieces(plan).owner
    names = {task: _name(data) for task, data in tasks.items()}
    notes = run_annotations(plan, environment)
    run = pipeline_run(plan, environment, notes)
    return [
        Manifest(manifest_path(environment, "Pipeline", plan.name), comment, pipeline(plan, environment, notes, names)),
        *(
            Manifest(manifest_path(environment, "Task", names[task]), comment, data, owner(task))
            for task, data in tasks.items()
        ),
        Manifest(run_path(environment, plan.name), (*comment, *_run_comment(plan, environment)), run),
    ]


def one_task(plan: Plan, environment: Environment, name: str | None) -> Data | None:
    """One Task, by the pipeline's name for it, as `manifests` has it; the others are not made. Raises as that."""
    make = dict(_tasks(plan, environment)).get(name or "")
    return make() if make is not None else None


def _tasks(plan: Plan, environment: Environment) -> Iterator[tuple[str, Callable[[], Data]]]:
    for gate in plan.gate_tasks:
        yield gate.name, partial(gate_task, plan, gate, environment)
    pieces = Pieces(plan)
    for fan, name in pieces.counting.items():
        yield name, partial(counting_task, plan, name, fan, environment)
    for task in looked_up(plan):
        yield task.lookup_name, partial(lookup_task, plan, task, environment)
    for task in plan.tasks:
        yield task.name, partial(author_task, plan, task, environment, final=False)
    for name, entry in pieces.others.items():
        yield entry, partial(other_ranks, plan, plan.task(name), environment)
    for task in plan.finally_tasks:
        yield task.name, partial(author_task, plan, task, environment, final=True)
    yield RECORD, partial(record_task, plan, environment)


def _name(data: Data) -> str:
    metadata = data["metadata"]
    assert isinstance(metadata, dict)
    return str(metadata.get("name") or metadata["generateName"])


def _run_comment(plan: Plan, environment: Environment) -> tuple[str, ...]:
    lines = [
        "",
        "Starts a run: `kubectl create -f` this file, or `mlgen run --env`. Not for `apply`, nor for Argo CD.",
        "In the value of a param write $$ for every $: Kubernetes makes one of two.",
    ]
    found = required(plan, environment)
    if found:
        lines += ["", "A run must be given, under spec.params:"]
        lines += [f"  {name} ({kind})" for name, kind in found]
    return tuple(lines)
