"""The folder of a project: its repository, and its files as they are now or as a commit has them."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from mlgen import git
from mlgen.cli.projects import revisions
from mlgen.cli.projects.named import PIPELINES
from mlgen.diagnostic import CannotAnswer, Diagnostic, Misuse, Span
from mlgen.worktree import Snapshot, Tree, Worktree

OWN, PROJECT_FILE = ".mlgen", "mlgen.yaml"


@dataclass
class Folder:
    """commit: the id of the one that files are read from; None: they are read as they lie there."""

    root: Path
    commit: str | None = None
    _around: Folder | None = None  # the one that this is of another commit of, so that git is asked once
    _shows_only: bool = False

    def own(self, path: str) -> Path:
        """A folder below the project's that mlgen writes to. Raises Misuse where a link leads out of the repository.

        A repository's author could otherwise have files made anywhere on the machine of who runs it.
        """
        here = self.root / path
        if os.path.realpath(here) != str(here) and self.worktree.kind(path) == "escape":  # kind may ask Git: seldom
            why = "mlgen writes through no link out of the repository"
            raise Misuse(
                "link-out", f"{path} is, or lies behind, a link that leads out", why=why, fix="remove the link"
            )
        return here

    @cached_property
    def repository(self) -> git.Repository | None:
        """The Git repository around the project. Its files are listed by Git; without it, all are taken.

        It has a work tree only where that is the nearest folder with a `.git`: a repository's config may claim, with
        core.worktree, any other folder, or the whole machine.
        """
        if self._around is not None:
            return self._around.repository
        found = git.discover(self.root)
        around = next((f for f in (self.root, *self.root.parents) if os.path.lexists(f / ".git")), None)
        if found is not None and found.work_tree is not None and found.work_tree.resolve() != around:
            return replace(found, work_tree=None)
        return found

    @cached_property
    def files(self) -> Tree:
        if self.commit is None:
            return self.worktree
        assert self.repository is not None, "a commit was found in it"
        return Snapshot(self.repository, self.commit, revisions.below(self.repository, self.root))

    @cached_property
    def worktree(self) -> Worktree:
        """The files as they lie there now, whatever this workspace reads."""
        repository = self.repository
        if repository is None or repository.work_tree is None:
            return Worktree(self.root)
        return Worktree(self.root, boundary=repository.work_tree, tracked=self._tracked)

    def _tracked(self, folder: str) -> list[str]:
        assert self.repository is not None
        return self.repository.list_files(self.root / folder)

    def optional(self, path: str) -> tuple[list[Diagnostic], bool]:
        """Whether a file is there that a project may lack; with the finding of what else lies in its place."""
        is_file = self.files.kind(path) == "file"
        return [no_file(path)] if not is_file and self.files.exists(path) else [], is_file

    def data(self, path: str) -> bytes:
        """What a file holds. Raises CannotAnswer "unreadable"."""
        try:
            return self.files.read(path)
        except ValueError as error:
            raise CannotAnswer("unreadable", str(error), fix="replace the link by the file") from None
        except OSError as error:
            raise CannotAnswer("unreadable", f"{path}: {error.strerror}", fix="make the file readable") from None


def no_file(path: str) -> Diagnostic:
    """What lies in a file's place, and is none of the repository."""
    why, fix = "specs are files of the repository: a link may lead anywhere", "put the file itself there"
    return Diagnostic("path-escape", f'"{path}" is no file of the repository', Span(path, 1, 1, 1, 2), why, fix)


def root_around(start: Path) -> Path:
    """The project's folder around another: the nearest one upwards with mlgen.yaml.

    Without one: the Git repository, else the folder that holds `pipelines/`.
    """
    # As the path is given: a link among its folders is a part of the project, and judged as one.
    start = Path(os.path.abspath(start))
    folders = [start, *start.parents]
    root = next((f for f in folders if os.path.lexists(f / PROJECT_FILE)), None)
    root = root or next((f for f in folders if os.path.exists(f / ".git")), None)
    return (root or (start.parent if start.name == PIPELINES else start)).resolve()
