"""Rendered bytes → files: each appears whole, and only ours are ever touched."""

from __future__ import annotations

import errno
import fcntl
import os
import re
import stat
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from difflib import unified_diff
from itertools import islice
from pathlib import Path

from mlgen.diagnostic import Misuse, visible
from mlgen.plan.model import Plan
from mlgen.render.cronjob import PROJECT_FILE
from mlgen.render.manifests import MADE_BY
from mlgen.render.names import FOLDERS
from mlgen.spec.project import Environment

Files = Mapping[str, bytes]  # posix path below the output folder -> content

_OURS = re.compile(rf"# {MADE_BY}(?P<source>.*) for the environment [a-z0-9-]+; do not edit:\n".encode())
_HEAD_BYTES = 8192  # more than the first line of a file of ours can have
_TEMPORARY = ".mlgen-render.tmp"
_DIFF_LINES = 12

MISSING, DIFFERENT, STALE, FOREIGN, STRAY = "missing", "different", "stale", "not ours", "stray"
_SYNCED = "manifests"  # the folder of an environment in which each file reaches the cluster
_STRAY = "no spec renders to it, and all that lies here is applied: move it away"


@dataclass(frozen=True, slots=True)
class Scope:
    """Which files of ours a rendering answers for: those of `environments`, of `sources` (None: of every spec)."""

    environments: tuple[str, ...]
    sources: frozenset[str] | None = None


@dataclass(frozen=True, slots=True)
class Changes:
    """What `write` did. Paths below the output folder, sorted."""

    written: tuple[str, ...]
    removed: tuple[str, ...]
    unchanged: int


@dataclass(frozen=True, slots=True)
class Difference:
    """A file that is not as a fresh rendering has it.

    kind: missing; different, with the first lines of the diff; stale, ours but rendered no more; not ours, in the place
    of one that is; or stray, beside those that are synced, and why that is one (`diff`).
    """

    path: str
    kind: str
    diff: str = ""


def scope_of(
    plans: Sequence[Plan], environments: Sequence[Environment], *, whole: bool, gone: Iterable[str] = ()
) -> Scope:
    """whole: the plans are all there are, so that a file of ours from any other spec is stale. mlgen.yaml always is.

    gone: environments that are no more, of which every file of ours is.
    """
    sources = None if whole else frozenset({PROJECT_FILE, *(visible(plan.source) for plan in plans)})
    return Scope((*(environment.name for environment in environments), *gone), sources)


def environments_in(root: Path) -> list[str]:
    """The names of the folders below the output folder that hold files of ours, sorted: of environments, once."""
    try:
        with _top(root) as top, os.scandir(top) as entries:
            names = sorted(entry.name for entry in entries if entry.is_dir(follow_symlinks=False))
            return [name for name in names if any(_has_ours(top, f"{name}/{folder}") for folder in FOLDERS)]
    except FileNotFoundError:
        return []


def _has_ours(top: int, folder: str) -> bool:
    try:
        with _folder(top, folder) as here:
            names = [name for name in os.listdir(here) if name.endswith(".yaml")]
            return any(_OURS.match(_read(here, name, _HEAD_BYTES) or b"") for name in names)
    except (FileNotFoundError, Misuse):  # Misuse: a link or a file, so nothing of ours
        return False


def write(root: Path, files: Files, scope: Scope) -> Changes:
    """Make the output folder say what `files` say, and remove files of ours in `scope` that are no more.

    Each file is replaced at once: after a crash, or on a full disk (OSError), every file is whole, old or new, and
    the next call mends the rest. No link inside `root` is followed. Raises Misuse, before anything is written,
    for what lies in the way: a link, a folder, a file that is not ours.
    """
    root.mkdir(parents=True, exist_ok=True)
    with _top(root) as top:
        fcntl.flock(top, fcntl.LOCK_EX)  # two renderings at once would share the name of the temporary file
        _clean(top, scope)
        found = _survey(top, files, scope)
        for one in found:
            if one.kind == FOREIGN:
                raise _in_the_way(one.path)
        changed = [one.path for one in found if one.kind != STALE]
        stale = [one.path for one in found if one.kind == STALE]
        for folder, names in _by_folder(changed).items():
            with _folder(top, folder, create=True) as here:
                for name in names:
                    _replace(here, name, files[f"{folder}/{name}"])
        for folder, names in _by_folder(stale).items():
            with _folder(top, folder) as here:
                for name in names:
                    os.unlink(name, dir_fd=here)
    return Changes(tuple(changed), tuple(stale), len(files) - len(changed))


def compare(root: Path, files: Files, scope: Scope) -> list[Difference]:
    """What is not as a fresh rendering has it, sorted by path. Reads only."""
    if not root.is_dir():
        return [Difference(path, MISSING) for path in sorted(files)]
    with _top(root) as top:
        found = [*_survey(top, files, scope), *_strays(top, files)]
    return sorted(found, key=lambda difference: difference.path)


def to_stdout(files: Files, folder: str) -> bytes:
    """All files as one YAML stream, in path order, each with the path that it would be written to."""
    return b"".join(f"---\n# {folder}/{path}\n".encode() + files[path] for path in sorted(files))


def _folders(scope: Scope) -> set[str]:
    return {f"{environment}/{folder}" for environment in scope.environments for folder in FOLDERS}


