"""Files that Git LFS keeps beside the repository: a commit has only a pointer, with the digest of the content.

Source: the Git LFS specification, docs/spec.md: "The Pointer" and "Local storage" (`lfs/objects/OI/DO/OID`).
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
from pathlib import Path

from mlgen import git
from mlgen.diagnostic import CannotAnswer

_POINTER = re.compile(
    rb"version https://git-lfs\.github\.com/spec/v1\n(?:ext-[^\n]*\n)*oid sha256:([0-9a-f]{64})\nsize [0-9]+\n"
)


def pointer(found: git.Measured) -> str | None:
    """The sha256 of the content, 64 hex digits, that a blob points to; None for a blob that is a file itself."""
    match = _POINTER.fullmatch(found.head) if found.size_bytes == len(found.head) else None
    return match[1].decode() if match else None


def copy(repository: git.Repository, oid: str, path: str, commit: str, target: Path) -> None:
    """Lay the content of a pointer into a file. Raises CannotAnswer "lfs-missing"."""
    common = repository.run("rev-parse", "--path-format=absolute", "--git-common-dir").decode(errors="surrogateescape")
    source = Path(common.rstrip("\n"), "lfs", "objects", oid[:2], oid[2:4], oid)
    try:
        with (
            open(os.open(source, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK), "rb") as kept,
            target.open("wb") as file,
        ):
            shutil.copyfileobj(kept, file)
        with target.open("rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        found = None
    if found != oid:
        raise CannotAnswer(
            "lfs-missing",
            f"{path} at {commit[:12]} is kept by Git LFS, and its content is not here",
            why="the commit has only the digest of the content",
            fix=f"git lfs fetch origin {commit}",
        )
