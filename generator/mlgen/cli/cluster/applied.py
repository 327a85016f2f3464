"""Whether a cluster has a pipeline as its spec renders to now; if not, what differs and how it gets there."""

from __future__ import annotations

from mlgen.cli.cluster.request import Request
from mlgen.cli.projects.workspace import Workspace
from mlgen.cli.render import OUT
from mlgen.cluster.api import Api
from mlgen.cluster.applied import difference
from mlgen.diagnostic import CannotAnswer, Misuse, visible
from mlgen.plan.model import Plan
from mlgen.render.files import Scope, compare
from mlgen.render.manifests import manifests
from mlgen.spec.project import Environment


def check_applied(api: Api, workspace: Workspace, plan: Plan, environment: Environment, request: Request) -> None:
    """Raises CannotAnswer "not-applied", and what `cluster.applied.difference` raises."""
    found = difference(api, request.pipeline, request.tasks, environment.name)
    if found is None:
        return
    env = environment.name
    folder = f"{OUT}/{env}/manifests/"
    if _is_rendered(workspace, plan, environment):
        fix = f"merge {folder}, which is as the spec says, for Argo CD to sync"
    else:
        fix = f"`mlgen render --env {env}`: {folder} is not what the spec says now\nthen merge it, for Argo CD to sync"
    if workspace.project_as_read.argocd is None:
        fix += f"\nor, to try it: kubectl apply --server-side -f {folder}"
    else:  # it has the fields for its own, and puts back what was forced within seconds
        fix += "\nor, to try it: an environment of your own, in a namespace that Argo CD does not sync"
    raise CannotAnswer("not-applied", found.what, why=found.why, fix=fix)


def _is_rendered(workspace: Workspace, plan: Plan, environment: Environment) -> bool:
    """Whether the files of a pipeline are here just as they would be rendered now."""
    files = {one.path: one.bytes for one in manifests(plan, environment)}
    scope = Scope((environment.name,), frozenset({visible(plan.source)}))
    try:
        return not compare(workspace.root / OUT, files, scope)
    except Misuse:  # something lies in the way, as `mlgen render` will say
        return False
