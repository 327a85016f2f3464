"""Which objects differ, and what Argo CD does about them."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Any

from mlgen.review.make import Part, make_part
from mlgen.spec.project import ArgoCD
from tests.review.states import SPEC, edited, side
from tests.strategies import load


def told(**changes: Any) -> Part:
    """What is told of changed settings of the environment."""
    return make_part(side(load(SPEC)), side(load(SPEC), **changes), [("prod", "prod")])


def acts(found: Part) -> Counter[str]:
    return Counter(f"{one.act} {one.kind}" for one in found.environments[0].actions)


def test_a_task_is_shown_beside_the_one_that_it_follows() -> None:
    new = edited(lambda spec: spec["tasks"]["train"].update(cpu=2))
    found = make_part(side(load(SPEC)), side(load(new)), [("prod", "prod")])
    assert acts(found) == {"create Task": 1, "change Pipeline": 1, "keep Task": 1}
    (task,) = [one for one in found.environments[0].objects if one.kind == "Task"]
    assert task.task == "train"
    assert task.old_path is not None
    assert task.old_path != task.path
    assert 'cpu: "2"' in (task.after or "")
    assert 'cpu: "1"' in (task.before or "")


def test_another_namespace_is_all_anew() -> None:
    found = told(namespace="ml-risk")
    counts = acts(found)
    assert counts["create Pipeline"] == counts["prune Pipeline"] == counts["prune CronJob"] == 1
    assert counts["keep Task"] == counts["create Task"] == 5
    assert counts["prune Task"] == 0
    assert {one.namespace for one in found.environments[0].actions if one.act == "create"} == {"ml-risk"}


def test_what_starts_a_run_is_shown_and_not_synced() -> None:
    found = told(service_account="runner")
    assert [one.path for one in found.environments[0].objects] == ["prod/runs/churn.yaml"]
    assert found.environments[0].actions == ()


def test_what_listens_for_events_comes_with_what_it_may() -> None:
    found = told(triggers=True)
    kinds = ("EventListener", "Role", "RoleBinding", "ServiceAccount")
    assert acts(found) == {f"create {kind}": 1 for kind in kinds}
    assert {one.kind for one in found.environments[0].objects} == {*kinds, "ClusterRole", "ClusterRoleBinding"}
    assert [str(note) for note in found.notes] == ["Who keeps the cluster applies tekton/prod/cluster: no sync does."]


def test_argo_cds_own_objects_are_for_who_keeps_it() -> None:
    old = side(load(SPEC))
    new = replace(old, project=replace(old.project, repository="https://git.example/ml", argocd=ArgoCD()))
    found = make_part(old, new, [("prod", "prod")])
    assert {one.kind for one in found.environments[0].objects} == {"AppProject", "Application", "Namespace"}
    assert found.environments[0].actions == ()
    assert [str(note) for note in found.notes] == [
        "Who keeps Argo CD applies tekton/prod/argocd: no sync does.",
        "Who keeps the cluster applies tekton/prod/cluster: no sync does.",
    ]
    below = make_part(new, replace(new, folder="ml"), [("prod", "prod")])
    assert {one.kind for one in below.environments[0].objects} == {"Application", "AppProject"}


def test_a_limit_that_the_old_state_broke_hides_nothing_of_the_new() -> None:
    """Nobody could render it: what is there now is told as it is."""
    old = side(load(SPEC), gpus=())
    found = make_part(old, side(load(SPEC)), [("prod", "prod")])
    assert acts(found)["create Pipeline"] == 1
    broken = make_part(side(load(SPEC)), old, [("prod", "prod")])
    assert {problem.code for _, problem in broken.problems} == {"unknown-pool"}
