"""What a run is given besides its plan: a name, the commit that it is of, the files of its code."""

from __future__ import annotations

import random
import re
from collections.abc import Container
from pathlib import Path

from mlgen.cli.projects.workspace import LOCK_FILE, PROJECT_FILE, Workspace
from mlgen.diagnostic import Misuse
from mlgen.plan.model import Plan
from mlgen.store import BUCKETS

RUN_NAME = re.compile(r"[a-z]([a-z0-9-]{0,61}[a-z0-9])?")
ALPHABET = "bcdfghjklmnpqrstvwxz2456789"  # of Kubernetes' generated names: they spell no word
SUFFIX_LENGTH = 5


def name(plan: Plan, wanted: str | None, *, taken: Container[str] = ()) -> str:
    """The run's name, made up where none is wanted. Raises Misuse for one that cannot be."""
    if wanted is None:
        return f"{plan.name}-{''.join(random.choices(ALPHABET, k=SUFFIX_LENGTH))}"
    if not RUN_NAME.fullmatch(wanted):
        fix = "a letter, then letters, digits and -, at most 63, not ending in -"
        raise Misuse("bad-name", f'"{wanted[:80]}" is no name for a run', fix=fix)
    if wanted in taken:
        message = f'there is a run "{wanted}" already'
        raise Misuse("run-exists", message, fix="choose another name, or leave --name out")
    return wanted


def code(workspace: Workspace, plan: Plan) -> dict[tuple[str, ...], dict[str, Path]]:
    """Where the files of each task's code lie; what goes into one folder comes from several."""
    folders = {task.code.folders for task in plan.all_tasks if task.code is not None}
    return {key: {n: p for folder in key for n, p in workspace.worktree.files(folder).items()} for key in folders}


def commit(workspace: Workspace, plan: Plan) -> str | None:
    """The commit that this plan was made from: that of a pin, or HEAD where it has all its files as they are now."""
    if workspace.commit is not None:
        return workspace.commit
    repository = workspace.repository
    if repository is None or repository.work_tree is None:
        return None
    local = [item.uri for item in plan.inputs if item.uri is not None and not item.uri.startswith(BUCKETS)]
    folders = [folder for task in plan.all_tasks if task.code is not None for folder in task.code.folders]
    paths = {plan.source, PROJECT_FILE, LOCK_FILE, *workspace.task_files, *local, *folders}
    below = workspace.root.relative_to(repository.work_tree.resolve())
    return repository.head() if repository.is_clean(sorted((below / path).as_posix() for path in paths)) else None


def shown_commit(found: str | None, workspace: Workspace) -> str:
    """The commit for people, or why there is none."""
    return found or ("none: uncommitted changes" if workspace.repository else "none: outside Git")
