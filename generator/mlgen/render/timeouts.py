"""Timeouts, all explicit: Tekton's default of 60 minutes would end a long training."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from mlgen.plan.model import GateTask, Plan, Script, Task
from mlgen.render.fans import Pieces
from mlgen.runtime.attempts.retrying import delay_seconds
from mlgen.runtime.documents import policy_of
from mlgen.runtime.pod.contract import OVERTIME_SECONDS
from mlgen.runtime.protocol import GATE_TIMEOUT_SECONDS, RECORD_TIMEOUT_SECONDS
from mlgen.spec.project import Environment

OUR_RETRIES = 3  # of gate tasks and `record`, which fail only where the cluster does
MAX_SECONDS = 100 * 366 * 24 * 3600  # a hundred years: Go counts nanoseconds in 63 bits, which is 292 years


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Of a PipelineRun, in seconds. pipeline is the sum: time that tasks leave is not lent to finally."""

    tasks: int
    final: int

    @property
    def pipeline(self) -> int:
        return self.tasks + self.final


def are_borne(task: Task) -> bool:
    """Whether an item that takes too long may be borne: the sidecar ends it, before Tekton would. Of a script alone."""
    return task.fan is not None and task.fan.failures > 0 and isinstance(task.run, Script)


def of_main(task: Task) -> int:
    """Of the step with the author's program, in seconds."""
    return task.timeout_seconds + (OVERTIME_SECONDS if are_borne(task) else 0)


def of_task(task: Task, environment: Environment) -> int:
    """Of one attempt, in seconds: the author's program, the wait for a node, other nodes and its turn, and staging."""
    meeting = meeting_seconds(task, environment) if task.nodes > 1 else 0
    return of_main(task) + _start_seconds(task, environment) + meeting


def meeting_seconds(task: Task, environment: Environment) -> int:
    """For how long a pod of several nodes that could begin waits for the others: as long as one may take to begin."""
    return _start_seconds(task, environment)


def _start_seconds(task: Task, environment: Environment) -> int:
    pool = environment.pool(task.gpu.pool) if task.gpu else None
    queue = pool.queue_seconds if pool and pool.queue_seconds is not None else environment.queue_seconds
    policy = policy_of(task)
    backoff = delay_seconds(policy, task.retries) if policy is not None and task.retries else 0
    return queue + environment.staging_seconds + backoff


def of_gate_task(environment: Environment) -> int:
    """Of one attempt at a gate, in seconds."""
    return GATE_TIMEOUT_SECONDS + environment.queue_seconds


def of_record(environment: Environment) -> int:
    """Of one attempt at the final record, in seconds."""
    return RECORD_TIMEOUT_SECONDS + environment.queue_seconds


def of_run(plan: Plan, environment: Environment) -> Timeouts:
    """The least that lets every attempt of every task have its own timeout: the longest path of each half."""
    final = [of_task(task, environment) * (task.retries + 1) for task in plan.finally_tasks]
    final.append(of_record(environment) * (OUR_RETRIES + 1))
    return Timeouts(min(_longest_path(plan, environment), MAX_SECONDS), min(max(final), MAX_SECONDS))


def _longest_path(plan: Plan, environment: Environment) -> int:
    gates = {gate.consumer: gate for gate in plan.gate_tasks}
    gate_seconds = of_gate_task(environment) * (OUR_RETRIES + 1)
    ends: dict[str, int] = {}
    pieces = Pieces(plan)

    def after(names: Iterable[str]) -> int:
        return max((ends[name] for name in names), default=0)

    def gate_end(gate: GateTask | None) -> int:
        return after(gate.reads) + gate_seconds if gate else 0

    for task in plan.tasks:  # topological, so that all that a task needs has ended
        start = max(after(task.needs), gate_end(gates.get(task.name)))
        if task.name in pieces.counting or task.looked_up:
            start += gate_seconds
        ends[task.name] = start + of_task(task, environment) * (task.retries + 1) * pieces.waves(task.name)
    # The gate task of a finally task runs among the tasks, and nothing there waits for it.
    return max([*ends.values(), *(gate_end(gates.get(task.name)) for task in plan.finally_tasks)])
