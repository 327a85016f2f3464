"""The paths that two commits, or a commit and the work tree, may have otherwise: by ids and times, no file is read."""

from __future__ import annotations

from mlgen.git.repository import Repository


def changed(repository: Repository, old: str, new: str | None) -> frozenset[str]:
    """Paths below the repository's top that are not surely the same; old, new: ids of commits, None: the work tree.

    Of the work tree also untracked files that Git does not ignore, and files that only look changed: nobody reads them
    here, so no filter of the repository's runs. Raises GitError.
    Source: git-diff-index(1) and git-diff-tree(1), --name-only; git-ls-files(1).
    """
    shown = ("-z", "--name-only", "--no-renames", "--no-ext-diff", "--ignore-submodules=dirty")
    if new is not None:
        return frozenset(repository.told(["diff-tree", "-r", *shown, old, new]))
    tracked = repository.told(["diff-index", *shown, old, "--"])
    others = repository.told(["ls-files", "-z", "--others", "--exclude-standard"])
    return frozenset([*tracked, *others])
