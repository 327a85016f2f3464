"""Tasks on nodes that may be taken away: what is lost with the node is done again, and may be."""

from __future__ import annotations

from collections.abc import Iterator

from mlgen.diagnostic import Diagnostic
from mlgen.spec.checks.context import Context
from mlgen.spec.model import Pipeline, Task
from mlgen.spec.settings import INFRASTRUCTURE, Retries

LONG_SECONDS = 30 * 60  # of work that hardly anybody wants to do twice
DEFAULT_TIMEOUT_SECONDS = 3600


def spot(pipeline: Pipeline, context: Context) -> Iterator[Diagnostic]:
    """A task may be preempted only where another attempt follows, and where some environment has such nodes."""
    somewhere = any(environment.spot is not None for environment in context.project.environments)
    for task in pipeline.all_tasks:
        setting = task.settings.get("spot")
        if setting is None or setting.value is not True:
            continue
        if not somewhere:
            why = "the cloud's labels and taints of such nodes stand in mlgen.yaml, not in a spec"
            fix = (
                "add to an environment, for GKE: "
                'spot: {node_selector: {cloud.google.com/gke-spot: "true"}}; `mlgen explain no-spot` has other clouds'
            )
            yield setting.place.finding("no-spot", "no environment says which nodes are spot nodes", why, fix)
        yield from _preempted(task)


def _preempted(task: Task) -> Iterator[Diagnostic]:
    get = {key: setting.value for key, setting in task.settings.items()}.get
    place, retries = task.settings["spot"].place, get("retries")
    if retries is None and isinstance(task.place.value, dict) and "retries" in task.place.value:
        return  # what it says cannot be read, which is told
    if get("idempotent") is False:
        message = f'task "{task.name[:80]}" may be preempted, and must not run twice'
        why = "nothing starts a task again that is not idempotent: the first preemption fails the run"
        yield place.finding("spot-unsafe", message, why, "remove `spot`, or `idempotent: false`")
        return
    if not isinstance(retries, Retries) or not retries.count:
        message = f'task "{task.name[:80]}" may be preempted, and is not tried again'
        yield place.finding("spot-unsafe", message, "a spot node is taken away at any time", "add retries: 3")
    elif retries.on is not None and INFRASTRUCTURE not in retries.on:
        message = f'task "{task.name[:80]}" may be preempted, and is not tried again after that'
        why = "`on` lists exit codes alone, and a program that was preempted has none"
        yield place.finding("spot-unsafe", message, why, "add infrastructure to `on`")
    elif "checkpoint" not in task.settings and (get("timeout") or DEFAULT_TIMEOUT_SECONDS) > LONG_SECONDS:  # type: ignore[operator]  # seconds
        message = f'task "{task.name[:80]}" begins from nothing each time that it is preempted'
        why = "it may run for more than 30m and has no checkpoint"
        fix = "add checkpoint: state, and have the program save to $state and begin from what is there"
        yield place.finding("spot-loses-work", message, why, fix)
