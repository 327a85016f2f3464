from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlgen.ledger.records.run import TaskStatus
from mlgen.local.schedule import GATE_FALSE, MISSING, PARENT, STOPPING, Schedule, state_of
from mlgen.plan.model import GateTask, Param, Plan, Task
from mlgen.values import Type
from tests.local.plans import condition, evaluation, in_, out, plan, task

GO = Param("go", Type.BOOLEAN, "true")
NO = condition("params.go == false")


def simulate(schedule: Schedule, failing: frozenset[str] = frozenset()) -> list[str]:
    """Run everything at once, each task after the other; the names in the order they started."""
    started = []
    while (next_ := schedule.take()) is not None:
        started.append(next_.name)
        if next_.name in failing:
            schedule.fail(next_.name, "StepFailed")
        else:
            schedule.succeed(next_.name, {o.name: "1" for o in next_.outs} | _evaluated(next_))
    return started


def _evaluated(task: Task) -> dict[str, str | None]:
    return {f"if-{e.index}": "false" if e.text.endswith("< 0") else "true" for e in task.evaluates}


def reasons(schedule: Schedule) -> dict[str, str]:
    return {name: s.reason for name, s in schedule.statuses.items() if s.status == "None"}


def test_independent_tasks_start_in_the_order_of_the_plan() -> None:
    schedule = Schedule(plan(task("c"), task("a"), task("b", after=["a"])), {})
    assert [t.name for t in (schedule.take(), schedule.take()) if t] == ["c", "a"]
    assert schedule.take() is None
    schedule.succeed("a", {})
    assert (found := schedule.take()) is not None
    assert found.name == "b"


def test_skips_are_tektons() -> None:
    tasks = [
        task("gated", outs=[out("x")], conditions=[NO]),
        task("ordered", after=["gated"]),
        task("reader", ins=[in_("x", "gated.x")], outs=[out("y")]),
        task("below", ins=[in_("y", "reader.y")]),
        task("waiting", after=["reader"]),
    ]
    schedule = Schedule(plan(*tasks, params=[GO]), {"go": "true"})
    assert simulate(schedule) == ["ordered"]
    assert reasons(schedule) == {"gated": GATE_FALSE, "reader": MISSING, "below": PARENT, "waiting": PARENT}
    assert schedule.aggregate == "Completed"
    assert schedule.skipped_news() == [
        ("gated", GATE_FALSE),
        ("reader", MISSING),
        ("waiting", PARENT),
        ("below", PARENT),
    ]
    assert schedule.skipped_news() == []


def test_after_a_failure_nothing_starts_and_running_tasks_finish() -> None:
    schedule = Schedule(plan(task("a"), task("b"), task("c"), task("d", after=["b"])), {})
    assert schedule.take()
    assert schedule.take()
    schedule.fail("a", "StepFailed")
    assert schedule.take() is None
    assert not schedule.settled
    assert schedule.aggregate == "None"
    schedule.succeed("b", {})
    assert schedule.settled
    assert schedule.statuses == {
        "a": TaskStatus("Failed", "StepFailed"),
        "b": TaskStatus("Succeeded", "Succeeded"),
        "c": TaskStatus("None", STOPPING),
        "d": TaskStatus("None", STOPPING),
    }
    assert schedule.aggregate == "Failed"


@pytest.mark.parametrize(("auc", "ran"), [("0.9", True), ("0.1", False), (None, False)])
def test_a_gate_over_several_tasks_is_evaluated_by_its_gate_task(auc: str | None, ran: bool) -> None:
    gate = evaluation(0, "a.auc >= b.floor", a__auc=Type.METRIC, b__floor=Type.NUMBER)
    tasks = [
        task("a", outs=[out("auc", Type.METRIC, optional=True)]),
        task("b", outs=[out("floor", Type.NUMBER)]),
        task("c", reads=["a", "b"], conditions=[condition(gate.text, "if-c", 0)]),
    ]
    schedule = Schedule(plan(*tasks, gate_tasks=[GateTask("if-c", "c", ("a", "b"), (gate,))]), {})
    assert schedule.take()
    assert schedule.take()
    schedule.succeed("a", {"auc": auc})
    assert schedule.take() is None
    schedule.succeed("b", {"floor": "0.5"})
    assert (schedule.take() is not None) is ran
    assert reasons(schedule) == ({} if ran else {"c": GATE_FALSE})


