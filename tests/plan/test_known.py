"""What is known of a plan from an earlier run, and why the rest runs again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from mlgen.plan.known import Known, Past, downstream, know, upstream
from mlgen.plan.model import GateTask, Param, Plan, Script, Task
from mlgen.plan.text import task_json
from mlgen.values import Type
from tests.local.plans import condition, evaluation, in_, out, plan, task

LINE = plan(
    task("a", "one", outs=[out("x", Type.INTEGER)], evaluates=[evaluation(0, "a.x > 3", a__x=Type.INTEGER)]),
    task("b", "two", ins=[in_("x", "a.x", Type.INTEGER), in_("n", "params.n", Type.INTEGER)], outs=[out("y")]),
    task("c", "three", ins=[in_("y", "b.y")], conditions=[condition("a.x > 3", "a", 0)]),
    task("d", "four", after=["c"]),
    params=[Param("n", Type.INTEGER, "1")],
)


def past(of: Plan, **texts: Mapping[str, str | None] | str) -> dict[str, Past | str]:
    """What a run has of a plan: of each task its texts, or why it has none."""

    def one(task: Task) -> Past | str:
        found = texts.get(task.name, {})
        about: Any = task_json(task)
        return found if isinstance(found, str) else Past(about, found)

    return {task.name: one(task) for task in of.tasks}


def asked(of: Plan, known: dict[str, Past | str], **more: Any) -> Known:
    return know(of, known, **{"params": {p.name: p.default or "" for p in of.params}, "changed": {}, **more})


ALL = past(LINE, a={"x": "4"}, b={"y": "why"})


def test_all_is_known_where_nothing_changed() -> None:
    found = asked(LINE, ALL)
    assert (dict(found.again), found.resting) == ({}, frozenset())
    assert found.texts == {"a": {"x": "4", "if-0": "true"}, "b": {"y": "why"}, "c": {}, "d": {}}


def test_what_failed_runs_again_and_all_after_it() -> None:
    found = asked(LINE, ALL | {"b": "it failed"})
    assert dict(found.again) == {"b": "it failed", "c": "after b", "d": "after c"}


def test_what_is_another_task_now_runs_again_and_its_size_is_no_matter() -> None:
    a, b, *rest = LINE.tasks
    mended = replace(LINE, tasks=(replace(a, cpu_millis=9, retries=3, timeout_seconds=5), b, *rest))
    assert not asked(mended, ALL).again
    mended = replace(LINE, tasks=(a, replace(b, run=Script("other"), env=(("K", "v"),)), *rest))
    assert asked(mended, ALL).again["b"] == "its script, environment changed"


def test_what_a_fan_hands_on_counts_for_those_that_read_it() -> None:
    before: Any = ALL["a"]
    known = ALL | {"a": replace(before, other="a has 2 items now, had 4")}
    assert asked(LINE, known).again == {"b": "a has 2 items now, had 4", "c": "after b", "d": "after c"}


def test_what_is_equal_for_python_alone_is_another() -> None:
    a, *rest = LINE.tasks
    bounded = replace(a, outs=(replace(a.outs[0], max_bytes=1),))
    of = replace(LINE, tasks=(bounded, *rest))
    about: Any = task_json(bounded)
    assert "a" in asked(of, {**ALL, "a": Past(about, {"x": "4"})}).texts
    for other in (True, 1.0):
        was = {**about, "out": [{**about["out"][0], "maxBytes": other}]}
        assert asked(of, {**ALL, "a": Past(was, {"x": "4"})}).again["a"] == "its outs changed"


def test_a_param_counts_for_those_that_read_it() -> None:
    found = asked(LINE, ALL, changed={"params.n": "param n is 2, was 1"})
    assert found.again["b"] == "param n is 2, was 1"
    assert "a" in found.texts


def test_bytes_that_are_gone_are_made_again_and_nobody_looks_for_those_of_others() -> None:
    looked: list[str] = []

    def there(name: str) -> str | None:
        looked.append(name)
        return "its y is not there any more" if name == "b" else None

    found = asked(LINE, ALL, there=there)
    assert found.again["b"] == "its y is not there any more"
    assert looked == ["a", "b"]


def test_a_gate_that_is_false_lets_its_task_rest_and_what_only_waits_for_it_is_known() -> None:
    found = asked(LINE, past(LINE, a={"x": "1"}, b={"y": "why"}, c="its gate was false"))
    assert (found.resting, dict(found.again)) == (frozenset({"c"}), {})
    assert "d" in found.texts


def test_a_gate_over_several_tasks_is_decided_here_where_all_are_known() -> None:
    gate = GateTask("if-c", "c", ("a", "b"), (evaluation(0, "a.x == b.x", a__x=Type.INTEGER, b__x=Type.INTEGER),))
    a, b = (task(name, outs=[out("x", Type.INTEGER)]) for name in "ab")
    c = task("c", reads=["a", "b"], conditions=[condition("a.x == b.x", "if-c", 0)])
    of = plan(a, b, c, gate_tasks=[gate])
    found = asked(of, past(of, a={"x": "1"}, b={"x": "1"}, c="it failed"))
    assert (found.texts["if-c"], dict(found.again)) == ({"if-0": "true"}, {"c": "it failed"})
    found = asked(of, past(of, a={"x": "1"}, b="it failed", c="it was not started"))
    assert dict(found.again) == {"b": "it failed", "c": "after b"}
    assert upstream(of, "c") == {"a", "b", "if-c"}
    assert downstream(of, "a") == {"c"}


@given(st.dictionaries(st.sampled_from("abcd"), st.just("it failed")), st.sets(st.sampled_from("abcd")))
def test_whatever_is_known_has_all_before_it_known_or_resting(failed: dict[str, str], asked_for: set[str]) -> None:
    found = asked(LINE, {**ALL, **failed}, asked=asked_for)
    for name in found.texts:
        assert all(before in found.texts or before in found.resting for before in upstream(LINE, name))
    assert found.texts.keys() | found.again.keys() | found.resting == set("abcd")
    assert asked_for <= found.again.keys()
