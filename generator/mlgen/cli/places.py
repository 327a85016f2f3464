"""Where in a spec a problem of its plan is: a plan knows no lines, the spec it was made from does."""

from __future__ import annotations

from collections.abc import Iterable

from mlgen.diagnostic import Diagnostic, Span
from mlgen.render.limits import Problem
from mlgen.spec.model import Pipeline, Task


def diagnostics(problems: Iterable[Problem], pipeline: Pipeline) -> list[Diagnostic]:
    """The findings of problems that a plan of this pipeline has."""
    return [Diagnostic(p.code, p.message, _span(p, pipeline), p.why, p.fix) for p in problems]


def _span(problem: Problem, pipeline: Pipeline) -> Span:
    """The value of a setting, wherever it is written; the key of anything else; the task's where nothing is written."""
    match problem.route:
        case ("tasks" | "finally" as section, str(name), str(key)):
            task = (pipeline.tasks if section == "tasks" else pipeline.finally_tasks)[name]
            return _of_task(task, key)
        case route:
            place = pipeline.place
            for part in route:
                place /= part
            return place.key_span


def _of_task(task: Task, key: str) -> Span:
    if setting := task.settings.get(key):
        return setting.place.span
    for place in (task.place, *([task.file.place] if task.file else [])):
        if isinstance(place.value, dict) and key in place.value:
            return (place / key).key_span
    return task.place.key_span
