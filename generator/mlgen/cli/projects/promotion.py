"""What moving an environment's pin means: which commits come or go, and what is rendered otherwise then."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from mlgen import git
from mlgen.canonical import digest
from mlgen.cli.projects import pins, revisions
from mlgen.cli.projects.sources import Sourced, rendering_of
from mlgen.cli.projects.workspace import LOCK_FILE, PIPELINES, Workspace
from mlgen.diagnostic import CannotAnswer, Findings
from mlgen.git import revision
from mlgen.git.history import is_ancestor
from mlgen.git.revision import Subject
from mlgen.plan.model import Plan
from mlgen.plan.text import to_json
from mlgen.spec.project import Environment

SHOWN = 10  # commits, and files, that are listed


@dataclass(frozen=True)
class Move:
    """One environment's pin. old: None where it had none. same: nothing is rendered otherwise.

    commits: that come, negative: that are taken back; None: some of both, or nobody knows. subjects: the newest of
    them. later: a commit that it could be pinned to as well, without a difference.
    pipelines: "new", "changed", "removed" -> names; None: what there was cannot be read any more.
    """

    environment: str
    old: str | None
    new: str
    commits: int | None
    subjects: tuple[Subject, ...]
    pipelines: Mapping[str, list[str]] | None
    same: bool
    rendering: Sourced
    later: str | None = None

    @property
    def moves(self) -> bool:
        return self.old != self.new


def move_of(workspace: Workspace, promoted: Workspace, name: str, new: str) -> Move:
    """What it means that an environment is read at a commit.

    promoted: the workspace with the pin moved. Raises Findings at the new pin, CannotAnswer "shallow-clone".
    """
    before = workspace.project_as_read.environment(name)
    after = promoted.project.environment(name)
    assert before is not None
    assert after is not None
    rendering = rendering_of(promoted, [after], None, may_be_empty=True)
    had = _had(workspace, before)
    repository = revisions.repository_of(workspace.repository, workspace.root)
    commits, subjects = _between(repository, before.pin, new)
    return Move(
        name,
        before.pin,
        new,
        commits,
        subjects,
        None if had is None else _differences(had.plans, rendering.plans),
        had is not None and had.files == rendering.files,
        rendering,
    )


def stayed(workspace: Workspace, move: Move) -> Move:
    """The same environment with the pin that it has, as the new one brings nothing."""
    if move.old == move.new:
        return move
    environment = workspace.project_as_read.environment(move.environment)
    assert environment is not None
    rendering = rendering_of(workspace, [environment], None, may_be_empty=True)
    return replace(move, new=environment.pin or move.new, commits=0, subjects=(), rendering=rendering, later=move.new)


def _had(workspace: Workspace, environment: Environment) -> Sourced | None:
    try:
        return rendering_of(workspace, [environment], None, may_be_empty=True)
    except (Findings, CannotAnswer):  # a pin that is mended by the new one
        return None


def _between(repository: git.Repository, old: str | None, new: str) -> tuple[int | None, tuple[Subject, ...]]:
    if old is None or repository.resolve(old) is None:
        return None, ()
    count = revision.distance(repository, old, new)
    if count is not None and count < 0:
        return count, tuple(revision.subjects(repository, new, old, most=SHOWN))
    return count, tuple(revision.subjects(repository, old, new, most=SHOWN))


def _differences(old: Sequence[Plan], new: Sequence[Plan]) -> dict[str, list[str]]:
    before, after = ({plan.name: digest(to_json(plan)) for plan in plans} for plans in (old, new))
    return {
        "new": sorted(after.keys() - before.keys()),
        "changed": sorted(name for name in after.keys() & before.keys() if after[name] != before[name]),
        "removed": sorted(before.keys() - after.keys()),
    }


def refuse_dirty(workspace: Workspace, plans: Sequence[Plan], commit: str, to: Sequence[str]) -> None:
    """Raises CannotAnswer "dirty-tree" where what a commit was to be promoted for is not in it.

    plans: as the commit has them, of the environments `to`. What they read and what lies in pipelines/ counts, not
    mlgen.yaml nor what is rendered: a promotion changes those itself.
    """
    repository = revisions.repository_of(workspace.repository, workspace.root)
    below = revisions.below(repository, workspace.root)
    changed = repository.changed(sorted(f"{below}/{path}".lstrip("/") for path in _read(plans)))
    if not changed:
        return
    more = f" and {len(changed) - SHOWN} more" if len(changed) > SHOWN else ""
    into = " ".join(f"--to {name}" for name in to)
    count = f"{len(changed)} file{'s are' if len(changed) > 1 else ' is'}"
    raise CannotAnswer(
        "dirty-tree",
        f"{count} not as {commit[: pins.SHORT]} has them: {', '.join(changed[:SHOWN])}{more}",
        why="a pin names what is committed, and nothing else would be promoted",
        fix=f"git commit, or git stash\nfor what is committed: mlgen promote {into} --revision HEAD",
    )


def _read(plans: Sequence[Plan]) -> set[str]:
    """The paths that plans were made from, as far as the project's own files go."""
    tasks = [task for plan in plans for task in plan.all_tasks]
    code = {folder for task in tasks if task.code is not None for folder in task.code.folders}
    files = {task.file for task in tasks if task.file}
    inputs = {item.path for plan in plans for item in plan.inputs if item.path is not None}
    return {PIPELINES, LOCK_FILE, *code, *files, *inputs}


def unmerged(repository: git.Repository, commit: str) -> str | None:
    """The default branch of the remote, where it is known here and a commit is not on it."""
    for remote in revision.remotes(repository):
        for name in ("HEAD", "main", "master"):
            ref = f"refs/remotes/{remote}/{name}"
            if (tip := repository.resolve(ref)) is not None:
                return None if is_ancestor(repository, commit, tip) else revision.short_name(repository, ref)
    return None