def _clean(top: int, scope: Scope) -> None:
    """Take away what a killed rendering left."""
    for folder in _folders(scope):
        with suppress(FileNotFoundError), _folder(top, folder) as here:
            os.stat(_TEMPORARY, dir_fd=here, follow_symlinks=False)  # to unlink what is not there fails if read-only
            os.unlink(_TEMPORARY, dir_fd=here)


def _survey(top: int, files: Files, scope: Scope) -> list[Difference]:
    wanted = _by_folder(files)
    found: list[Difference] = []
    for folder in sorted(_folders(scope) | wanted.keys()):
        there: set[str] = set()
        try:
            with _folder(top, folder) as here:
                there.update(os.listdir(here))
                found += _survey_folder(here, folder, there, files, scope)
        except FileNotFoundError:
            pass  # the first rendering of an environment
        found += [Difference(f"{folder}/{name}", MISSING) for name in wanted.get(folder, ()) if name not in there]
    return sorted(found, key=lambda difference: difference.path)


def _strays(top: int, files: Files) -> Iterator[Difference]:
    """What mlgen did not make, where a review takes all for rendered: whatever is there, Argo CD reads it."""
    for folder in [folder for folder in _by_folder(files) if folder.endswith(f"/{_SYNCED}")]:
        with suppress(FileNotFoundError), _folder(top, folder) as here:
            for name in sorted(os.listdir(here)):
                if f"{folder}/{name}" in files or name == _TEMPORARY:
                    continue
                # Under any other name, such as kustomization or x.json, none was ever ours, whatever its first line.
                if not (name.endswith(".yaml") and _OURS.match(_read(here, name, _HEAD_BYTES) or b"")):
                    yield Difference(f"{folder}/{name}", STRAY, _STRAY)


def _survey_folder(here: int, folder: str, names: Iterable[str], files: Files, scope: Scope) -> Iterator[Difference]:
    for name in names:
        path = f"{folder}/{name}"
        if path in files:
            yield from _expected(path, _read(here, name), files[path])
        elif name.endswith(".yaml") and _is_stale(_read(here, name, _HEAD_BYTES), scope):
            yield Difference(path, STALE)


def _expected(path: str, data: bytes | None, wanted: bytes) -> list[Difference]:
    if data == wanted:
        return []
    if data is None or (data and not _OURS.match(data)):  # an empty file has nothing to lose
        return [Difference(path, FOREIGN)]
    return [Difference(path, DIFFERENT, _diff(data, wanted))]


def _is_stale(data: bytes | None, scope: Scope) -> bool:
    ours = _OURS.match(data) if data else None
    if ours is None:
        return False
    return scope.sources is None or ours["source"].decode(errors="replace") in scope.sources


def _diff(old: bytes, new: bytes) -> str:
    before, after = (data.decode(errors="replace").splitlines() for data in (old, new))
    lines = list(islice(unified_diff(before, after, n=0, lineterm=""), 2, _DIFF_LINES + 3))
    return "\n".join(lines[:_DIFF_LINES] + ["…"] * (len(lines) > _DIFF_LINES))


def _by_folder(paths: Iterable[str]) -> dict[str, list[str]]:
    """Folder -> the names in it."""
    found: dict[str, list[str]] = {}
    for path in paths:
        folder, _, name = path.rpartition("/")
        found.setdefault(folder, []).append(name)
    return found


@contextmanager
def _top(root: Path) -> Iterator[int]:
    descriptor = os.open(root, os.O_RDONLY | os.O_DIRECTORY)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


@contextmanager
def _folder(top: int, folder: str, *, create: bool = False) -> Iterator[int]:
    """A folder below the top, opened part by part so that no link leads out. Raises FileNotFoundError."""
    here = os.dup(top)
    try:
        for part in folder.split("/"):
            if create:
                with suppress(FileExistsError):
                    os.mkdir(part, dir_fd=here)
            try:
                below = os.open(part, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=here)
            except OSError as error:
                if error.errno in (errno.ELOOP, errno.ENOTDIR):
                    raise _in_the_way(folder) from None
                raise
            os.close(here)
            here = below
        yield here
    finally:
        os.close(here)


def _read(here: int, name: str, limit: int = -1) -> bytes | None:
    """A file's bytes, or the first of them; None for a link, a folder, a device."""
    try:
        # O_NONBLOCK: opening a FIFO would wait for a writer.
        descriptor = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=here)
    except OSError as error:
        if error.errno == errno.ELOOP:
            return None
        raise
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        return None
    with open(descriptor, "rb") as stream:
        return stream.read(limit)


def _replace(here: int, name: str, data: bytes) -> None:
    try:
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW
        with open(os.open(_TEMPORARY, flags, 0o666, dir_fd=here), "wb") as stream:
            stream.write(data)
        os.replace(_TEMPORARY, name, src_dir_fd=here, dst_dir_fd=here)
    except OSError:
        with suppress(OSError):
            os.unlink(_TEMPORARY, dir_fd=here)
        raise


def _in_the_way(path: str) -> Misuse:
    return Misuse(
        "in-the-way",
        f"{path} in the output folder is a link or was not made by mlgen",
        why="mlgen follows no link out of the output folder, and overwrites only its own files",
        fix="move it away, or render into another folder with --out",
    )
