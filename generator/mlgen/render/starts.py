"""Everything by which a plan's runs start by themselves: at times, and by events."""

from __future__ import annotations

from mlgen.plan.model import Plan
from mlgen.render.manifests import Manifest
from mlgen.render.scheduled import schedule_objects
from mlgen.render.starting import account_objects, as_manifests
from mlgen.render.triggered import trigger_objects
from mlgen.spec.project import Environment


def start_manifests(plan: Plan, environment: Environment) -> list[Manifest]:
    """What starts a plan that `check_limits` finds nothing against, and one account for all of it, with its rights."""
    objects = account_objects(plan, environment)
    objects += [*schedule_objects(plan, environment), *trigger_objects(plan, environment)]
    return as_manifests(plan, environment, objects)
