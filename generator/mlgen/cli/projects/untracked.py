"""What was rendered and Git does not have: `git commit -a` leaves it out, and Argo CD syncs what is committed."""

from __future__ import annotations

import os
import shlex
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from mlgen import git
from mlgen.cli.projects.workspace import Workspace
from mlgen.diagnostic import CannotAnswer
from mlgen.git.changed import untracked
from mlgen.render.names import FOLDERS


@dataclass(frozen=True, slots=True)
class Untracked:
    """paths: below the output folder, sorted. command: what adds them, from where the user is; "" of none."""

    paths: tuple[str, ...] = ()
    command: str = ""

    @property
    def words(self) -> str:
        """12 files are not in Git yet"""
        count = len(self.paths)
        return f"{count} file{' is' if count == 1 else 's are'} not in Git yet"


def untracked_in(workspace: Workspace, root: Path, rendered: Collection[str] | None = None) -> Untracked:
    """What Git has not got of the files below an output folder, in one look.

    rendered: their paths below it; None: all that lie where `mlgen render` writes. Nothing outside of Git, and nothing
    of a folder that Git ignores as a whole: then somebody keeps it elsewhere. Raises CannotAnswer "git-refused".
    """
    repository = workspace.repository
    top = repository.work_tree.resolve() if repository is not None and repository.work_tree is not None else None
    here = root.resolve()
    if repository is None or top is None or here == top or not here.is_relative_to(top):
        return Untracked()
    folder = here.relative_to(top).as_posix()
    try:
        every, ignored = untracked(repository, folder)
        if rendered is None:
            paths = [path for path in every if _is_place(path)]
        else:
            paths = [path for path in every if path in rendered]
        is_ignored = bool(ignored.intersection(paths))
        if not paths or (ignored >= set(every) and not repository.tracked([here])):
            return Untracked()
    except git.GitError as error:
        raise CannotAnswer("git-refused", "git cannot say which files it has", why=str(error)) from None
    # From a folder inside the output folder it is a path that leads up.
    words = ["git", "add", *(["--force"] if is_ignored else []), os.path.relpath(here, Path.cwd().resolve())]
    return Untracked(tuple(sorted(paths)), shlex.join(words))


def _is_place(path: str) -> bool:
    """Whether a file lies as those that are rendered: prod/manifests/x.yaml"""
    parts = path.split("/")
    return len(parts) == 3 and parts[1] in FOLDERS and path.endswith(".yaml")
