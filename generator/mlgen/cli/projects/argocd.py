"""What administrators of Argo CD apply, from the mlgen.yaml of a project: for `render` and `init`."""

from __future__ import annotations

from collections.abc import Sequence

from mlgen.cli.projects.workspace import Workspace
from mlgen.render.argocd import argocd_manifests
from mlgen.spec.project import Environment


def argocd_files(workspace: Workspace, environments: Sequence[Environment]) -> dict[str, bytes]:
    """Path below the output folder -> content; nothing where mlgen.yaml does not ask for it."""
    project = workspace.project
    if project.argocd is None:  # to look for the repository may ask git
        return {}
    folder = _folder(workspace)
    made = (one for environment in environments for one in argocd_manifests(project, environment, folder))
    return {one.path: one.bytes for one in made}


def _folder(workspace: Workspace) -> str:
    """The project's folder below the root of its repository; "" where it is in none yet."""
    top = workspace.repository.work_tree if workspace.repository else None
    if top is None:
        return ""
    below = workspace.root.relative_to(top.resolve()).as_posix()
    return "" if below == "." else below
