"""Files that Git gives other bytes here than it keeps: what people review is then not what is rendered."""

from __future__ import annotations

import os
from collections.abc import Iterable

from mlgen import git
from mlgen.cli.projects.folder import Folder
from mlgen.diagnostic import Diagnostic, Span
from mlgen.git.attributes import ENCODING, Conversion, conversions
from mlgen.plan.model import Plan


def converted(folder: Folder, texts: Iterable[str], plans: Iterable[Plan]) -> list[Diagnostic]:
    """The findings of files that mlgen reads as text, and of the code of plans. Of a commit's files there are none."""
    repository = folder.repository
    if folder.commit is not None or repository is None or repository.work_tree is None:
        return []
    code = {name for plan in plans for name in _code(folder, plan)}
    names = _below(folder, repository, {*texts, *code})
    found = []
    for one in conversions(repository, names):
        # Of code an encoding alone, which makes a `$` of any byte; a filter is a program that its reader has set up.
        for name in names[one.path]:
            if one.attribute == ENCODING or name not in code:
                found.append(_finding(name, one))
    return sorted(found, key=lambda one: one.span)


def _code(folder: Folder, plan: Plan) -> Iterable[str]:
    for task in plan.all_tasks:
        for path in task.code.folders if task.code is not None else ():
            yield from (f"{path}/{name}" for name in folder.files.listing(path))


def _below(folder: Folder, repository: git.Repository, names: Iterable[str]) -> dict[str, list[str]]:
    """Path of a file, links followed, below the repository's top -> its names below the project's folder."""
    assert repository.work_tree is not None
    top, found = repository.work_tree.resolve(), dict[str, list[str]]()
    for name in sorted(names):
        real = os.path.realpath(folder.root / name)
        if real.startswith(f"{top}/"):
            found.setdefault(os.path.relpath(real, top), []).append(name)
    return found


def _finding(name: str, one: Conversion) -> Diagnostic:
    value = one.attribute if one.value == "set" else f"{one.attribute}={one.value}"
    return Diagnostic(
        "changed-by-git",
        f"Git lays {name} down with other bytes than it keeps: it has the attribute {value}",
        Span(name, 1, 1, 1, 2),
        "a review shows what Git keeps, and what lies here is what is rendered",
        f"take {one.attribute} from it in .gitattributes, and check it out anew",
    )