def test_a_gate_task_below_a_skipped_task_skips_its_consumer() -> None:
    gate = evaluation(0, "a.x >= b.x", a__x=Type.NUMBER, b__x=Type.NUMBER)
    tasks = [
        task("a", outs=[out("x", Type.NUMBER)], conditions=[NO]),
        task("b", outs=[out("x", Type.NUMBER)]),
        task("c", reads=["a", "b"], conditions=[condition(gate.text, "if-c", 0)]),
    ]
    schedule = Schedule(
        plan(*tasks, params=[GO], gate_tasks=[GateTask("if-c", "c", ("a", "b"), (gate,))]), {"go": "true"}
    )
    assert simulate(schedule) == ["b"]
    assert reasons(schedule) == {"a": GATE_FALSE, "c": PARENT}


def test_finally_tasks_see_gates_on_params() -> None:
    number = evaluation(0, "params.n > 3", params__n=Type.INTEGER)
    chosen = plan(
        task("a"),
        finally_tasks=[
            task("always"),
            task("big", conditions=[condition("params.n > 3", "if-big", 0)]),
            task("never", conditions=[NO]),
        ],
        gate_tasks=[GateTask("if-big", "big", (), (number,))],
        params=[GO, Param("n", Type.INTEGER, None)],
    )
    for n, names in (("4", ["always", "big"]), ("3", ["always"])):
        schedule = Schedule(chosen, {"go": "true", "n": n})
        simulate(schedule)
        assert [t.name for t in schedule.finally_tasks()] == names
        assert schedule.finally_statuses["never"] == TaskStatus("None", GATE_FALSE)


def test_a_chain_of_skips_as_long_as_the_plan() -> None:
    tasks = [task("t0", outs=[out("x")], conditions=[NO])]
    tasks += [task(f"t{i}", ins=[in_("x", f"t{i - 1}.x")], outs=[out("x")]) for i in range(1, 3000)]
    schedule = Schedule(plan(*tasks, params=[GO]), {"go": "true"})
    assert schedule.settled
    assert set(reasons(schedule).values()) == {GATE_FALSE, MISSING, PARENT}


@pytest.mark.parametrize(
    ("statuses", "state"),
    [
        ([("Succeeded", "Succeeded"), ("None", GATE_FALSE)], "COMPLETE"),
        ([("Succeeded", "Succeeded"), ("None", STOPPING)], "ABORT"),
        ([("Failed", "StepFailed"), ("None", STOPPING)], "FAIL"),
        ([("Failed", "StepFailed"), ("Failed", "TaskRunCancelled")], "ABORT"),
        ([("Failed", "EngineLost")], "ABORT"),
    ],
)
def test_the_state_of_a_run_follows_from_its_tasks(statuses: list[tuple[str, str]], state: str) -> None:
    assert state_of({str(i): TaskStatus(*status) for i, status in enumerate(statuses)}) == state


class Tekton:
    """The rules as Tekton writes them: asked again and again of the whole state, until nothing changes."""

    def __init__(self, plan: Plan) -> None:
        self.tasks = {t.name: t for t in plan.tasks}
        self.done: set[str] = set()

    def skip(self, name: str) -> str | None:
        if name in self.done:
            return None
        parents = self.tasks[name].needs
        skips = {p: self.skip(p) for p in parents}
        if any(s not in (None, GATE_FALSE) for s in skips.values()):
            return PARENT
        if all(p in self.done or skips[p] for p in parents):
            if any(skips[p] == GATE_FALSE for p in self.tasks[name].reads):
                return MISSING
            if self.tasks[name].conditions:
                return GATE_FALSE
        return None

    def run(self) -> dict[str, Any]:
        while True:
            ready = [
                name
                for name, t in self.tasks.items()
                if name not in self.done
                and not self.skip(name)
                and all(p in self.done or self.skip(p) for p in t.needs)
            ]
            if not ready:
                return {name: name in self.done or self.skip(name) for name in self.tasks}
            self.done.add(ready[0])


@st.composite
def plans(draw: st.DrawFn) -> Plan:
    tasks: list[Task] = []
    for i in range(draw(st.integers(1, 9))):
        parents = draw(st.sets(st.integers(0, i - 1), max_size=3)) if i else set()
        read = draw(st.sets(st.sampled_from(sorted(parents)))) if parents else set()
        tasks.append(
            task(
                f"t{i}",
                ins=[in_(f"x{p}", f"t{p}.x") for p in sorted(read)],
                outs=[out("x")],
                after=[f"t{p}" for p in parents - read],
                conditions=[NO] if draw(st.integers(0, 3)) == 0 else [],
            )
        )
    return plan(*tasks, params=[GO])


@settings(max_examples=200, deadline=None)
@given(plans())
def test_any_graph_skips_as_in_tekton(chosen: Plan) -> None:
    schedule = Schedule(chosen, {"go": "true"})
    simulate(schedule)
    assert schedule.settled
    found = {n: True if s.status == "Succeeded" else s.reason for n, s in schedule.statuses.items()}
    assert found == Tekton(chosen).run()
