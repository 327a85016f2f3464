"""Who decides which part of a gate: nobody but Tekton's `when`, a producer, or a pod of its own."""

from __future__ import annotations

import pytest

from mlgen.plan.model import Plan
from tests.spec.texts import plan_of

HEAD = """\
version: 1
name: demo
params: {s: a, b: true, n: 1, t: a}
tasks:
  left: {run: "true", out: {auc: metric, ok: boolean, name: string}}
  right: {run: "true", out: {auc: metric}}
"""


def gated(gate: str, ins: str = "[]") -> Plan:
    """A plan whose task `last` has a gate, and reads what `ins` says."""
    return plan_of(f"{HEAD}  last: {{run: 'true', in: {ins}, if: '{gate}'}}\n".encode())


def deciders(plan: Plan, task: str = "last") -> list[tuple[str, str | None]]:
    return [(c.text, c.evaluator) for c in plan.task(task).conditions]


@pytest.mark.parametrize(
    "gate",
    [
        'params.s == "a"',
        'params.s != "a"',
        '"a" == params.s',
        "params.b == true",
        "params.s == params.t",
        'params.s in ["a", "b"]',
        'params.s not in ["a"]',
        "params.b in [true, false]",
    ],
)
def test_texts_and_booleans_of_params_are_left_to_tekton(gate: str) -> None:
    plan = gated(gate)
    assert deciders(plan) == [(gate, None)]
    assert plan.gate_tasks == ()


@pytest.mark.parametrize(
    "gate",
    [
        "params.n == 1",  # Tekton compares texts: "1.0" is not "1" there
        "params.n in [1, 2]",
        'not params.s == "a"',
        'params.s == "a" or params.b == true',
        'params.s == "$(date)"',  # Tekton would look for a variable
    ],
)
def test_the_rest_on_params_goes_to_a_task_that_is_read_anyway(gate: str) -> None:
    assert deciders(gated(gate)) == [(gate, "if-last")]
    plan = gated(gate, "[right.auc]")
    assert deciders(plan) == [(gate, "right")]
    assert [e.text for e in plan.task("right").evaluates] == [gate]
    assert plan.gate_tasks == ()


@pytest.mark.parametrize(
    "gate",
    ["left.auc > 0.5", "left.auc > params.n", 'left.ok == true or params.s == "a"', 'not left.name in ["a"]'],
)
def test_outs_of_one_task_are_judged_by_it(gate: str) -> None:
    plan = gated(gate)
    assert deciders(plan) == [(gate, "left")]
    assert plan.task("last").reads == ("left",)
    assert [str(ref) for e in plan.task("left").evaluates for ref, _ in e.types] == sorted(
        {w for w in gate.split() if "." in w and w[0].isalpha()}
    )


def test_outs_of_two_tasks_need_a_pod_of_their_own() -> None:
    plan = gated("left.auc > right.auc")
    assert deciders(plan) == [("left.auc > right.auc", "if-last")]
    (gate_task,) = plan.gate_tasks
    assert (gate_task.name, gate_task.consumer, gate_task.reads) == ("if-last", "last", ("left", "right"))
    assert plan.task("last").reads == ("left", "right")


def test_a_gate_is_split_at_its_ands() -> None:
    plan = gated('params.s == "a" and (left.auc > 0.5 and right.auc > 0.5) and left.auc > right.auc and params.n > 0')
    assert deciders(plan) == [
        ('params.s == "a"', None),
        ("left.auc > 0.5", "left"),
        ("right.auc > 0.5", "right"),
        ("left.auc > right.auc", "if-last"),
        ("params.n > 0", "left"),  # of the tasks that are read anyway, the first by name
    ]
    assert [e.index for e in plan.task("left").evaluates] == [0, 1]


def test_spelling_and_repetition_change_nothing() -> None:
    plain = gated("left.auc > 0.5 and right.auc > 0.5")
    assert gated("(left.auc>0.5) and (right.auc > .5 and left.auc > 0.5)").digest == plain.digest


def test_one_condition_of_two_tasks_is_decided_once() -> None:
    plan = plan_of(f"{HEAD}  b: {{run: echo, if: left.auc > 0.5}}\n  a: {{run: echo, if: left.auc>0.5}}\n".encode())
    assert len(plan.task("left").evaluates) == 1
    assert deciders(plan, "a") == deciders(plan, "b") == [("left.auc > 0.5", "left")]


def test_a_finally_task_is_judged_before_the_end() -> None:
    plan = plan_of(
        f"{HEAD}finally:\n  mail: {{run: echo, if: params.n > 0}}\n"
        "  tell: {run: echo, if: params.b == true}\n".encode()
    )
    assert deciders(plan, "mail") == [("params.n > 0", "if-mail")]
    assert deciders(plan, "tell") == [("params.b == true", None)]
    assert [(g.name, g.reads) for g in plan.gate_tasks] == [("if-mail", ())]


def test_an_optional_out_may_stand_in_a_gate() -> None:
    may = "  may: {run: echo, out: {x: {type: number, optional: true}}}\n"
    plan = plan_of(f"{HEAD}{may}  last: {{run: echo, if: may.x > 0}}\n".encode())
    assert deciders(plan) == [("may.x > 0", "may")]
