"""The paths that two commits, or a commit and the work tree, may have otherwise: by ids and times, no file is read."""

from __future__ import annotations

from mlgen.git.command import GitError
from mlgen.git.repository import Repository

_FILE = "100"  # how the mode of a regular file begins


_CONVERTING = ("text", "eol", "ident", "filter", "working-tree-encoding")
_NONE = {"unspecified", "unset"}


def changed(repository: Repository, old: str, new: str | None, folder: str, *, but: str = "") -> dict[str, str | None]:
    """Paths below a folder of the repository that are not surely the same.

    old, new: ids of commits, None: the work tree. folder: posix, below the repository's top, "" for all of it; others
    are not looked into. With a path goes the id that its bytes have if it only looks changed, as after a copy of the
    whole repository; None: it surely is. Untracked files that Git does not ignore are among them. No filter of the
    repository's runs. In a work tree Git may call a file unchanged that has other bytes than its blob: those, too, are
    told with the id. but: a folder below that folder of which this is not asked. Raises GitError.
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
        doubtful = _converted(repository, head, f"{head}{but}/" if but else "")
        for path, oid in doubtful.items():
            found.setdefault(path.removeprefix(head), oid)
    return found


def _converted(repository: Repository, head: str, but: str) -> dict[str, str]:
    """Tracked files that Git may take for unchanged with other bytes than their blobs': path -> id in the index.

    By an attribute, which whoever writes a .gitattributes may set, or by the user's line ends, Git writes other bytes
    at checkout; a flag of the index keeps it from looking. Source: gitattributes(5); git-ls-files(1), -v.
    """
    ids, flagged = dict[str, str](), set[str]()
    for line in repository.told(["ls-files", "-z", "-s", "-v", "--", *([head] if head else [])]):
        about, _, path = line.partition("\t")  # "H 100644 <id> 0"
        tag, mode, oid, _ = about.split(" ")
        if mode.startswith(_FILE) and not (but and path.startswith(but)):
            ids[path] = oid
            if tag.islower() or tag == "S":  # assumed unchanged, or skipped
                flagged.add(path)
    if _has_line_ends(repository):
        return ids
    names = "".join(f"{path}\0" for path in ids).encode(errors="surrogateescape")
    told = repository.run("check-attr", "-z", "--stdin", *_CONVERTING, data=names) if ids else b""
    parts = iter(told.decode(errors="surrogateescape").split("\0")[:-1])
    flagged |= {path for path, _, value in zip(parts, parts, parts, strict=True) if value not in _NONE}
    return {path: ids[path] for path in sorted(flagged)}


def _has_line_ends(repository: Repository) -> bool:
    """Whether the user's settings change the ends of lines of any file."""
    try:
        found = repository.run("config", "--null", "--get-regexp", r"^core\.(autocrlf|eol)$")
    except GitError:  # neither is set
        return False
    values = [entry.partition("\n")[2] for entry in found.decode(errors="replace").split("\0")[:-1]]
    return not {value.lower() for value in values} <= {"false", "no", "off", "0", "lf", "native"}


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
