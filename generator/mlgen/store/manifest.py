"""The list of a folder artifact's files, which lies beside them in a bucket: written by us, read as anybody's."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from mlgen import canonical
from mlgen.store.base import check_key
from mlgen.store.content import File
from mlgen.store.errors import BadArtifact

MAX_BYTES = (
    1 << 25
)  # some 200,000 files: reading it takes six times as much, of the 256 MiB that a container of ours has
MAX_NAME_BYTES = 255  # of a file, on the file systems of Linux
_FILE_BYTES = len('{"path":"","sha256":"","sizeBytes":},') + 64  # of a file in the list, beside its path and size
_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class Listed:
    """A file of a folder in a bucket. sha256: None where others uploaded it."""

    path: str
    size_bytes: int
    sha256: str | None = None


def check_writable(names: Iterable[str], where: str) -> None:
    """Raises BadArtifact for a folder of more files than its list could name, before any of them goes up."""
    size_bytes = sum(len(name.encode()) + _FILE_BYTES + 12 for name in names)
    if size_bytes > MAX_BYTES:
        raise BadArtifact(f"{where} has too many files: a list of them would be {size_bytes:,} bytes; pack them (tar)")


def write(files: Iterable[File]) -> bytes:
    """The list's bytes."""
    listing = [{"path": f.path, "sha256": f.sha256, "sizeBytes": f.size_bytes} for f in files]
    return canonical.encode({"version": 1, "files": listing})


def read(data: bytes, where: str) -> list[Listed]:
    """The files of a list, which may hold anything. Raises BadArtifact for one that mlgen cannot have written."""
    try:
        files = json.loads(data, object_hook=_file)["files"]
        if not isinstance(files, list) or not all(isinstance(one, Listed) for one in files):
            raise ValueError("not a list of files")
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise BadArtifact(f"the list of files of {where} is not one that mlgen wrote: {_said(error)}") from None
    return check_paths(files, where)


def check_paths(files: list[Listed], where: str) -> list[Listed]:
    """The files themselves. Raises BadArtifact where a file system could not have them side by side."""
    for one in files:
        if any(len(part.encode()) > MAX_NAME_BYTES for part in one.path.split("/")):
            raise BadArtifact(f"{where} has a file whose name is longer than {MAX_NAME_BYTES} bytes: {one.path[:80]}…")
    # With 0 for the slash a folder comes right before what is in it; else "a.b" would stand between "a" and "a/b".
    paths = sorted(one.path.replace("/", "\0") for one in files)
    for first, second in pairwise(paths):
        if second == first or second.startswith(f"{first}\0"):
            what = "twice" if second == first else "as a file and as a folder"
            raise BadArtifact(f"{where} has {first.replace(chr(0), '/')[:200]} {what}")
    return files


def _file(found: dict[str, Any]) -> dict[str, Any] | Listed:
    """A file in the place of its object, as soon as that is read: all objects at once would take thrice as much."""
    if "path" not in found:
        return found
    path, size_bytes, sha256 = found["path"], found["sizeBytes"], found["sha256"]
    if not isinstance(path, str):
        raise TypeError(path)
    if type(size_bytes) is not int or size_bytes < 0:  # True is an int as well
        raise ValueError("a size is no number of bytes")
    if not isinstance(sha256, str) or not _SHA256.fullmatch(sha256):
        raise ValueError("a digest is none")
    return Listed(check_key(path), size_bytes, sha256)


def _said(error: Exception) -> str:
    match error:
        case RecursionError():
            return "it is nested too deep"
        case KeyError() | TypeError():
            return "it lacks what each file has"
        case json.JSONDecodeError():
            return "it is no JSON"
    return str(error)
