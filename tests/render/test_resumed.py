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
from tests.strategies import Spec, environments, load, specs

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


def reduced(plan: Plan, environment: Environment, failed: set[str]) -> tuple[Any, Known]:
    known = known_of(plan, failed)
    pipeline, *_, run = (cast(Any, one.data) for one in manifests(plan, environment))
    return resumed(run, pipeline, plan, Reduced(known.texts, frozenset(), UID)), known


def texts_in(data: object) -> Iterator[str]:
    if isinstance(data, str):
        yield data
    elif isinstance(data, dict | list):
        for part in data.values() if isinstance(data, dict) else data:
            yield from texts_in(part)


@few
@given(specs(), environments(), st.data())
def test_what_is_left_refers_to_what_is_left(spec: Spec, environment: Environment, data: st.DataObject) -> None:
    plan = load(spec)
    assume(not any(task.late for task in plan.tasks))
    failed = data.draw(st.sets(st.sampled_from([task.name for task in plan.tasks]), min_size=1))
    run, known = reduced(plan, environment, failed)
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
        def insist(spec: Spec, environment: Environment, data: st.DataObject) -> None:
            plan = load(spec)
            assume(not any(task.late for task in plan.tasks))
            failed = data.draw(st.sets(st.sampled_from([task.name for task in plan.tasks]), min_size=1))
            run, known = reduced(plan, environment, failed)
            assume(known.again)
            oracle.insist(run)

        insist()


@pytest.mark.parametrize(
    ("text", "fits"), [("a $x $$", True), ("$(date)", False), ("$(params.x)", False), ('{"a":"$(b.c)"}', False)]
)
def test_a_text_that_tekton_would_take_for_a_variable_does_not_fit(text: str, *, fits: bool) -> None:
    assert (holds_variable(text) is None) == fits
