"""When a trial should stop: a function of what was told before its wave, and of what it reported.

The rules are Optuna's, by its own words and numbers (tests compare them), in a hundred lines without numpy: the
sidecar that applies them in a pod has 128 MiB. Trials of the same wave do not count, so that a verdict is the same
whichever of them is the faster, here and in a cluster.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from zlib import crc32

from mlgen.search.model import Prune, Report, Search, Told


@dataclass(frozen=True, slots=True)
class _Trial:
    """reports: of values that are the better the higher they are."""

    index: int
    completed: bool
    reports: list[Report]


def stop_step(search: Search, index: int, told: Sequence[Told], reports: Sequence[Report]) -> int | None:
    """The first step at which the trial should have stopped; None: it may go on. told: all trials before its wave."""
    rule = search.prune
    if rule is None or not reports:
        return None
    sign = 1.0 if search.highest else -1.0

    def trial(index: int, reports: Sequence[Report], *, completed: bool = False) -> _Trial:
        return _Trial(index, completed, [(step, sign * value) for step, value in reports])

    own, others = trial(index, reports), [trial(t.index, t.reports, completed=t.score is not None) for t in told]
    if rule.name in ("median", "percentile"):
        return _below(rule, own, [dict(other.reports) for other in others if other.completed])
    return _halved(rule, search.seed, own, others)


def _below(rule: Prune, own: _Trial, others: list[dict[int, float]]) -> int | None:
    """Where the best so far is below what `keep` per cent of the others had at that step."""
    if len(others) < max(rule.startup, 1):
        return None
    best = -math.inf
    for step, value in own.reports:
        best = max(best, value)
        if step < rule.warmup:
            continue
        there = sorted(values[step] for values in others if step in values)
        if there and best < _percentile(there, 100 - rule.keep):
            return step
    return None


def _percentile(ordered: list[float], percent: float) -> float:
    """Linear between neighbours, as numpy has it. Source: numpy.percentile, method "linear"."""
    at = (len(ordered) - 1) * percent / 100
    low = math.floor(at)
    if low + 1 >= len(ordered):
        return ordered[-1]
    return ordered[low] + (ordered[low + 1] - ordered[low]) * (at - low)


def _halved(rule: Prune, seed: int, own: _Trial, others: list[_Trial]) -> int | None:
    """At steps that grow by `reduction`, one trial in `reduction` goes on; of hyperband, beginning later in each of its
    brackets. Source: Li et al., arXiv:1603.06560 and 1810.05934."""
    delay = 0
    if rule.name == "hyperband":
        ends = [other.reports[-1][0] + 1 for other in others if other.completed and other.reports]
        last = rule.last or max(ends, default=None)
        if last is None:
            return None
        budgets = _budgets(rule, last)
        delay = _bracket(budgets, seed, own.index)
        others = [other for other in others if _bracket(budgets, seed, other.index) == delay]
    competing = [_rungs(rule, delay, other.reports) for other in others]
    for rung, (step, value) in enumerate(_rungs(rule, delay, own.reports)):
        values = sorted([value, *(other[rung][1] for other in competing if len(other) > rung)], reverse=True)
        if value < values[max(len(values) // rule.reduction - 1, 0)]:
            return step
    return None


def _rungs(rule: Prune, delay: int, reports: list[Report]) -> list[Report]:
    """The first report at or after each step of a look, as far as the trial came."""
    return list(_looks(rule, delay, reports))


def _looks(rule: Prune, delay: int, reports: list[Report]) -> Iterator[Report]:
    due = rule.first * rule.reduction**delay
    for report in reports:
        while report[0] >= due:
            yield report
            due *= rule.reduction


def _budgets(rule: Prune, last: int) -> list[int]:
    """Of each bracket, how many of all trials are in it."""
    brackets, reach = 1, rule.first * rule.reduction
    while reach <= last:
        brackets, reach = brackets + 1, reach * rule.reduction
    return [math.ceil(brackets * rule.reduction ** (brackets - 1 - b) / (brackets - b)) for b in range(brackets)]


def _bracket(budgets: list[int], seed: int, index: int) -> int:
    left = crc32(f"{seed}_{index}".encode()) % sum(budgets)
    for bracket, budget in enumerate(budgets):
        left -= budget
        if left < 0:
            return bracket
    raise AssertionError("budgets add up")
