"""The two sides of a diff: what of a project has to be read on both, and what surely is the same.

A spec is told apart without being read where Git knows its file to be the same. Where anything else changed that specs
may name, their text says what they name: task files, code, inputs.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence, Set

from mlgen.cli.projects import revisions
from mlgen.cli.projects.workspace import LOCK_FILE, PROJECT_FILE, Workspace
from mlgen.diagnostic import Findings
from mlgen.plan.model import Plan
from mlgen.review.make import Side
from mlgen.review.tasks import Listing
from mlgen.spec.reached import holders, paths_named, texts

POLICIES = "policies"


def sides(
    before: Workspace, after: Workspace, changed: frozenset[str] | None, *, labels: tuple[str, str]
) -> tuple[Side, Side]:
    """Both sides, with the plans of the specs that may differ.

    changed: paths below the project's folder that may; None: any may. Raises Findings where a spec of `after` that has
    to be read has errors; those of `before` are only named.
    """
    old, new = (set(_specs(workspace)) for workspace in (before, after))
    read = _affected(before, after, old | new, changed) | (old ^ new)
    plans, broken = _plans(before, sorted(old & read))
    mine = {plan.name: plan for plan in after.plans(sorted(new & read))}
    folder = revisions.below(after.repository, after.root) if after.repository else ""
    return (
        Side(
            labels[0],
            before.project,
            plans,
            _code(before),
            _lock(before) or {},
            tuple(broken),
            before.commit,
            folder,
            _sources(before),
        ),
        Side(labels[1], after.project, mine, _code(after), after.lock, (), after.commit, folder, _sources(after)),
    )


def _specs(workspace: Workspace) -> Iterator[str]:
    return (path for path in workspace.listed if workspace.files.kind(path) == "file")


def _plans(workspace: Workspace, paths: Sequence[str]) -> tuple[dict[str, Plan], list[str]]:
    """The plans of specs, by name, and the specs of which none can be made."""
    found, broken = {}, []
    for path in paths:
        try:
            (plan,) = workspace.plans([path])
        except Findings:
            broken.append(path)
        else:
            found[plan.name] = plan
    return found, broken


def _lock(workspace: Workspace) -> dict[str, str] | None:
    try:
        return workspace.lock
    except Findings:  # then every spec is broken, and told of
        return None


def _sources(workspace: Workspace) -> dict[str, str]:
    return {name: f"{one.ref} {one.commit}" for name, one in workspace.locked.items()}


def _code(workspace: Workspace) -> Listing:
    def listing(folders: tuple[str, ...]) -> Mapping[str, str]:
        return {name: sha for folder in folders for name, sha in workspace.files.listing(folder).items()}

    return listing


def _affected(before: Workspace, after: Workspace, every: set[str], changed: frozenset[str] | None) -> set[str]:
    """The specs, of both sides, that may make another plan."""
    old_lock, new_lock = _lock(before), _lock(after)
    if changed is None or old_lock is None or new_lock is None:
        return every
    images = {image for image in {*old_lock, *new_lock} if old_lock.get(image) != new_lock.get(image)}
    found = every & changed
    others = sorted(changed - every - {PROJECT_FILE, LOCK_FILE})
    if others or images:
        found |= {path for path in every - found if _reaches(before, after, path, others, images)}
    return found


def _reaches(before: Workspace, after: Workspace, path: str, changed: Sequence[str], images: Set[str]) -> bool:
    """Whether a spec, the same on both sides, names something that may have changed, or that nobody can tell of."""
    documents = [after.document(path)] if after.files.kind(path) == "file" else []
    for document in documents:
        if any(image in images for holder in holders(document) for image in texts(holder.get("image"))):
            return True
        for name, is_input in paths_named(document):
            kind = after.files.kind(name)
            if any(_touch(name, other) for other in changed) or _is_doubtful(before, after, name, kind):
                return True
            if is_input and kind == "folder":  # all that lies in it counts, also what Git ignores
                return True
            if kind == "file" and not is_input and all(known.file != name for known in documents):
                documents.append(after.document(name))
    return False


def _is_doubtful(before: Workspace, after: Workspace, path: str, kind: str | None) -> bool:
    """Whether it lies behind a link or outside, or is not there on both sides: Git may ignore a file that is read."""
    here = after.root / path
    return kind in (None, "escape") or before.files.kind(path) != kind or os.path.realpath(here) != str(here)


def _touch(named: str, changed: str) -> bool:
    """Whether a change of one path may change what another has: the same, above it or below it."""
    return named in (".", changed) or changed.startswith(f"{named}/") or named.startswith(f"{changed}/")


def policies(workspace: Workspace) -> dict[str, bytes]:
    """The files of policies/: path -> bytes."""
    names = workspace.files.beside(f"{POLICIES}/")
    paths = [f"{POLICIES}/{name}" for name in names if name.endswith((".yaml", ".yml"))]
    return {path: workspace.files.read(path) for path in paths if workspace.files.kind(path) == "file"}
