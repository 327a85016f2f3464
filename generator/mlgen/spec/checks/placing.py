"""Names by which a task says how its pod is placed, and which mlgen.yaml gives a meaning in each environment."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from mlgen.diagnostic import Diagnostic
from mlgen.spec.checks.context import Context, listed, near
from mlgen.spec.model import Pipeline
from mlgen.spec.project import Environment
from mlgen.spec.settings import DEFAULT_KIND, WorkspaceAsk

Names = tuple[tuple[str, str], ...]

# key: what is meant, and where it stands in an environment, with an example.
_KINDS: dict[str, tuple[str, Callable[[Environment], Names], str]] = {
    "workspace": ("kind of volume", lambda e: e.workspaces, "workspaces: {%s: {storage_class: premium-rwo}}"),
    "priority": ("priority", lambda e: e.priorities, "priorities: {%s: ml-standard}"),
    "queue": ("queue", lambda e: e.queues, "kueue: {queues: {%s: ml-batch}}"),
}


def places(pipeline: Pipeline, context: Context) -> Iterator[Diagnostic]:
    """What a task names, some environment has. A cluster's default volumes need no name."""
    for key, (what, of, example) in _KINDS.items():
        known = sorted({name for environment in context.project.environments for name, _ in of(environment)})
        for task in pipeline.all_tasks:
            setting = task.settings.get(key)
            if setting is None:
                continue
            asked = setting.value.kind if isinstance(setting.value, WorkspaceAsk) else str(setting.value)
            if asked in known or (key == "workspace" and asked == DEFAULT_KIND):
                continue
            guess = near(asked, known)
            why = f"mlgen.yaml has: {listed(known)}"
            if guess and isinstance(setting.value, WorkspaceAsk):
                guess = f"{guess}:{setting.value.amount.text}"
            fix = f"write {guess}" if guess else f"add to an environment of mlgen.yaml: {example % asked}"
            yield setting.place.finding(f"unknown-{key}", f'no environment has a {what} "{asked}"', why, fix)
