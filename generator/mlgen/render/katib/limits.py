"""What an Experiment cannot be, that a search of ours can."""

from __future__ import annotations

from collections.abc import Iterator

from mlgen.plan.model import OutRef, ParamRef, Plan, Task
from mlgen.render.limits import Problem
from mlgen.search.model import Dimension

MAX_NAME = 40  # characters; source: katib pkg/webhook/v1beta1/experiment/validator, ValidateExperiment
_CODE = "not-in-katib"
_ALONE = "an Experiment is a task alone, run by Katib: nothing is staged for it, and nothing is recorded"


def name_of(plan: Plan, task: Task) -> str:
    """The Experiment's name."""
    return f"{plan.name}-{task.name}"


def check_katib(plan: Plan) -> list[Problem]:
    """Everything about the searches of a plan that Katib would not take, and that there are some."""
    searches = [task for task in plan.tasks if task.fan and task.fan.search]
    found = [problem for task in searches for problem in _task(plan, task)]
    if not searches:
        message, why = f'the pipeline "{plan.name}" has no search', "each search is one Experiment"
        return [Problem(_CODE, ("tasks",), message, why, "add sweep: {search: …} to a task, or render it for Tekton")]
    return found


def _task(plan: Plan, task: Task) -> Iterator[Problem]:
    route = ("tasks", task.name)
    over = len(name_of(plan, task)) - MAX_NAME
    if over > 0:
        message = f'the Experiment would be called "{name_of(plan, task)}", {over} characters too many'
        yield Problem(_CODE, route, message, f"Katib allows {MAX_NAME}", f"shorten a name by {over}")
    if task.code is not None:
        fix = "put the program into the image"
        yield Problem(_CODE, (*route, "code"), f'task "{task.name}" has code of the repository', _ALONE, fix)
    for item in task.ins:
        if isinstance(item.source, OutRef) or item.type.is_artifact:
            fix = "have the program read it by a URI, which a param names"
            yield Problem(_CODE, (*route, "in"), f'task "{task.name}" reads {item.source}', _ALONE, fix)
        elif isinstance(item.source, ParamRef) and plan.param(item.source.name).default is None:
            fix = f"give it a default in `params`: {item.source.name}"
            message = f'task "{task.name}" reads the param {item.source.name}, which has no default'
            yield Problem(_CODE, (*route, "in"), message, "an Experiment has no arguments", fix)
    assert task.fan is not None, "of searches"
    assert task.fan.search is not None, "of searches"
    rule = task.fan.search.prune
    if rule is not None and rule.name != "median":
        why, fix = "Katib stops trials early by the median alone", "write prune: median, or remove it"
        yield Problem(_CODE, (*route, "sweep"), f'task "{task.name}" prunes by {rule.name}', why, fix)
    yield from _choices(task, task.fan.search.space)


def _choices(task: Task, space: tuple[Dimension, ...]) -> Iterator[Problem]:
    for dimension in space:
        odd = next((text for text in dimension.choices if '"' in text or "\\" in text or "\n" in text), None)
        if odd is not None:
            message = f'a choice of "{dimension.name}" has quotes, backslashes or line ends'
            why = "Katib puts the text into the JSON of a trial as it is"
            yield Problem(
                _CODE, ("tasks", task.name, "sweep"), message, why, "choose by a word, and map it in the program"
            )
