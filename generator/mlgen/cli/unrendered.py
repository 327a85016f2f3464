"""What a review says of manifests that are not those of now, or not in Git."""

from __future__ import annotations

from collections.abc import Iterable

from mlgen.cli.projects.untracked import untracked_in
from mlgen.cli.projects.workspace import Workspace
from mlgen.cli.render import OUT
from mlgen.review.change import Sentence
from mlgen.review.make import Part


def unrendered(workspace: Workspace, parts: Iterable[Part]) -> list[Sentence]:
    """That manifests are not as they would be rendered now, or not in Git: Argo CD syncs what is committed."""
    for part in parts:
        for environment in part.environments:
            for change in environment.objects:
                path = f"{OUT}/{change.path}"
                if (change.new is None) != (workspace.files.kind(path) != "file") or (
                    change.new is not None and workspace.files.read(path) != change.new.bytes
                ):
                    return [Sentence("{} is not rendered yet: mlgen render", (path,))]
    left = untracked_in(workspace, workspace.root / OUT)
    return [Sentence(f"{left.words}: {{}}", (left.command,))] if left.paths else []
