"""The author's code as a run found it: kept once for the run, laid into the working directory of each attempt."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Mapping
from pathlib import Path

from mlgen.canonical import folder_digest
from mlgen.diagnostic import CannotAnswer
from mlgen.plan.model import Code
from mlgen.store import measure

CHUNK = 1 << 20


def keep(code: Code, files: Mapping[str, Path], folder: Path) -> None:
    """Copy code to where no edit during the run reaches it. files: posix path -> where it lies.

    Raises CannotAnswer when the bytes are not those that the plan was made from.
    """
    folder.mkdir(parents=True)  # also for a folder without files
    digests = {}
    for name, path in files.items():
        target = folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        digests[name] = _copy(path, target)
    if folder_digest(digests) != code.digest:
        raise CannotAnswer(
            "code-changed",
            f"the files of {', '.join(code.folders)} changed while the run was being prepared",
            why="a record says by digest which code ran, so a run has one state of it",
            fix="run it again",
        )


def listing(kept: Path) -> dict[str, str]:
    """The files of kept code: posix path -> 64 hex of sha256."""
    files = (path for path in sorted(kept.rglob("*")) if path.is_file())
    return {path.relative_to(kept).as_posix(): measure(path).digest.removeprefix("sha256:") for path in files}


def lay(kept: Path, work: Path) -> None:
    """Lay kept code into a working directory."""
    # Not shutil.copytree(): its error has no errno, by which a full disk is known.
    for source in sorted(kept.rglob("*")):
        target = work / source.relative_to(kept)
        if source.is_dir():
            target.mkdir()
        else:
            shutil.copyfile(source, target)


def _copy(source: Path, target: Path) -> str:
    digest = hashlib.sha256()
    with source.open("rb") as reader, target.open("xb") as writer:
        while chunk := reader.read(CHUNK):
            digest.update(chunk)
            writer.write(chunk)
    return digest.hexdigest()
