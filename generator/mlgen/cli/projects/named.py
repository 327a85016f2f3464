"""The files that a command line names."""

from __future__ import annotations

import os
import posixpath
from collections.abc import Iterable
from pathlib import Path

from mlgen.diagnostic import Misuse
from mlgen.spec.checks.nearby import nearest
from mlgen.worktree import Tree

PIPELINES = "pipelines"


def below(root: Path, files: Tree, file: Path) -> str:
    """A file's path below the project's folder, where `files` has it. Raises Misuse."""
    path = Path(os.path.abspath(file))
    if not path.is_relative_to(root):
        path = path.parent.resolve() / path.name
    inside = path.is_relative_to(root)
    # os.path: what is too long for a path is not there, and no error.
    if files.kind(path.relative_to(root).as_posix()) == "folder" if inside else os.path.isdir(path):
        raise Misuse("not-a-file", f"{file} is a folder", fix="name the specs in it, or none for all of pipelines/")
    if not (files.exists(path.relative_to(root).as_posix()) if inside else os.path.exists(path)):
        raise Misuse("no-such-file", f"there is no file {file}", fix=_meant(root, files, path))
    if not inside:
        raise Misuse(
            "other-project", f"{file} is not in the project {root}", fix="use -C DIR, and files of one project"
        )
    relative = path.relative_to(root).as_posix()
    if files.kind(relative) != "file":
        raise Misuse("not-a-file", f"{file} is no file of this repository", fix="a link may not lead out of it")
    return relative


def having(root: Path, files: Tree, given: Iterable[Path]) -> list[str]:
    """Those files of a command line that `files` has, by their paths below the project's folder."""
    paths = (Path(os.path.abspath(file)) for file in given)
    below = [path.relative_to(root).as_posix() for path in paths if path.is_relative_to(root)]
    return [path for path in dict.fromkeys(below) if files.kind(path) == "file"]


def _meant(root: Path, files: Tree, path: Path) -> str:
    """How to mend a command line that names a file which is not there."""
    given = posixpath.normpath(Path(os.path.relpath(path, root)).as_posix())
    stem = posixpath.basename(given).removesuffix(".yaml")
    for wanted in (f"{PIPELINES}/{stem}.yaml", given):
        if found := nearest(wanted, files, "file"):
            return f"name {os.path.relpath(root / found)}"
    return "specs lie in pipelines/, named after their pipeline"
