"""What runs take, before and after: of each task's pod, of a run at its peak, and at worst in all.

A peak is the most that can run at once: the heaviest set of tasks of which none waits for another, whatever the gates
say. A pod's amounts are the author's with ours, as Kubernetes adds them up.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial

from mlgen.plan.model import Plan, Task
from mlgen.plan.pod import total
from mlgen.review.tasks import gpu_text, time_text
from mlgen.spec.quantities import cpu_text, size_text

MOST_TASKS = 200  # with amounts of their own, of which a peak is computed: all pairs of them are looked at


@dataclass(frozen=True, slots=True)
class Amount:
    """task: "" for the pipeline. what: "gpu", "cpu", "memory", "timeout", "gpu at the peak", … None: not there."""

    task: str
    what: str
    before: str | None
    after: str | None


def amounts(before: Plan | None, after: Plan | None) -> tuple[Amount, ...]:
    """What is not the same, tasks first. Plans with one name for one task."""
    old, new = (_of_tasks(plan) for plan in (before, after))
    found = [Amount(*key, old.get(key), new.get(key)) for key in dict.fromkeys([*new, *old])]
    if before is not None and after is not None:  # of a new pipeline every task's would be told
        found = [one for one in found if one.before is not None or one.after is not None]
    else:
        found = []
    totals = (_of_run(plan) if plan else {} for plan in (before, after))
    old_run, new_run = totals
    found += [Amount("", what, old_run.get(what), new_run.get(what)) for what in dict.fromkeys([*new_run, *old_run])]
    return tuple(one for one in found if one.before != one.after)


def _of_tasks(plan: Plan | None) -> dict[tuple[str, str], str]:
    found: dict[tuple[str, str], str] = {}
    for task in plan.all_tasks if plan else ():
        cpu, memory = (task.nodes * each for each in total(task))
        told = {"gpu": _gpu_text(task), "cpu": cpu_text(cpu), "memory": size_text(memory), "timeout": _longest(task)}
        found |= {(task.name, what): text for what, text in told.items() if text is not None}
    return found


def _gpu_text(task: Task) -> str | None:
    text = gpu_text(task)
    return f"{text} on each of {task.nodes} nodes" if text and task.nodes > 1 else text


def _longest(task: Task) -> str:
    attempts = task.retries + 1
    return time_text(task.timeout_seconds) + (f", {attempts} times" if attempts > 1 else "")


def _of_run(plan: Plan) -> dict[str, str]:
    pools = sorted({task.gpu.pool for task in plan.all_tasks if task.gpu})
    found = {}
    for pool in pools:
        count = peak(plan, partial(_gpus, pool))
        found[f"gpu of {pool} at the peak"] = _told(count, str)
    found["cpu at the peak"] = _told(peak(plan, lambda task: task.nodes * total(task)[0]), cpu_text)
    found["memory at the peak"] = _told(peak(plan, lambda task: task.nodes * total(task)[1]), size_text)
    if pools:
        found["GPU hours at worst"] = gpu_hours(plan)
    return found


def _gpus(pool: str, task: Task) -> int:
    return task.gpu.count * task.nodes if task.gpu and task.gpu.pool == pool else 0


def _told(count: int | None, text: Callable[[int], str]) -> str:
    return f"over {MOST_TASKS} tasks: not counted" if count is None else text(count)


def gpu_hours(plan: Plan) -> str:
    """What all tasks together can hold of GPUs: timeout by attempts by count, in hours."""
    held = (
        task.timeout_seconds * (task.retries + 1) * _gpus(task.gpu.pool, task) for task in plan.all_tasks if task.gpu
    )
    hours = sum(held) / 3600
    return f"{hours:.0f}" if hours == int(hours) else f"{hours:.1f}"


def peak(plan: Plan, weight: Callable[[Task], int]) -> int | None:
    """The most that can run at once; None of a pipeline with too many tasks to tell.

    Tasks of `finally` start together, when all others have ended.
    """
    final = sum(map(weight, plan.finally_tasks))
    heavy = {task.name: weight(task) for task in plan.tasks if weight(task)}
    if len(heavy) > MOST_TASKS:
        return None
    return max(final, heaviest(heavy, _before(plan, heavy.keys())))


def _before(plan: Plan, wanted: Iterable[str]) -> dict[str, set[str]]:
    """Task -> all that end before it starts, of those that are wanted."""
    kept = set(wanted)
    gates = {gate.consumer: gate.reads for gate in plan.gate_tasks}
    whole: dict[str, set[str]] = {}
    for task in plan.tasks:  # topological
        needs = {*task.needs, *gates.get(task.name, ())}
        whole[task.name] = {name for need in needs for name in (need, *whole[need])}
    return {name: whole[name] & kept for name in kept}


def heaviest(weights: Mapping[str, int], before: Mapping[str, set[str]]) -> int:
    """The weight of the heaviest set of which none is before another.

    By Dilworth's theorem it is the least weight of chains that cover all: the sum less the greatest flow from each to
    what comes after it. before: closed, so that what is before the one before is in it.
    """
    flow = _Flow()
    for name, amount in weights.items():
        flow.edge("source", f"a {name}", amount)
        flow.edge(f"b {name}", "sink", amount)
        for earlier in sorted(before[name]):
            flow.edge(f"a {earlier}", f"b {name}", min(weights[earlier], amount))
    return sum(weights.values()) - flow.greatest("source", "sink")


class _Flow:
    """A network, and its greatest flow by blocking flows (Dinic, 1970)."""

    def __init__(self) -> None:
        self.left: dict[str, dict[str, int]] = {"source": {}, "sink": {}}

    def edge(self, start: str, end: str, amount: int) -> None:
        self.left.setdefault(start, {})[end] = amount
        self.left.setdefault(end, {}).setdefault(start, 0)

    def greatest(self, source: str, sink: str) -> int:
        total = 0
        while sink in (depths := self._depths(source)):
            waiting = {node: iter(list(ends)) for node, ends in self.left.items()}
            while amount := self._push(source, sink, sum(self.left[source].values()), depths, waiting):
                total += amount
        return total

    def _depths(self, source: str) -> dict[str, int]:
        depths, waiting = {source: 0}, deque([source])
        while waiting:
            here = waiting.popleft()
            for there, amount in self.left[here].items():
                if amount and there not in depths:
                    depths[there] = depths[here] + 1
                    waiting.append(there)
        return depths

    def _push(
        self, here: str, sink: str, most: int, depths: Mapping[str, int], waiting: Mapping[str, Iterator[str]]
    ) -> int:
        """Send some along one path; an edge that leads nowhere is not looked at again. Depth: twice MOST_TASKS."""
        if here == sink:
            return most
        for there in waiting[here]:
            if self.left[here][there] and depths.get(there) == depths[here] + 1:
                sent = self._push(there, sink, min(most, self.left[here][there]), depths, waiting)
                if sent:
                    self.left[here][there] -= sent
                    self.left[there][here] += sent
                    return sent
        return 0
