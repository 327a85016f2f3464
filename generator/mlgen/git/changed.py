"""The paths that two commits, or a commit and the work tree, may have otherwise: by ids and times, no file is read."""

from __future__ import annotations

from mlgen.git.repository import Repository

_FILE = "100"  # how the mode of a regular file begins


def changed(repository: Repository, old: str, new: str | None, folder: str) -> dict[str, str | None]:
    """Paths below a folder of the repository that are not surely the same.

    old, new: ids of commits, None: the work tree. folder: posix, below the repository's top, "" for all of it; others
    are not looked into. With a path goes the id that its bytes have if it only looks changed, as after a copy of the
    whole repository; None: it surely is. Untracked files that Git does not ignore are among them. No filter of the
    repository's runs. Raises GitError.
    Source: git-diff-index(1) and git-diff-tree(1), the raw output format; git-ls-files(1).
    """
    shown = ("-z", "--raw", "--no-abbrev", "--no-renames", "--no-ext-diff", "--ignore-submodules=dirty")
    head = f"{folder}/" if folder else ""
    where = [head] if head else []
    if new is not None:
        parts = repository.told(["diff-tree", "-r", *shown, old, new, "--", *where])
    else:
        parts = repository.told(["diff-index", *shown, old, "--", *where])
    found: dict[str, str | None] = {}
    for about, path in zip(parts, parts, strict=True):  # ":100644 100644 <old id> <new id> M"
        old_mode, mode, oid, now, _ = about.removeprefix(":").split(" ")
        is_doubt = not now.strip("0") and old_mode.startswith(_FILE) and mode.startswith(_FILE)
        found[path.removeprefix(head)] = oid if is_doubt else None
    if new is None:
        others = repository.told(["ls-files", "-z", "--others", "--exclude-standard", "--", *where])
        found |= dict.fromkeys(path.removeprefix(head) for path in others)
    return found


def untracked(repository: Repository, folder: str) -> tuple[list[str], set[str]]:
    """The files below a folder that the index has not got, and those among them that Git ignores.

    folder: as of `changed`, not all. Paths below it. Raises GitError. Source: git-ls-files(1).
    """
    head = f"{folder}/"
    options: tuple[list[str], ...] = ([], ["--exclude-standard"])
    every, plain = (
        [path.removeprefix(head) for path in repository.told(["ls-files", "-z", "--others", *some, "--", head])]
        for some in options
    )
    return every, set(every).difference(plain)
