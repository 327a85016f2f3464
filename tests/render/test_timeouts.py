"""Timeouts leave every attempt its time, and Tekton never falls back to its own 60 minutes."""

from __future__ import annotations

import re
from typing import Any

from hypothesis import HealthCheck, given, settings

from mlgen.plan.model import Plan
from mlgen.render import timeouts
from mlgen.render.manifests import manifests
from mlgen.spec.project import Environment, GpuPool
from tests.strategies import Spec, environment, environments, load, specs

MINUTE = environment(
    queue_seconds=60, staging_seconds=10, gpus=(("default", GpuPool("nvidia.com/gpu", queue_seconds=7)),)
)


def plan(*, final: dict[str, Any] | None = None, **tasks: dict[str, Any]) -> Plan:
    def whole(given: dict[str, dict[str, Any]]) -> dict[str, Any]:
        return {name: {"run": "true", "image": "python:3.11", **task} for name, task in given.items()}

    return load({"version": 1, "name": "p", "params": {"n": 1}, "tasks": whole(tasks), "finally": whole(final or {})})


def test_a_chain_is_as_long_as_its_parts_with_their_retries() -> None:
    made = plan(a={"timeout": "100s"}, b={"timeout": "200s", "retries": 2, "after": ["a"]}, c={"timeout": "300s"})
    assert timeouts.of_run(made, MINUTE).tasks == (100 + 70) + (200 + 70) * 3


def test_a_pool_waits_as_long_as_it_says() -> None:
    made = plan(a={"timeout": "100s", "gpu": 1})
    assert timeouts.of_task(made.task("a"), MINUTE) == 100 + 7 + 10


def test_a_script_whose_failure_is_borne_ends_before_its_step_does() -> None:
    """By the sidecar, so that stage-out runs; of the exec form nothing can be ended but the step."""
    sweep = {"sweep": {"list": [{"x": 1}, {"x": 2}]}, "timeout": "100s"}
    made = plan(
        a={**sweep, "failures": 1}, b=sweep, c={**sweep, "failures": 1, "run": ["sleep", "1"]}, d={"timeout": "100s"}
    )
    mains = {m.task: m.data["spec"]["steps"][1] for m in manifests(made, MINUTE) if m.task in ("a", "b", "c", "d")}  # type: ignore[index]
    assert {name: seconds(main["timeout"]) for name, main in mains.items()} == {"a": 130, "b": 100, "c": 100, "d": 100}
    assert [name for name, main in mains.items() if "/mlgen/end" in main.get("script", "")] == ["a"]
    assert timeouts.of_task(made.task("a"), MINUTE) == 100 + 30 + 70


def test_a_gate_task_lies_on_the_path() -> None:
    made = plan(a={"timeout": "100s"}, b={"timeout": "50s", "if": "params.n > 0"})
    gate = (60 + 60) * 4
    assert [g.name for g in made.gate_tasks] == ["if-b"]
    assert timeouts.of_run(made, MINUTE).tasks == gate + 50 + 70


def test_the_gate_of_a_finally_task_runs_among_the_tasks() -> None:
    made = plan(a={"timeout": "1s"}, final={"f": {"if": "params.n > 0"}})
    assert timeouts.of_run(made, MINUTE).tasks == (60 + 60) * 4


def test_finally_is_as_long_as_its_longest_task_and_at_least_as_the_record() -> None:
    assert timeouts.of_run(plan(a={}), MINUTE).final == (600 + 60) * 4
    assert timeouts.of_run(plan(a={}, final={"f": {"timeout": "2h", "retries": 1}}), MINUTE).final == (7200 + 70) * 2


def test_ten_years_nine_times_is_no_overflow() -> None:
    made = plan(a={"timeout": "87600h", "retries": 9}, b={"timeout": "87600h", "retries": 9, "after": ["a"]})
    assert timeouts.of_run(made, MINUTE).pipeline * 10**9 < 2**63


def seconds(text: str) -> int:
    """Of a duration as Go prints it; a pipeline's may be longer than a spec's."""
    match = re.fullmatch(r"(?:(\d+)h)?(?:(\d+)m)?(\d+)s", text)
    assert match, text
    hours, minutes, rest = (int(part or 0) for part in match.groups())
    return (hours * 60 + minutes) * 60 + rest


@settings(max_examples=30, deadline=None, suppress_health_check=list(HealthCheck))
@given(specs(), environments())
def test_timeouts_are_explicit_and_agree(spec: Spec, given_environment: Environment) -> None:
    made = load(spec)
    pipeline, *tasks, run = (manifest.data for manifest in manifests(made, given_environment))
    whole: Any = run["spec"]
    total = {key: seconds(text) for key, text in whole["timeouts"].items()}
    assert total["pipeline"] == total["tasks"] + total["finally"]
    written: Any = pipeline["spec"]
    for section in ("tasks", "finally"):
        for task in written[section]:
            assert seconds(task["timeout"]) * (task.get("retries", 0) + 1) <= total[section]
    attempts = {t["name"]: seconds(t["timeout"]) for t in (*written["tasks"], *written["finally"])}
    mains = {
        task["metadata"]["labels"]["mlgen.dev/task"]: seconds(step["timeout"])  # type: ignore[index]
        for task in tasks
        for step in task["spec"]["steps"]  # type: ignore[index]
        if step["name"] == "main"
    }
    assert all(attempts[name] > own for name, own in mains.items())
    assert mains == {task.name: task.timeout_seconds for task in made.all_tasks}
