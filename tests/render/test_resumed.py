"""A PipelineRun that carries only what must run: whole, as the webhook would store it, with the texts of the rest."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, cast

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from mlgen.plan.known import Known, Past, know
from mlgen.plan.model import Out, Plan
from mlgen.plan.text import task_json
from mlgen.render.manifests import manifests
from mlgen.render.resumed import Reduced, holds_variable, resumed
from mlgen.spec.project import Environment
from mlgen.values import Type
from tests.oracle import needs_oracle, running
from tests.strategies import Spec, environment, environments, load, specs

few = settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
UID = "11112222-3333-4444-8555-666677778888"
TEXTS = {Type.STRING: "a $x", Type.BOOLEAN: "true", Type.JSON: '{"a":1}', Type.METRIC: "0.5"}


def text_of(out: Out) -> str | None:
    if out.optional:
        return None
    return f"p/r/t/{out.name}@sha256:{'0' * 64}" if out.type.is_artifact else TEXTS.get(out.type, "7")


def known_of(plan: Plan, failed: set[str]) -> Known:
    """What is known where all but these succeeded."""
    past: dict[str, Past | str] = {
        t.name: "it failed" if t.name in failed else Past(cast(Any, task_json(t)), {o.name: text_of(o) for o in t.outs})
        for t in plan.tasks
    }
    texts = {Type.STRING: "x", Type.BOOLEAN: "true", Type.JSON: "{}"}
    params = {p.name: p.default if p.default is not None else texts.get(p.type, "1") for p in plan.params}
    return know(plan, past, params=params, changed={})


def reduced(plan: Plan, where: Environment, failed: set[str]) -> tuple[Any, Known]:
    known = known_of(plan, failed)
    pipeline, *_, run = (cast(Any, one.data) for one in manifests(plan, where))
    return resumed(run, pipeline, plan, Reduced(known.texts, frozenset(), UID)), known


def texts_in(data: object) -> Iterator[str]:
    if isinstance(data, str):
        yield data
    elif isinstance(data, dict | list):
        for part in data.values() if isinstance(data, dict) else data:
            yield from texts_in(part)


def test_the_runs_that_it_takes_up_are_named_the_latest_first() -> None:
    plan = load({"version": 1, "name": "one", "tasks": {"train": {"run": "true", "image": "a"}}})
    pipeline, *_, run = (cast(Any, one.data) for one in manifests(plan, environment()))
    before = "22222222-3333-4444-8555-666677778888"
    made = resumed(run, pipeline, plan, Reduced({}, frozenset(), UID, before=(before,)))
    assert made["metadata"]["annotations"]["mlgen.dev/resumes"] == f"{UID},{before}"


@few
@given(specs(), environments(), st.data())
def test_what_is_left_refers_to_what_is_left(spec: Spec, where: Environment, data: st.DataObject) -> None:
    plan = load(spec)
    assume(not any(task.late for task in plan.tasks))
    failed = data.draw(st.sets(st.sampled_from([task.name for task in plan.tasks]), min_size=1))
    run, known = reduced(plan, where, failed)
    assume(known.again)
    spec_ = run["spec"]["pipelineSpec"]
    entries = {entry["name"]: entry for entry in spec_["tasks"]}
    assert known.again.keys() <= entries.keys()
    assert not known.texts.keys() & entries.keys()
    for entry in (*spec_["tasks"], *spec_["finally"]):
        for text in texts_in(entry):
            assert set(re.findall(r"\$\(tasks\.([a-z0-9-]+)\.", text)) <= entries.keys()
        assert set(entry.get("runAfter", ())) <= entries.keys()
    placed = {one["pipelineTaskName"] for one in run["spec"].get("taskRunSpecs", ())}
    assert placed <= {entry["name"] for entry in (*spec_["tasks"], *spec_["finally"])}
    told = next(p["value"] for p in spec_["finally"][-1]["params"] if p["name"] == "mlgen-tasks")
    for name in known.texts.keys() & {task.name for task in plan.tasks}:
        assert f'"{name}":{{"status":"Succeeded","reason":"Reused"}}' in told


@needs_oracle
def test_it_is_what_the_cluster_would_store() -> None:
    with running() as oracle:

        @settings(few, max_examples=40)
        @given(specs(), environments(), st.data())
        def insist(spec: Spec, where: Environment, data: st.DataObject) -> None:
            plan = load(spec)
            assume(not any(task.late for task in plan.tasks))
            failed = data.draw(st.sets(st.sampled_from([task.name for task in plan.tasks]), min_size=1))
            run, known = reduced(plan, where, failed)
            assume(known.again)
            oracle.insist(run)

        insist()


@pytest.mark.parametrize(
    ("text", "fits"), [("a $x $$", True), ("$(date)", False), ("$(params.x)", False), ('{"a":"$(b.c)"}', False)]
)
def test_a_text_that_tekton_would_take_for_a_variable_does_not_fit(text: str, *, fits: bool) -> None:
    assert (holds_variable(text) is None) == fits


FAN = {"run": 'echo "$x" > "$auc"', "image": "a", "out": {"auc": "metric"}, "pick": "max auc"}
READER = {"run": "true", "image": "a", "in": ["train.auc"]}


def fan_plan(count: int, *, parallel: int | None = None) -> Plan:
    train = {**FAN, "sweep": {"list": [{"x": x} for x in range(count)]}, **({"parallel": parallel} if parallel else {})}
    return load({"version": 1, "name": "many", "tasks": {"train": train, "use": READER}})


def loop_plan(parallel: int | None = None) -> Plan:
    make = {"run": "true", "image": "a", "out": {"parts": "json"}}
    each = {
        "run": "true",
        "image": "a",
        "for": {"x": "make.parts"},
        "out": {"said": "string"},
        **({"parallel": parallel} if parallel else {}),
    }
    use = {"run": "true", "image": "a", "in": ["each.said"]}
    return load({"version": 1, "name": "many", "tasks": {"make": make, "each": each, "use": use}})


def entries_of(run: Any) -> dict[str, Any]:
    return {entry["name"]: entry for entry in run["spec"]["pipelineSpec"]["tasks"]}


def numbers(entry: Any) -> list[int]:
    rows = entry["matrix"]["include"]
    return [int(param["value"]) for row in rows for param in row["params"] if param["name"] == "mlgen-index"]


def of_items(plan: Plan, known: Known, **items: set[int]) -> Any:
    pipeline, *_, run = (cast(Any, one.data) for one in manifests(plan, environment()))
    return resumed(run, pipeline, plan, Reduced(known.texts, frozenset(), UID, items))


def test_pieces_have_the_items_that_are_left_and_one_without_any_is_no_part() -> None:
    plan = fan_plan(10, parallel=3)  # train, train-c1 … train-c3, one after the other
    run = of_items(plan, Known({}, {}, frozenset()), train={0, 2, 3, 4, 5, 9})
    entries = entries_of(run)
    assert {name: numbers(entry) for name, entry in entries.items() if "matrix" in entry} == {
        "train": [1],
        "train-c2": [6, 7, 8],
    }
    assert entries["train-c2"]["runAfter"] == ["train"]
    assert entries["use"]["runAfter"] == ["train-c2"]
    xs = [param["value"] for row in entries["train-c2"]["matrix"]["include"] for param in row["params"]]
    assert xs == ["6", "6", "7", "7", "8", "8"]
    told = next(p["value"] for p in run["spec"]["pipelineSpec"]["finally"][-1]["params"] if p["name"] == "mlgen-tasks")
    assert told.count('{"status":"Succeeded","reason":"Succeeded"}') == 2
    assert set(re.findall(r"\$\(tasks\.([a-z0-9-]+)\.", told)) == {"train", "train-c2", "use"}


def test_the_first_piece_that_is_left_has_the_name_of_the_fan() -> None:
    plan = fan_plan(10, parallel=3)
    run = of_items(plan, Known({}, {}, frozenset()), train={0, 1, 2, 4})
    entries = entries_of(run)
    assert {name: numbers(entry) for name, entry in entries.items() if "matrix" in entry} == {
        "train": [3, 5],
        "train-c2": [6, 7, 8],
        "train-c3": [9],
    }
    assert "runAfter" not in entries["train"]
    assert entries["train-c2"]["runAfter"] == ["train"]
    assert [entry["matrix"] for entry in entries.values() if "matrix" in entry]
    told = next(p["value"] for p in run["spec"]["pipelineSpec"]["finally"][-1]["params"] if p["name"] == "mlgen-tasks")
    assert re.findall(r"\$\(tasks\.([a-z0-9-]+)\.status", told) == ["train", "train-c2", "train-c3", "use"]


def test_a_whole_fan_is_no_part() -> None:
    plan = fan_plan(10, parallel=3)
    run = of_items(plan, Known({"train": {"auc": "1"}}, {}, frozenset()))
    assert entries_of(run).keys() == {"use"}
    assert "runAfter" not in entries_of(run)["use"]


@pytest.mark.parametrize(
    ("parallel", "taken", "pieces"),
    [
        (None, {0, 17}, {"each": [*range(1, 16)], "each-c1": [16, 18]}),
        (None, {*range(16)}, {"each": [16, 17, 18]}),
        (8, {3}, {"each": [0, 1, 2, 4, 5, 6, 7], "each-c1": [*range(8, 16)], "each-c32": [16, 17, 18]}),
    ],
)
def test_of_a_list_that_is_known_the_items_are_written_down(
    parallel: int | None, taken: set[int], pieces: dict[str, list[int]]
) -> None:
    plan = loop_plan(parallel)
    run = of_items(plan, Known({"make": {"parts": str([*range(19)])}}, {}, frozenset()), each=taken)
    entries = entries_of(run)
    assert "make" not in entries
    assert {name: numbers(entry) for name, entry in entries.items() if "matrix" in entry} == pieces
    assert "$(tasks." not in str([entry for name, entry in entries.items() if name in pieces])
    last = list(pieces)[-1:] if parallel else list(pieces)
    assert entries["use"]["runAfter"] == last


@needs_oracle
@pytest.mark.parametrize("taken", [{0, 1}, {0, 2, 3, 4, 5, 9}])
def test_of_fans_too_it_is_what_the_cluster_would_store(taken: set[int]) -> None:
    with running() as oracle:
        oracle.insist(of_items(fan_plan(10, parallel=3), Known({}, {}, frozenset()), train=taken))
        known = Known({"make": {"parts": str([*range(19)])}}, {}, frozenset())
        for parallel in (None, 8):
            oracle.insist(of_items(loop_plan(parallel), known, each=taken))
            oracle.insist(of_items(loop_plan(parallel), known))
