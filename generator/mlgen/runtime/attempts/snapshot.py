"""A folder into which a program may write meanwhile, as it was at one moment, or not at all.

The folder is listed, what must be read is opened, and the folder is listed again. Where both lists are equal, to the
nanosecond in which each file was last touched, nothing was written in between, so that what is open is what the folder
held at each moment in between. What is open stays what it is when its name is given to another file: whoever writes a
file beside, and renames it into place, is read whole however long the reading takes. Who writes in place is found out
by size and time after the reading.

Names that begin with `.` or end in `.tmp` are not the folder's content: there a program writes what is not ready.
"""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from mlgen.store import BadArtifact, BadKey, Missing, hold
from mlgen.store.base import MAX_KEY_BYTES, check_key
from mlgen.store.beneath import Held

MAX_FILES = 10_000
SHOWN = 80  # characters of a path, in what is said of it
MOST_HELD = 64  # files that are held open: the largest; the others are read in no time
# Two writes within a tick of the kernel's clock leave one time behind (inode(7)); ticks are 10 ms at most.
QUIET_NS = 30_000_000


class Torn(Exception):
    """The folder changes while it is read."""


@dataclass(frozen=True, slots=True)
class Trait:
    """What tells a file from another and from itself when it was written to again. path: posix, below the folder."""

    path: str
    inode: int
    size_bytes: int
    modified_ns: int
    changed_ns: int  # also by a rename and by another name

    def is_written(self, now: os.stat_result) -> bool:
        """Whether the open file was written to since."""
        return (now.st_size, now.st_mtime_ns) != (self.size_bytes, self.modified_ns)


def traits(folder: Path, beneath: Path) -> tuple[Trait, ...]:
    """The files of a folder, sorted by path; none where there is no folder.

    beneath: a folder above it that nobody else writes to: no link is followed below. Raises BadArtifact for what a
    folder artifact may not hold, for a path that no key of a store can have, and for more than MAX_FILES; Torn.
    """
    found: list[Trait] = []
    try:
        with hold(folder, beneath=beneath) as held:
            _walk(held, found)
    except Missing:
        if found:
            raise Torn from None
        return ()
    except FileNotFoundError:
        raise Torn from None
    return tuple(sorted(found, key=lambda t: t.path))


def _walk(held: Held, found: list[Trait]) -> None:
    """Not by recursion: how deep its folders go is the program's choice."""
    waiting = [""]
    while waiting:
        below = waiting.pop()
        with held.open(below) as folder, os.scandir(folder.descriptor) as entries:
            listed = [(e.name, e.stat(follow_symlinks=False)) for e in entries if not _is_unready(e.name)]
        for name, about in listed:
            path = f"{below}/{name}" if below else name
            _check_path(path)
            if stat.S_ISDIR(about.st_mode):
                waiting.append(path)
                continue
            if not stat.S_ISREG(about.st_mode):
                raise BadArtifact(f"{path!r} is neither a file nor a folder")
            if len(found) >= MAX_FILES:
                raise BadArtifact(f"{path!r}: a checkpoint has at most {MAX_FILES:,} files")
            found.append(Trait(path, about.st_ino, about.st_size, about.st_mtime_ns, about.st_ctime_ns))


def _check_path(path: str) -> None:
    """Refuse what no save could be laid again under: a list of files is read as hostile, and says each path."""
    try:
        size = len(path.encode())
    except UnicodeEncodeError:
        raise BadArtifact(f"{path[:SHOWN]!r} has a name that is not UTF-8") from None
    if size > MAX_KEY_BYTES:  # also of folders: so there is an end to how deep they are walked
        raise BadArtifact(f"{path[:SHOWN]!r}… has more than {MAX_KEY_BYTES:,} bytes with its folders")
    try:
        check_key(path)
    except BadKey:
        raise BadArtifact(f"{path[:SHOWN]!r} has a control character, such as a newline, in its name") from None


def _is_unready(name: str) -> bool:
    return name.startswith(".") or name.endswith(".tmp")


@contextmanager
def still(folder: Path, beneath: Path, known: frozenset[Trait]) -> Iterator[Still]:
    """The folder as it is at one moment. known: files that need not be read. Raises Torn, BadArtifact, OSError."""
    first = traits(folder, beneath)
    with ExitStack() as stack:
        found = Still(folder, beneath, first, {})
        largest = sorted((t for t in first if t not in known), key=lambda t: -t.size_bytes)[:MOST_HELD]
        for trait in largest:
            found.opened[trait.path] = stack.enter_context(_opened(folder, beneath, trait))
        latest = max((t.modified_ns for t in first), default=0)
        if traits(folder, beneath) != first or time.time_ns() - latest < QUIET_NS:
            raise Torn
        yield found


@dataclass(frozen=True, slots=True)
class Still:
    """files: all of them. opened: those that are held, by path."""

    folder: Path
    beneath: Path
    files: tuple[Trait, ...]
    opened: dict[str, Held]

    @contextmanager
    def open(self, trait: Trait) -> Iterator[Held]:
        """A file, to be read in the block; it raises Torn at its end where it was written to meanwhile."""
        held = self.opened.get(trait.path)
        if held is not None:
            yield held
            _check(held, trait)
            return
        with _opened(self.folder, self.beneath, trait) as held:
            yield held
            _check(held, trait)


@contextmanager
def _opened(folder: Path, beneath: Path, trait: Trait) -> Iterator[Held]:
    try:
        with hold(folder / trait.path, beneath=beneath) as held:
            if os.fstat(held.descriptor).st_ino != trait.inode:
                raise Torn
            _check(held, trait)
            yield held
    except Missing:
        raise Torn from None


def _check(held: Held, trait: Trait) -> None:
    if trait.is_written(os.fstat(held.descriptor)):
        raise Torn
