"""What is true for runs that began before a sync: named where it applies, and only there."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from mlgen.review.make import make_part
from mlgen.spec.project import S3, Ledger, Project
from tests.review.states import SPEC, Edit, edited, prod, side
from tests.strategies import load

OWN = "A run that began before the sync ends with its own version: its graph is in its status, its Tasks stay."

LOST = (
    "Runs in flight still read the Secrets {}, which this change refers to no more: keep them until those have ended."
)


def told(edit: Edit | None = None, *, gone: bool = False, **changes: Any) -> list[str]:
    """What is said of an edit of the spec, and of changed settings."""
    old = side(load(SPEC), s3=S3(secret="s3"))
    after = [] if gone else [load(edited(edit or (lambda _spec: None)))]
    new = side(*after, **{"s3": S3(secret="s3"), **changes})
    return [str(s) for one in make_part(old, new, [("prod", "prod")]).environments for s in one.in_flight]


def _drop_secret(spec: dict[str, Any]) -> None:
    del spec["tasks"]["train"]["secrets"]


CASES: dict[str, tuple[dict[str, Any], list[str]]] = {
    "nothing": ({}, []),
    "a limit": ({"registries": ("x/",)}, []),
    "a removed pipeline": (
        {"gone": True},
        [
            "Runs of churn in flight go on to their end; one that Tekton has not looked at yet fails with "
            "CouldntGetPipeline.",
            LOST.format("hf"),
        ],
    ),
    "an account": (
        {"service_account": "runner"},
        [
            "Runs in flight keep the account default, also for pods that are still to come: keep it until they have "
            "ended."
        ],
    ),
    "a secret of the bucket": (
        {"s3": S3(secret="other")},
        [
            OWN,
            LOST.format("s3"),
        ],
    ),
    "a secret of a task": (
        {"edit": _drop_secret},
        [
            OWN,
            LOST.format("hf"),
        ],
    ),
    "artifacts": (
        {"artifacts": "s3://new/x"},
        [
            OWN,
            "Runs in flight write artifacts and records below s3://ml-artifacts/prod, and from the sync on the CronJob "
            "folds the spool below s3://new/x only: once they have ended, fold the old one from a revision that still "
            "names it.",
        ],
    ),
    "ledger": (
        {"ledger": Ledger("https://git.example/new.git")},
        [
            OWN,
            "Records of runs in flight may land in two ledgers: their own pods write to "
            "https://git.example/acme/ledger.git ledger, the CronJob to https://git.example/new.git ledger at once.",
        ],
    ),
    "runtime image": (
        {"runtime_image": "x:2"},
        [
            OWN,
            f"Runs in flight keep the runtime image {prod().runtime_image}: keep it in the registry. The CronJob has "
            "the new one with its next Job.",
        ],
    ),
    "namespace": (
        {"namespace": "ml-risk"},
        [
            "Everything is created anew in ml-risk; in ml-prod Pipelines and CronJob are pruned, where the AppProject "
            "permits that namespace, too, and Tasks stay. Runs in flight there go on to their end, but nobody "
            "reconciles them any more.",
            "ml-risk needs its Secrets and accounts before the sync.",
        ],
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_what_applies_is_said(name: str) -> None:
    given, expected = CASES[name]
    assert told(**given) == expected


def test_an_environment_that_goes() -> None:
    old = side(load(SPEC))
    new = replace(old, project=Project())
    (found,) = make_part(old, new, [("prod", "prod")]).environments
    assert [str(sentence)[:53] for sentence in found.in_flight] == [
        "The environment is gone, and with it the folder that "
    ]
    assert {str(action.act) for action in found.actions} == {"keep"}


def test_a_ledger_that_only_the_cron_job_writes() -> None:
    old = side(load(SPEC), ledger=Ledger("https://git.example/a.git", fold="cron"))
    new = side(load(SPEC), ledger=Ledger("https://git.example/b.git", fold="cron"))
    (found,) = make_part(old, new, [("prod", "prod")]).environments
    assert "land in the new ledger, https://git.example/b.git ledger, not in https://git.example/a.git" in str(
        found.in_flight[-1]
    )
