"""Where in a spec a problem of its plan is: a plan knows no lines, the spec it was made from does."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from mlgen.diagnostic import Diagnostic, Span
from mlgen.render.limits import Problem
from mlgen.spec.checks.context import listed
from mlgen.spec.model import Pipeline, Task


def diagnostics(problems: Iterable[Problem], pipeline: Pipeline) -> list[Diagnostic]:
    """The findings of problems that a plan of this pipeline has."""
    given = list(problems)
    others = [p for p in given if p.code != "missing-image"]
    found = [Diagnostic(p.code, p.message, _span(p, pipeline), p.why, p.fix) for p in others]
    return [*found, *_missing_images([p for p in given if p.code == "missing-image"], pipeline)]


def _missing_images(problems: list[Problem], pipeline: Pipeline) -> Iterator[Diagnostic]:
    """One finding for each place where one `image` mends it: the spec, for its own tasks, and each task file."""
    lacking: dict[str, list[Task]] = {}
    for problem in problems:
        task = _task(problem, pipeline)
        lacking.setdefault(task.file.path if task.file else "", []).append(task)
    for path, tasks in lacking.items():
        first = tasks[0]
        message = f'task "{first.name}" has no image'
        if len(tasks) > 1:
            message = f"{len(tasks)} tasks have no image: {listed(task.name for task in tasks)}"
        if path:
            fix = f"add `image` to {path}: `defaults` do not reach into it, and a caller cannot set it"
        elif len(tasks) > 1:
            fix = "add `image` to `defaults`, once for all tasks"
        else:
            fix = "add `image` to the task, or to `defaults` for all tasks"
        span = first.use.place.span if first.use else first.place.key_span
        yield Diagnostic("missing-image", message, span, problems[0].why, fix)


def _task(problem: Problem, pipeline: Pipeline) -> Task:
    section, name = problem.route[0], str(problem.route[1])
    return (pipeline.tasks if section == "tasks" else pipeline.finally_tasks)[name]


def _span(problem: Problem, pipeline: Pipeline) -> Span:
    """The value of a setting, wherever it is written; the key of anything else; the task's where nothing is written."""
    match problem.route:
        case ("tasks" | "finally", str(), str(key)):
            return _of_task(_task(problem, pipeline), key)
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
