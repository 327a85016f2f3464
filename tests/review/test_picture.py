"""The graph in which what changed is marked: by words, lines and colour."""

from __future__ import annotations

from typing import Any

import pytest

from mlgen.review.picture import MOST_NODES, picture
from tests.review.states import SPEC, Edit, edited, part


def drawn(edit: Edit, spec: Any = SPEC) -> list[str]:
    found = picture(part(spec, edited(edit, spec)).pipelines[0])
    assert found is not None
    return [line.strip() for line in found.mermaid.splitlines()]


def _grow(spec: Any) -> None:
    spec["tasks"]["score"] = {"run": "x", "in": ["train.model"], "image": "busybox:1"}
    del spec["tasks"]["register"]
    spec["tasks"]["train"]["gpu"] = "a100:2"


def test_a_task_that_came_one_that_went_and_one_that_changed() -> None:
    assert drawn(_grow) == [
        "flowchart TD",
        'task_prepare["prepare"]',
        'task_train["train<br>(changed)"]',
        'task_score["score<br>(new)"]',
        'task_tell["tell<br>finally"]',
        'task_register{{"register<br>(removed)"}}',
        'task_prepare -->|"features"| task_train',
        'task_train ==>|"new: model"| task_score',
        'task_train -.->|"removed: model"| task_register',
        "classDef changed fill:lemonchiffon,stroke:darkgoldenrod,color:black,stroke-width:2px",
        "class task_train changed",
        "classDef new fill:honeydew,stroke:green,color:black,stroke-width:2px",
        "class task_score new",
        "classDef removed fill:mistyrose,stroke:firebrick,color:black,stroke-dasharray:5 5",
        "class task_register removed",
        "linkStyle 1 stroke:green,stroke-width:2px",
        "linkStyle 2 stroke:firebrick,stroke-width:2px",
    ]


def test_a_rename_says_what_it_was() -> None:
    def rename(spec: Any) -> None:
        spec["tasks"]["make-it"] = spec["tasks"].pop("prepare")
        spec["tasks"]["train"]["in"][0] = "make-it.features"

    found = drawn(rename)
    assert 'task_make_dash_it["make-it<br>(was prepare)"]' in found
    assert 'task_make_dash_it -->|"features"| task_train' in found
    assert not any("removed" in line or "new" in line for line in found)


@pytest.mark.parametrize("edit", [lambda spec: spec.update(owner="x"), lambda spec: spec["params"].update(epochs=30)])
def test_there_is_none_where_no_task_changed(edit: Edit) -> None:
    assert picture(part(SPEC, edited(edit)).pipelines[0]) is None


def test_of_a_large_graph_only_what_changed_and_its_neighbours_are_drawn() -> None:
    tasks = {f"t{n}": {"run": "x", "image": "busybox:1", **({"after": [f"t{n - 1}"]} if n else {})} for n in range(200)}
    spec = {"version": 1, "name": "wide", "tasks": tasks}
    found = picture(part(spec, edited(lambda s: s["tasks"]["t100"].update(gpu=1), spec)).pipelines[0])
    assert found is not None
    assert [line.strip().partition("[")[0] for line in found.mermaid.splitlines() if '["' in line] == [
        "task_t99", "task_t100", "task_t101",
    ]  # fmt: skip
    assert found.left_out == 197
    every = picture(part(spec, edited(lambda s: [t.update(gpu=1) for t in s["tasks"].values()], spec)).pipelines[0])
    assert every is not None
    assert every.left_out == 200 - MOST_NODES
