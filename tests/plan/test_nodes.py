"""Tasks on several nodes: in a plan only where they are, and another plan than one of one node."""

from __future__ import annotations

from dataclasses import replace

from mlgen.plan.text import task_json, to_json
from mlgen.review.amounts import gpu_hours
from mlgen.review.tasks import task_changes
from mlgen.runtime.documents import of_task
from tests.spec.texts import plan_of

ONE = b"version: 1\nname: demo\ntasks:\n  train: {run: x, gpu: 2, timeout: 1h, cache: true, out: {m: model}}\n"
FOUR = ONE.replace(b"gpu: 2", b"gpu: 2, nodes: 4")


def test_nodes_are_in_the_plan_where_there_are_several() -> None:
    one, four = plan_of(ONE), plan_of(FOUR)
    assert "nodes" not in str(to_json(one)["tasks"])
    assert task_json(four.task("train"))["nodes"] == 4
    assert one.digest != four.digest


def test_another_number_of_nodes_is_another_key_of_the_cache() -> None:
    keys = []
    for text in (ONE, FOUR):
        document = of_task(plan_of(text).task("train"), pipeline="demo", env="local", artifacts="a")
        assert document.cache is not None
        keys.append(dict(document.cache.parts))
    assert keys[1] == {**keys[0], "nodes": "4"}


def test_a_review_tells_of_nodes_and_counts_all_their_gpus() -> None:
    one, four = plan_of(ONE), plan_of(FOUR)
    (change,) = task_changes(one.task("train"), four.task("train"), lambda _: {}, lambda _: {})
    assert (change.key, change.before, change.after) == ("nodes", None, "4")
    assert (gpu_hours(one), gpu_hours(four)) == ("2", "8")
    assert not task_changes(four.task("train"), replace(four.task("train")), lambda _: {}, lambda _: {})
