"""Searches have what they look for, and what belongs to them alone stands nowhere else."""

from __future__ import annotations

from collections.abc import Iterator

from mlgen.diagnostic import Diagnostic
from mlgen.spec.checks.context import Context, listed
from mlgen.spec.model import Fan, Pipeline
from mlgen.spec.searches import KEYS

MAX_WAVE = 256  # combinations that Tekton takes (config-defaults, default-max-matrix-combinations-count)
_OF_RULES = {
    "startup": ("median", "percentile"),
    "warmup": ("median", "percentile"),
    "keep": ("percentile",),
    "first": ("halving", "hyperband"),
    "last": ("hyperband",),
    "reduction": ("halving", "hyperband"),
}


def searches(pipeline: Pipeline, _context: Context) -> Iterator[Diagnostic]:
    """A search has a metric to look for, and a script, for its values come from a file."""
    for task in pipeline.tasks.values():
        fan = task.fan
        if fan is None or fan.kind != "sweep" or fan.way is None:
            continue
        if fan.search is None:
            yield from _keys_of_searches(fan)
            continue
        search, written = fan.place / "search", task.place.value
        if isinstance(written, dict) and "pick" not in written:
            message = "the search does not say what it looks for"
            why = "values are proposed by the metric that `pick` names, which each trial leaves"
            yield search.key_finding("bad-search", message, why, "add pick: max auc, or another metric, to the task")
        if task.step is not None and task.step.args is not None:
            message = f'task "{task.name}" is a command list, and its values are proposed by a search'
            why = "in a pod they come as a file, which the first lines of a script read into variables"
            fix = 'write it as a script: run: python train.py --rate "$rate"'
            yield search.key_finding("late-needs-script", message, why, fix)
        if task.parallel is not None and int(str(task.parallel.value)) > MAX_WAVE:
            message = f"{task.parallel.value} trials of a search at once, {MAX_WAVE} are allowed"
            why = "a wave is one matrix of Tekton's, and all of it knows of the waves before alone"
            yield task.parallel.place.finding("bad-search", message, why, f"write {MAX_WAVE}, or less: it learns more")
        yield from _rule(fan)


def _keys_of_searches(fan: Fan) -> Iterator[Diagnostic]:
    written = fan.place.value
    for key in KEYS:
        if isinstance(written, dict) and key in written:
            message, why = f"a {fan.way} has no `{key}`", "its trials are known before the first of them runs"
            fix = f"remove it, or write search: {{…}} instead of {fan.way}: {{…}}"
            yield (fan.place / key).key_finding("bad-search", message, why, fix)


def _rule(fan: Fan) -> Iterator[Diagnostic]:
    """What is said of a rule is its to have."""
    place = fan.place / "prune"
    given = place.value if isinstance(fan.place.value, dict) and "prune" in fan.place.value else None
    if not isinstance(given, dict) or given.get("name") is None:
        return
    name = given["name"]
    for key, rules in _OF_RULES.items():
        if key in given and name not in rules and any(name in others for others in _OF_RULES.values()):
            own = sorted(other for other, others in _OF_RULES.items() if name in others)
            message, why = f"{name} has no `{key}`", f"it has: {listed(own)}"
            yield (place / key).key_finding("bad-search", message, why, f"remove it; `{key}` is of {listed(rules)}")
