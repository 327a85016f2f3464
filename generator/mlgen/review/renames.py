"""What was renamed: things that went and things that came, of which the contents are alike."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import lru_cache
from itertools import islice
from typing import TypeVar

from mlgen import canonical
from mlgen.plan.model import Plan, Task
from mlgen.plan.text import task_json, to_json
from mlgen.review.tasks import run_text

ALIKE = 0.6  # from which two of other names are taken for one: 0 nothing in common, 1 equal
MOST_PAIRS = 2_500  # that are compared; of more, only equal ones are found
_MOST_WORDS = 1_000  # of a script that are compared
_WORD = re.compile(r"\w+|[^\w\s]")
# What makes a task the same under another name: whoever renames one often gives it other resources, too.
_SCRIPT, _PORTS, _SETTINGS = 5, 3, 2
_GIVEN = ("image", "code", "cpuMillis", "memory", "gpu", "timeoutSeconds", "env", "secrets")

T = TypeVar("T")
Features = frozenset[tuple[str, str]]


def renamed_tasks(old: Plan, new: Plan) -> dict[str, str]:
    """New name -> old name, of tasks that were renamed."""
    gone = {task.name: task for task in old.all_tasks}
    come = {task.name: task for task in new.all_tasks}
    both = gone.keys() & come.keys()
    lost = {name: task for name, task in gone.items() if name not in both}
    found = {name: task for name, task in come.items() if name not in both}
    return _pairs(lost, found, _task_key, _task_likeness)


def renamed_pipelines(old: Mapping[str, Plan], new: Mapping[str, Plan]) -> dict[str, str]:
    """New name -> old name, of pipelines that went and came."""
    return _pairs(old, new, _plan_key, _plan_likeness)


def _pairs(
    old: Mapping[str, T], new: Mapping[str, T], key: Callable[[T], bytes], likeness: Callable[[T, T], float]
) -> dict[str, str]:
    """New name -> old name of the things that are equal, then of those that are most alike; each is in one pair."""
    equal: dict[bytes, list[str]] = {}
    for name in sorted(old, reverse=True):
        equal.setdefault(key(old[name]), []).append(name)
    found = {name: names.pop() for name in sorted(new) if (names := equal.get(key(new[name])))}
    left = [name for name in old if name not in found.values()]
    come = [name for name in new if name not in found]
    if len(left) * len(come) > MOST_PAIRS:
        return found
    scores = [(likeness(old[was], new[now]), was, now) for was in left for now in come]
    for score, was, now in sorted(scores, key=lambda s: (-s[0], s[1], s[2])):
        if score >= ALIKE and now not in found and was not in found.values():
            found[now] = was
    return found


def _task_key(task: Task) -> bytes:
    return canonical.encode(task_json(replace(task, name="")))


def _plan_key(plan: Plan) -> bytes:
    return canonical.encode(to_json(replace(plan, name="")))


def _task_likeness(old: Task, new: Task) -> float:
    """Mostly by what a task does, then by what enters and leaves it, then by its settings."""
    parts = [
        (_SCRIPT, _text_likeness(run_text(old.run), run_text(new.run))),
        (_SETTINGS, _shared(*map(_settings, (old, new)))),
    ]
    ports = _ports(old), _ports(new)
    if any(ports):  # where both have none, that says nothing
        parts.append((_PORTS, _shared(*ports)))
    return sum(weight * likeness for weight, likeness in parts) / sum(weight for weight, _ in parts)


def _shared(a: Features, b: Features) -> float:
    return len(a & b) / max(1, len(a | b))


def _ports(task: Task) -> Features:
    outs = (("out", f"{out.name} {out.type}") for out in task.outs)
    return frozenset((*outs, *(("in", f"{item.name} {item.type}") for item in task.ins)))


def _settings(task: Task) -> Features:
    """What a task is given, whoever gave it: most of it are defaults that most tasks share."""
    data = task_json(task)
    return frozenset((key, repr(data[key])) for key in _GIVEN if key in data)


def _text_likeness(old: str, new: str) -> float:
    """By the words that two scripts have in common, in time that grows with their length only."""
    a, b = _words(old), _words(new)
    return 2 * (a & b).total() / max(1, a.total() + b.total())


@lru_cache(maxsize=256)  # each is compared with many
def _words(text: str) -> Counter[str]:
    return Counter(match[0] for match in islice(_WORD.finditer(text), _MOST_WORDS))


def _plan_likeness(old: Plan, new: Plan) -> float:
    """By tasks of one name, each as alike as it is; a pipeline with no task's name in common is another one."""
    mine = {task.name: task for task in old.all_tasks}
    yours = {task.name: task for task in new.all_tasks}
    shared = mine.keys() & yours.keys()
    alike = sum(_task_likeness(mine[name], yours[name]) for name in shared)
    return alike / max(1, len(mine.keys() | yours.keys()))
