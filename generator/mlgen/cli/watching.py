"""Files that a command looked at, and when they change."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from mlgen.worktree import Worktree
from mlgen.worktree.names import SKIPPED

PAUSE_SECONDS = 0.25  # between two looks
MOST_FILES = 50_000  # of a folder that are looked at

# What a path was: of a file what changes with it, of a folder its names; None: it was not there.
State = tuple[object, ...] | None


class Seen(Worktree):
    """A work tree that remembers what was asked of it, each thing as it was just before.

    folders: those of which all that is in them was asked for.
    """

    def __init__(self, below: Worktree) -> None:
        super().__init__(below.root, boundary=below.boundary, tracked=below._tracked)
        self.states: dict[str, State] = {}
        self.folders: set[str] = set()

    def kind(self, path: str) -> str | None:
        self._look(path)
        return super().kind(path)

    def exists(self, path: str) -> bool:
        self._look(path)
        return super().exists(path)

    def beside(self, path: str) -> list[str]:
        self._look(os.path.dirname(path) or ".")
        return super().beside(path)

    def sha256(self, path: str) -> str:
        self._look_within(path)
        return super().sha256(path)

    def listing(self, folder: str) -> Mapping[str, str]:
        self._look_within(folder)
        return super().listing(folder)

    def _look(self, path: str) -> None:
        if path not in self.states:
            self.states[path] = _state(self.root / path)

    def _look_within(self, folder: str) -> None:
        if folder not in self.folders:
            self.folders.add(folder)
            for path in _within(self.root / folder):
                self._look(str(path))

    def now(self) -> dict[str, State]:
        """What all of it is now, with what was made since in its folders."""
        found = {path: _state(self.root / path) for path in self.states}
        for folder in self.folders:
            found.update((str(path), _state(path)) for path in _within(self.root / folder) if str(path) not in found)
        return found


def _state(path: Path) -> State:
    try:
        told = os.stat(path)
        if os.path.isdir(path):
            # Not its time: that changes with each file that an editor makes beside another for a moment.
            return tuple(sorted(name for name in os.listdir(path) if not _is_passing(name)))
    except (OSError, ValueError):
        return None
    return told.st_mode, told.st_ino, told.st_size, told.st_mtime_ns


def _is_passing(name: str) -> bool:
    """Whether a file is an editor's own: a swap file, a backup, vim's test of whether it may write ("4913")."""
    return name.startswith((".", "#")) or name.endswith(("~", ".swp", ".tmp")) or name == "4913" or name in SKIPPED


def _within(folder: Path) -> Iterator[Path]:
    """A folder, the folders and the files in it."""
    yield folder
    count = 0
    for parent, folders, files in os.walk(folder):
        folders[:] = sorted(name for name in folders if not _is_passing(name))
        for name in [*folders, *(name for name in files if not _is_passing(name))]:
            count += 1
            if count > MOST_FILES:
                return
            yield Path(parent, name)


def wait(seen: Seen, sleep: Callable[[float], None] = time.sleep) -> list[str]:
    """Wait until something is not as it was, and then until nothing changes for a moment; the changed paths, sorted.

    Editors write a file beside it and rename, Git and formatters change many files in turn: one round for all of it.
    Polled: it works on network shares and in containers, where a kernel tells nothing, and needs no package.
    """
    now = seen.now()
    while now == seen.states:
        sleep(PAUSE_SECONDS)
        now = seen.now()
    while True:
        sleep(PAUSE_SECONDS)
        later = seen.now()
        if later == now:
            break
        now = later
    paths = (path for path in now if seen.states.get(path) != now[path])
    # Of a folder and a file in it, the file.
    files = {os.path.relpath(seen.root / path, seen.root) for path in paths}
    return sorted(path for path in files if not any(other.startswith(f"{path}/") for other in files)) or sorted(files)
