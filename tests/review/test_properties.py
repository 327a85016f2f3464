"""What holds of any edit of any spec: no change of an object is told as none, none of a plan as more than it is."""

from __future__ import annotations

import copy
from typing import Any

from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from mlgen.render.limits import check_limits
from mlgen.render.manifests import manifests
from mlgen.review.change import Effect
from mlgen.review.names import with_names
from mlgen.review.objects import Act
from mlgen.review.renames import renamed_tasks
from tests.review.states import part, prod, side
from tests.strategies import LABELS, SETTINGS, TEXTS, Spec, load, specs

SLOW = settings(
    max_examples=60, suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much], deadline=None
)


@st.composite
def edits(draw: st.DrawFn) -> tuple[Spec, Spec]:
    """A valid spec and the same after an edit of one thing."""
    old = draw(specs())
    new = copy.deepcopy(old)
    task = new["tasks"][draw(st.sampled_from(sorted(new["tasks"])))]
    match draw(st.sampled_from(["setting", "unset", "order", "labels", "owner", "description", "param", "out", "run"])):
        case "setting":
            task |= draw(SETTINGS)
        case "unset":
            for key in draw(st.lists(st.sampled_from(["gpu", "memory", "env", "secrets", "timeout", "if", "after"]))):
                task.pop(key, None)
        case "order":
            new["tasks"] = dict(reversed(new["tasks"].items()))
        case "labels":
            new["labels"] = draw(LABELS)
        case "owner":
            new["owner"] = "other-team"
        case "description":
            new["description"] = draw(TEXTS)
        case "param":
            new["params"]["extra"] = draw(st.integers(0, 9))
            task["env"] = {**task.get("env", {}), "EXTRA": "1"}
        case "out":
            outs = task.get("out", {})
            task["out"] = {**(dict.fromkeys(outs, "file") if isinstance(outs, list) else outs), "extra": "integer"}
        case "run":
            task["run"] = ["python", *draw(st.lists(TEXTS, max_size=2))]
    return old, new


def _loaded(old: Spec, new: Spec) -> tuple[Any, Any]:
    try:
        return load(old), load(new)
    except (AssertionError, RecursionError):  # the edit made it one that `check` refuses
        assume(False)
        raise


@given(edit=edits())
@SLOW
def test_effects_say_what_plans_and_objects_do(edit: tuple[Spec, Spec]) -> None:
    before, after = _loaded(*edit)
    found = part(*edit)
    effects = [change.effect for one in found.pipelines for change in one.changes]
    if before.digest == after.digest:
        assert set(effects) <= {Effect.NONE, Effect.METADATA}
    environment = prod()
    assume(not check_limits(before, environment) and not check_limits(after, environment))
    old, new = ({(m.data["kind"], m.task): m.data for m in manifests(plan, environment)} for plan in (before, after))
    tasks = {key for key in old.keys() | new.keys() if key[0] == "Task" and old.get(key) != new.get(key)}
    spec = any(old[key]["spec"] != new[key]["spec"] for key in [("Pipeline", None)])
    if tasks or spec:
        assert effects
        assert min(effects, key=list(Effect).index) is not Effect.NONE
    if old != new:
        assert found.environments[0].actions
    # Each author's task whose Task is another one is named by some change.
    named = {change.task for one in found.pipelines for change in one.changes}
    names = {task.name for task in after.all_tasks}
    assert {str(task) for _, task in tasks if task in names} <= named


@given(spec=specs())
@SLOW
def test_equal_states_have_no_difference(spec: Spec) -> None:
    found = part(spec, spec)
    assert (found.pipelines, found.environments, found.lock) == ((), (), ())


@given(spec=specs())
@SLOW
def test_a_task_under_another_name_is_a_rename_and_nothing_else(spec: Spec) -> None:
    plan = load(spec)
    names = {task.name: f"{task.name[:8].rstrip('-')}-x{index}" for index, task in enumerate(plan.all_tasks)}
    assume(len({*names, *names.values()}) == 2 * len(names))
    other = with_names(plan, names)
    back = with_names(other, {new: old for old, new in names.items()})
    assert back.digest == plan.digest
    found = renamed_tasks(plan, other)
    assert found.keys() <= set(names.values())
    # Two tasks alike may stand for each other; one that is like no other is found.
    if len(plan.all_tasks) == 1:
        assert found == {new: old for old, new in names.items()}


@given(edit=edits())
@SLOW
def test_what_argo_cd_does_leads_from_one_state_to_the_other(edit: tuple[Spec, Spec]) -> None:
    before, after = _loaded(*edit)
    environment = prod()
    assume(not check_limits(before, environment) and not check_limits(after, environment))
    there = {_id(m.data) for m in manifests(before, environment) if "/manifests/" in m.path}
    wanted = {_id(m.data) for m in manifests(after, environment) if "/manifests/" in m.path}
    actions = [a for one in part(*edit).environments for a in one.actions]
    by_act = {act: {(a.kind, a.name) for a in actions if a.act is act} for act in Act}
    assert by_act[Act.CREATE] == wanted - there
    assert by_act[Act.KEEP] == {key for key in there - wanted if key[0] == "Task"}
    assert by_act[Act.PRUNE] == {key for key in there - wanted if key[0] != "Task"}
    assert by_act[Act.CHANGE] <= there & wanted


def _id(data: Any) -> tuple[str, str]:
    return data["kind"], data["metadata"]["name"]


def test_sides_may_leave_out_what_is_equal() -> None:
    assert side().plans == {}
