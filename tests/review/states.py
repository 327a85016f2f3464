"""Two states of a project without files: a spec as plain data, and what an edit of it is told as."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from mlgen.plan.model import Plan
from mlgen.review.change import group_words, grouped, text_of
from mlgen.review.make import Part, Side, make_part
from mlgen.spec.project import Environment, GpuPool, Project
from tests.strategies import Files, environment, load

Spec = dict[str, Any]
Edit = Callable[[Spec], object]

DIGEST, OTHER = "sha256:" + "a" * 64, "sha256:" + "b" * 64
POOL = GpuPool("nvidia.com/gpu")

SPEC: Spec = {
    "version": 1,
    "name": "churn",
    "description": "Weekly churn model",
    "owner": "risk-team",
    "labels": {"cost-center": "cc-4411"},
    "params": {"epochs": 20, "target": {"choices": ["none", "prod"], "default": "none"}, "since": {"type": "string"}},
    "inputs": {"raw": f"s3://ml-data/churn.csv@{DIGEST}"},
    "defaults": {"image": f"ghcr.io/acme/churn:1.8@{DIGEST}", "code": "src", "memory": "2Gi"},
    "tasks": {
        "prepare": {
            "run": 'python prepare.py "$raw" "$features"\n',
            "in": ["inputs.raw", "params.since"],
            "out": {"features": "dataset", "rows": "integer"},
        },
        "train": {
            "run": 'python train.py "$features"\necho done\n',
            "in": ["prepare.features", "params.epochs"],
            "out": {"model": "model", "auc": "metric"},
            "gpu": "a100:1",
            "timeout": "6h",
            "retries": 1,
            "env": {"OMP_NUM_THREADS": "8"},
            "secrets": {"HF_TOKEN": "hf/token"},
        },
        "register": {
            "if": 'train.auc >= 0.8 and params.target != "none"',
            "run": ["python", "register.py"],
            "in": {"model": "train.model", "note": {"value": "weekly"}},
        },
    },
    "finally": {"tell": {"run": "python tell.py", "in": ["params.target"]}},
}


def edited(edit: Edit, spec: Spec = SPEC) -> Spec:
    """The spec after an edit."""
    found = copy.deepcopy(spec)
    edit(found)
    return found


def side(*plans: Plan, files: Files | None = None, **changes: Any) -> Side:
    """A side with one environment, prod. changes: of the environment."""
    files = files or Files()
    project = Project(environments=(Environment("local"), prod(**changes)))
    return Side("old", project, {plan.name: plan for plan in plans}, listing(files))


def prod(**changes: Any) -> Environment:
    return replace(environment(gpus=(("a100", POOL), ("default", POOL))), **changes)


def listing(files: Files) -> Callable[[tuple[str, ...]], Mapping[str, str]]:
    return lambda folders: {name: sha for folder in folders for name, sha in files.listing(folder).items()}


def part(old: Spec | None, new: Spec | None, *, before: Files | None = None, after: Files | None = None) -> Part:
    """What is told of two states of one spec."""
    sides = [side(*([load(spec, files)] if spec else []), files=files) for spec, files in ((old, before), (new, after))]
    return make_part(sides[0], sides[1], [("prod", "prod")])


def lines(found: Part) -> list[str]:
    """The lines of the one pipeline, each behind its effect."""
    return [
        f"{group.change.effect}: {text_of(group_words(group))}"
        for one in found.pipelines
        for group in grouped(one.changes)
    ]
